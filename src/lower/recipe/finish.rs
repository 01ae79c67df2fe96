//! Reads the rest of a recipe, once the model is unfolded.

use crate::diag::{Code, Diagnostic};
use crate::ir;
use crate::lower::names::options::KEYS;
use crate::lower::network::basis::Basis;
use crate::lower::recipe::Recipe;
use crate::syntax::ast;

impl Recipe<'_> {
    /// Reads the rest, builds the selectors, and writes the recipe when nothing is missing.
    pub(in crate::lower) fn finish_recipe(&mut self, basis: Basis) {
        let train = basis.train.clone();
        let entry = |key: &str| train.entries.iter().find(|it| it.key.name == key);

        let seed = entry("seed").and_then(|it| self.whole_entry(it, 0));
        let evaluate = entry("evaluate").and_then(|it| self.interval(it));
        let checkpoint = entry("checkpoint").and_then(|it| self.interval(it));
        let evaluate_every = self.settings.evaluate_every.or(evaluate).unwrap_or(0);
        let patience = entry("patience").and_then(|it| self.patience(it, evaluate_every));
        let keep = entry("checkpoint").map(|it| self.kept_checkpoints(it, evaluate_every)).unwrap_or_default();
        let all = self.iterations;
        let schedule = entry("schedule").map(|it| (it, self.factor(it, all)));
        let factor = schedule.as_ref().and_then(|it| it.1.as_ref());
        // What a loss learns is moved as well.
        let loss = self.losses(&basis);
        self.metrics(&basis);
        self.labels_are_mixed();
        let views = entry("views").map(|it| self.views(it)).unwrap_or_default();
        let frozen = self.frozen(&train);
        let optimizers = self.optimizers(&train, &frozen, factor, all);
        let clip = entry("clip").map(|it| self.clip(it));
        let average = entry("average").map(|it| self.average(it, all, basis.written));
        if let Some((entry, Some(factor))) = &schedule {
            self.vain_schedule(entry, factor, basis.written);
        } else if let (Some(all), Some(optimizers)) = (basis.written, &optimizers) {
            let entries = train.entries.iter().filter(|it| it.key.name == "optimizer");
            for (entry, optimizer) in entries.zip(optimizers) {
                self.late_changes(entry.span, &optimizer.rate, all);
            }
        }
        self.vain_entries(&basis);
        let penalties = self.penalties(&train, &frozen);
        let projections = self.projections(&train, &frozen);
        let precision = entry("precision").and_then(|it| self.precision(it));

        let mut missing = Vec::new();
        for (key, example, set) in [
            ("data", "data cifar10", self.settings.data.is_some()),
            ("batch", "batch 128", self.settings.batch.is_some()),
            ("iterations", "iterations 64_000", self.settings.iterations.is_some()),
            ("loss", "loss softmax_cross_entropy", false),
            ("optimizer", "optimizer adam(rate: 1e-3)", false),
        ] {
            if !set && entry(key).is_none() {
                missing.push((key, example));
            }
        }
        // A missing entry is most likely the one with the unknown key.
        let keys = |it: &ast::TrainEntry| KEYS.iter().any(|known| known.0 == it.key.name);
        if !missing.is_empty() && train.entries.iter().all(keys) {
            let names: Vec<String> = missing.iter().map(|it| format!("`{}`", it.0)).collect();
            let mut report =
                Diagnostic::new(Code::E0201, train.keyword, format!("the recipe has no {}", names.join(", no ")))
                    .label("this recipe is not complete");
            for (_, example) in &missing {
                report = report.help(format!("add for example `{example}`"));
            }
            self.report(report);
        }
        let schedule = match schedule {
            Some((_, factor)) => factor.map(|it| it.text),
            None => Some("constant".to_owned()),
        };
        let (Some(data), Some(loss), Some(optimizers), Some(schedule)) =
            (basis.data.clone(), loss, optimizers, schedule)
        else {
            return;
        };
        // Of what was written and is wrong there is nothing.
        let (clip, average) = match (clip, average) {
            (Some(None), _) | (_, Some(None)) => return,
            (clip, average) => (clip.flatten(), average.flatten()),
        };
        let Some(iterations) = all else { return };
        self.graph.recipe = Some(ir::Recipe {
            data: basis.data_path.unwrap_or(data.name),
            validate: basis.validate,
            data_span: basis.data_span,
            augment: basis.augment,
            alternate: basis.alternate,
            mix: basis.mix,
            views,
            batch: basis.batch,
            accumulate: basis.accumulate,
            shards: basis.shards,
            shard: basis.shard,
            iterations,
            loss,
            penalties,
            projections,
            optimizers,
            frozen: frozen.into_iter().collect(),
            clip,
            average,
            schedule,
            length_matters: self.length_matters,
            evaluate_every,
            checkpoint_every: self.settings.checkpoint_every.or(checkpoint).unwrap_or(0),
            keep,
            patience: self.settings.patience.or(patience).unwrap_or(0),
            precision,
            seed: self.settings.seed.or(seed.map(|it| it as u64)).unwrap_or(0),
            shuffle: basis.shuffle,
            tells_gradients: self.settings.gradients,
            train_examples: data.train_examples,
            test_examples: data.test_examples,
            classes: data.classes,
            target: data.target,
        });
    }

    pub(in crate::lower) fn interval(&mut self, entry: &ast::TrainEntry) -> Option<u64> {
        let every = entry.every.as_ref()?;
        self.whole_number(every, &format!("the interval of `{}`", entry.key.name), 1).map(|it| it as u64)
    }
}
