//! Examples of every command, as its `--help` ends with them.

use clap::Command;

/// What the help of a command ends with, below a line `Examples:`. What stands before an empty line goes above it.
const ALL: &[(&str, &str)] = &[
    (
        "new",
        "
  sphc new digits                              digits.sph, to be trained and changed
  sphc new pets --template data                a classifier of your own pictures",
    ),
    (
        "check",
        "
  sphc check model.sph
  sphc check models --deny-warnings            every model in a folder, for CI
  sphc check model.sph --set norm=linear --fix",
    ),
    (
        "explain",
        "
  sphc explain E0301
  sphc explain                                 lists all codes",
    ),
    (
        "fmt",
        "
  sphc fmt model.sph
  sphc fmt --check models                      changes nothing; fails where something is laid out otherwise",
    ),
    (
        "show",
        "
  sphc show model.sph
  sphc show model.sph --set widths=[16,24,32] --batch 32
  sphc show model.sph --format svg > model.svg
  sphc show std                                what can be imported",
    ),
    (
        "diff",
        "
  sphc diff old.sph new.sph
  sphc diff model.sph model.sph --set-a norm=cosine --set-b norm=linear",
    ),
    (
        "compile",
        "
  sphc compile model.sph -o out                the plan and its kernels
  sphc compile model.sph --emit typed          the graph with all shapes
  sphc compile model.sph --arch sm_90 -o out   cubins for a GPU",
    ),
    (
        "train",
        "
  sphc train model.sph
  sphc train model.sph --iterations 2000 --batch 64 --seed 1 --run runs/a
  sphc train model.sph --run runs/a --resume
  sphc train model.sph --set norm=none,cosine,linear --seeds 3
  sphc train model.sph --init other.safetensors --init-map 'backbone.*=*'
  sphc train models/zoo/resnet18.sph --data pets.yaml --init resnet18.safetensors --init-map torchvision/resnet18
  sphc train model.sph --tensorboard graph,histograms",
    ),
    (
        "eval",
        "
  sphc eval model.sph --weights runs/a/checkpoints/step-00001000.safetensors
  sphc eval model.sph --weights final.safetensors --split validation --per-class",
    ),
    (
        "verify",
        "
  sphc verify model.sph
  sphc verify model.sph --device cuda --precision bf16
  sphc verify model.sph --replay runs/a        the step after the newest checkpoint, and what first is NaN in it",
    ),
    (
        "predict",
        "
  sphc predict model.sph --weights final.safetensors cat.png
  sphc predict model.sph --weights final.safetensors pictures --top 3 --format csv > found.csv",
    ),
    (
        "features",
        "
  sphc features model.sph --weights final.safetensors --layer features,scores -o test.npz
  sphc features model.sph --weights final.safetensors --layer features -o - --format csv cat.png",
    ),
    (
        "inspect",
        "
  sphc inspect model.sph --weights runs/a/checkpoints/step-00001000.safetensors
  sphc inspect model.sph --weights final.safetensors --split train --examples 1000 --svg angles.svg
  sphc inspect model.sph --weights final.safetensors --layer conv1_0 --filters filters.svg
  sphc inspect model.sph --weights final.safetensors --layer conv1_0 --format json",
    ),
    (
        "export",
        "
  sphc export model.sph --weights final.safetensors --onnx model.onnx --fold
  sphc export model.sph --weights final.safetensors --pytorch model.py
  sphc export model.sph --weights final.safetensors --onnx - | gzip > model.onnx.gz",
    ),
    (
        "bench",
        "
  sphc bench model.sph --batch 32 --steps 8
  sphc bench model.sph --kernels
  sphc bench model.sph --predict               what a step takes on a GPU that is not here",
    ),
    (
        "reproduce",
        "
  sphc reproduce --list
  sphc reproduce 'spherenet9-*' --seeds 3
  sphc reproduce spherenet9-none spherenet9-cosine --iterations 800 --set 'widths=[16, 24, 32]' --set fc=32
  sphc reproduce --from experiments.yaml --run results",
    ),
    (
        "runs",
        "
  sphc runs
  sphc runs runs/norms --format csv > norms.csv",
    ),
    (
        "plot",
        "
  sphc plot runs/a runs/b -o both.svg
  sphc plot runs/a --reference spherenet9-linear -o curves.png
  sphc plot --operator cosine --operator 'sigmoid(k: 0.5)' -o operators.svg
  sphc plot --operator bent --from model.sph -o bent.svg",
    ),
    (
        "data",
        "
  sphc data list
  sphc data fetch cifar10
  sphc data verify pictures",
    ),
    (
        "lsp",
        "\
Editors start it and speak with it over standard input and output; docs/editors.md has the lines for VS Code, Helix,
Neovim and Zed. The prelude and the library are shown to editors as files of a cache, which no one is to change.

  sphc lsp
  sphc lsp --cache /tmp/sphc-texts",
    ),
    (
        "demo",
        "
  sphc demo fourier
  sphc demo fourier cat.png boat.png -o fourier.png
  sphc demo fourier --data fashion_mnist --examples 0,1",
    ),
    (
        "doctor",
        "
  sphc doctor",
    ),
    (
        "completions",
        "
  sphc completions bash > ~/.local/share/bash-completion/completions/sphc
  sphc completions zsh > ~/.zfunc/_sphc",
    ),
    (
        "man",
        "
  sphc man ~/.local/share/man/man1",
    ),
];

/// A command with its examples.
pub(super) fn added(command: Command) -> Command {
    let Some((_, text)) = ALL.iter().find(|it| it.0 == command.get_name()) else { return command };
    let text = text.trim_start_matches('\n');
    let text = match text.split_once("\n\n") {
        Some((about, examples)) => format!("{about}\n\nExamples:\n{examples}"),
        None => format!("Examples:\n{text}"),
    };
    command.after_help(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::words;

    /// The words of a line of a shell, without what leads its output elsewhere, and without what is said beside it.
    fn split(line: &str) -> Vec<String> {
        let line = line.split("  ").next().unwrap_or(line);
        let line = line.split(" > ").next().unwrap_or(line).split(" | ").next().unwrap_or(line);
        let mut res = Vec::new();
        for (at, part) in line.split('\'').enumerate() {
            match at % 2 {
                0 => res.extend(part.split_whitespace().map(str::to_owned)),
                _ => res.push(part.to_owned()),
            }
        }
        res
    }

    #[test]
    fn every_command_has_examples_and_every_example_is_a_command_line() {
        for command in words().get_subcommands().filter(|it| it.get_name() != "help") {
            assert!(ALL.iter().any(|it| it.0 == command.get_name()), "`{}` has no examples", command.get_name());
        }
        for (name, text) in ALL {
            let examples = text.lines().filter_map(|it| it.strip_prefix("  "));
            let mut count = 0;
            for line in examples {
                let given = split(line);
                assert_eq!(given[..2], ["sphc".to_owned(), (*name).to_owned()], "{line}");
                if let Err(error) = words().try_get_matches_from(&given) {
                    panic!("{line}\n{error}");
                }
                count += 1;
            }
            assert!(count != 0, "{name}");
        }
    }
}
