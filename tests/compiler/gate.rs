//! What the networks of the paper are compiled to must not grow while more of the language becomes text: the launches of
//! each phase, counted by what they do, and the work and traffic of all of them.

use crate::language::lower::settings;
use sphc::ir::Precision;
use sphc::pipeline;
use std::collections::BTreeMap;
use std::fs;

/// Counts the lines of the `fused` dump by all that they say apart from numbers of nodes, layers and extents.
fn counted(fused: &str) -> String {
    let mut res = String::new();
    let mut launches = BTreeMap::<String, usize>::new();
    for line in fused.lines().skip(1) {
        if line.starts_with("phase") {
            res += &format!("  {line}\n");
        } else if let Some(total) = line.strip_prefix("  total: ") {
            for (what, count) in std::mem::take(&mut launches) {
                res += &format!("    {count} x {what}\n");
            }
            res += &format!("    total: {total}\n");
        } else {
            // `3 map conv1_0 [2 nodes, 1 reduced] over [3,3,3,128]: (%15) -> (%17); 6912 flop, ...`
            let (head, rest) = line.split_once(" over ").expect(line);
            let words: Vec<&str> = head.split_whitespace().collect();
            let lists = rest.split_once(": ").expect(line).1.split_once(';').expect(line).0;
            let (inputs, outputs) = lists.split_once(" -> ").expect(line);
            let operands = |list: &str| list.matches('%').count();
            let what = [&words[1..2], &words[3..]].concat().join(" ");
            *launches.entry(format!("{what}, {} -> {}", operands(inputs), operands(outputs))).or_default() += 1;
        }
    }
    res
}

#[test]
fn the_networks_of_the_paper_are_compiled_to_the_same_launches() {
    let mut all = String::new();
    for model in ["spherenet9", "sphereresnet32"] {
        let path = format!("{}/models/{model}.sph", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(&path).unwrap();
        for operator in ["none", "cosine", "linear", "sigmoid", "lr_sigmoid"] {
            let mut load = |path: &str| Err(format!("{path} is not there"));
            let checked = pipeline::check(&path, &text, &mut load, &settings(&[("norm", operator)]));
            let typed = checked.typed.expect("a clean text has a model");
            let compiled = pipeline::compile(typed, &checked.sources, Precision::F32, pipeline::Identity::default());
            all += &format!("{model}, {operator}\n{}", counted(&compiled.fused.to_string()));
        }
    }
    insta::assert_snapshot!(all);
}
