//! What came of experiments, as a page with a picture for each model.

use super::Args;
use super::list::{Experiment, List};
use crate::cli::failure::Failure;
use crate::cli::many::{self, Came, Wanted};
use crate::cli::{load, plot, points};
use serde_json::json;
use sphc::train::curves::{Curve, Estimate, Points};
use sphc::train::metrics::Line;
use sphc::train::{self, Run};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The page.
pub(super) const NAME: &str = "report.md";

/// What is told of each experiment.
pub(super) const HEADER: [&str; 7] =
    ["experiment", ">seeds", ">best", ">published best", ">last", ">published last", ">difference of best"];

/// An experiment and what came of it.
pub(super) struct Row {
    pub(super) experiment: Experiment,
    published: Option<Curve>,
    came: Vec<Came>,
    runs: Vec<Run>,
    pub(super) diverged: usize,
    /// What its layer of two numbers makes of the test images, by its first seed.
    points: Option<Points>,
}

impl Row {
    pub(super) fn new(experiment: Experiment) -> Row {
        let published = experiment.published();
        Row { experiment, published, came: Vec::new(), runs: Vec::new(), diverged: 0, points: None }
    }

    /// What came of one more seed.
    pub(super) fn add(&mut self, one: &Wanted, came: &Came) -> Result<(), Failure> {
        let run = train::look_at_run(&one.directory)?;
        if let (Some(layer), Came::Finished(_), Some(weights), true) =
            (&self.experiment.features, came, &run.checkpoint, self.came.is_empty())
        {
            let model = load::model(&one.args.file, super::train::options(&one.args))?;
            self.points = points::of_weights(&model, weights, layer, &one.args.device.checked()?)?;
        }
        self.runs.push(run);
        self.came.push(came.clone());
        self.diverged = many::parted(&self.came).1;
        Ok(())
    }

    /// Whether anything came of it.
    pub(super) fn is_begun(&self) -> bool {
        !self.came.is_empty()
    }

    fn curve(&self) -> Curve {
        let runs: Vec<Vec<Line>> = many::parted(&self.came).0;
        let validates = self.runs.first().is_some_and(|it| it.started.training.validates());
        Curve { validates, ..Curve::of_group(&self.experiment.name, &runs) }
    }

    /// Best and last, as measured and as published.
    fn figures(&self) -> [Option<Estimate>; 4] {
        let of = |it: &Curve| [it.best.map(|it| it.1), it.last];
        let [best, last] = of(&self.curve());
        let [published_best, published_last] = self.published.as_ref().map_or([None, None], of);
        [best, published_best, last, published_last]
    }

    pub(super) fn cells(&self) -> Vec<String> {
        let figures = self.figures();
        let seeds = match self.diverged {
            0 => self.came.len().to_string(),
            it => format!("{}, {it} diverged", self.came.len() - it),
        };
        let mut res = vec![self.experiment.name.clone(), seeds];
        res.extend(figures.iter().map(|it| it.map_or_else(|| "-".to_owned(), |it| it.percent())));
        let [best, published, ..] = figures;
        res.push(match (best, published) {
            (Some(best), Some(published)) => format!("{:+.2}", 100.0 * (best.mean - published.mean)),
            (_, None) | (None, _) => "-".to_owned(),
        });
        res
    }

    pub(super) fn as_json(&self) -> serde_json::Value {
        let estimate = |it: Option<Estimate>| it.map(|it| json!({ "mean": it.mean, "half_width": it.half_width }));
        let [best, published_best, last, published_last] = self.figures().map(estimate);
        json!({
            "name": self.experiment.name,
            "best": best,
            "published_best": published_best,
            "last": last,
            "published_last": published_last,
            "seeds": self.runs.iter().map(|it| it.started.seed).collect::<Vec<_>>(),
            "diverged": self.diverged,
        })
    }
}

/// What a page says beside its rows.
pub(super) struct Report<'a> {
    pub(super) list: &'a List,
    pub(super) args: &'a Args,
}

impl Report<'_> {
    /// Writes the page and its pictures, in place of those that were there, of the rows of which anything came.
    pub(super) fn write(&self, rows: &[Row]) -> Result<(), Failure> {
        let rows: Vec<&Row> = rows.iter().filter(|it| it.is_begun()).collect();
        let rows = &rows[..];
        let root = &self.args.run;
        let mut page = format!("# {}\n\n", self.list.title);
        page += &self.made(rows);
        for group in groups(rows) {
            let model = group[0].experiment.model.display().to_string();
            let _ = write!(page, "\n## {model}\n\n{}", as_markdown(&group));
            let picture = root.join(format!("{}.svg", stem(&group[0].experiment.model)));
            if let Some(name) = self.draw(&group, &picture)? {
                let _ = writeln!(page, "\n![accuracy over iterations of the experiments above]({name})");
            }
            for row in group.iter().filter(|_| cfg!(feature = "plots")) {
                let Some(points) = row.points.as_ref().filter(|it| !it.places.is_empty()) else { continue };
                let name = format!("{}-features.svg", row.experiment.name);
                let bytes = plot::points_as(Path::new(&name), points)?;
                keep(&root.join(&name), &bytes)?;
                let _ = writeln!(page, "\n![features of {} by class]({name})", row.experiment.name);
            }
        }
        keep(&root.join(NAME), page.as_bytes())
    }

    /// How the figures came about.
    fn made(&self, rows: &[&Row]) -> String {
        let mut res = String::new();
        let runs: Vec<&Run> = rows.iter().flat_map(|it| &it.runs).collect();
        if self.is_reduced() {
            let mut less: Vec<String> = self.args.iterations.iter().map(|it| format!("{it} iterations")).collect();
            less.extend(self.args.set.set.iter().map(|(name, value)| format!("`{name} = {value}`")));
            let _ = writeln!(
                res,
                "**Reduced: {}.** The published figures are those of whole trainings, and stand here for what is missing.\n",
                less.join(", ")
            );
        }
        let seeds: BTreeSet<u64> = runs.iter().map(|it| it.started.seed).collect();
        let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
        let _ = writeln!(
            res,
            "sphc {}; {}. Where there are several seeds, figures are means with 95 % intervals (Student's) of test accuracy: \
             the best of each run's evaluations, and the last.\n",
            env!("CARGO_PKG_VERSION"),
            if seeds.len() == 1 { format!("seed {}", seeds[0]) } else { format!("seeds {}", seeds.join(", ")) }
        );
        let data = |it: &&Run| {
            let training = &it.started.training;
            format!(
                "- data: {}, read from `{}`: {} training and {} test images",
                training.data, it.started.data, training.train_examples, training.test_examples
            )
        };
        for it in distinct(runs.iter().map(data)) {
            let _ = writeln!(res, "{it}");
        }
        for it in distinct(runs.iter().map(|it| format!("- device: {}", it.started.device))) {
            let _ = writeln!(res, "{it}");
        }
        let seconds: f64 = runs.iter().map(|it| it.seconds).sum();
        let _ = writeln!(res, "- time in trainings, over all runs: {seconds:.0} s");
        res
    }

    fn is_reduced(&self) -> bool {
        self.args.iterations.is_some() || !self.args.set.set.is_empty()
    }

    /// Draws the rows of a model; published curves beside them where they are of the same length.
    fn draw(&self, group: &[&Row], picture: &Path) -> Result<Option<String>, Failure> {
        let mut curves: Vec<Curve> = group.iter().map(|it| it.curve()).collect();
        if !self.is_reduced() {
            curves.extend(group.iter().filter_map(|it| it.published.clone()).filter(|it| !it.tested.is_empty()));
        }
        if !cfg!(feature = "plots") || curves.iter().all(Curve::is_empty) {
            return Ok(None);
        }
        plot::write(picture, &curves)?;
        Ok(picture.file_name().map(|it| it.to_string_lossy().into_owned()))
    }
}

fn keep(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    train::write_atomically(path, bytes).map_err(|it| {
        let remedy =
            "check the disk and the permissions of the directory, and give the command again: what is trained stays";
        Failure::unwritten(path, &it, remedy)
    })
}

/// Each text once, in order.
fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut res: Vec<String> = Vec::new();
    for it in texts {
        if !res.contains(&it) {
            res.push(it);
        }
    }
    res
}

/// Rows of one model, in the order of their first.
fn groups<'r>(rows: &[&'r Row]) -> Vec<Vec<&'r Row>> {
    let mut res: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        match res.iter_mut().find(|it| it[0].experiment.model == row.experiment.model) {
            Some(group) => group.push(row),
            None => res.push(vec![row]),
        }
    }
    res
}

/// `paper/spherenorm.sph` as the name of a picture: `paper-spherenorm`.
fn stem(model: &Path) -> String {
    let parts: Vec<String> = PathBuf::from(model)
        .with_extension("")
        .components()
        .filter_map(|it| {
            if let std::path::Component::Normal(it) = it { Some(it.to_string_lossy().into_owned()) } else { None }
        })
        .collect();
    parts.join("-")
}

fn as_markdown(group: &[&Row]) -> String {
    let cell = |it: &str| it.replace('|', "\\|");
    let mut res = String::new();
    let names = HEADER.map(|it| it.trim_start_matches('>'));
    let _ = writeln!(res, "| {} | what it is |", names.join(" | "));
    let lines = HEADER.map(|it| if it.starts_with('>') { "--:" } else { "---" });
    let _ = writeln!(res, "|{}|---|", lines.join("|"));
    for row in group {
        let cells: Vec<String> = row.cells().iter().map(|it| cell(it)).collect();
        let _ = writeln!(res, "| {} | {} |", cells.join(" | "), cell(&row.experiment.about));
    }
    res
}
