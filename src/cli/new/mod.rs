//! `sphc new`: a model to start from.

use super::failure::{Failure, Outcome};
use super::say;
use clap::ValueEnum;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The name of the model; the file has it, too
    name: PathBuf,
    /// What to start from
    #[arg(long, value_enum, default_value_t)]
    template: Template,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Template {
    /// A small network on the digits of the program
    #[default]
    Minimal,
    /// A residual network for CIFAR-10
    Resnet,
    /// A network with an operator of its own
    Operator,
    /// A classifier of a folder of pictures
    Data,
    /// A network that starts from another one's weights
    FineTune,
}

impl Template {
    fn text(self) -> &'static str {
        match self {
            Template::Minimal => include_str!("minimal.sph"),
            Template::Resnet => include_str!("resnet.sph"),
            Template::Operator => include_str!("operator.sph"),
            Template::Data => include_str!("data.sph"),
            Template::FineTune => include_str!("fine_tune.sph"),
        }
    }

    /// What to do with the file.
    fn next(self, file: &str) -> Vec<String> {
        let sphc = say::quoted(&[say::program()]);
        match self {
            Template::Minimal => vec![format!("{sphc} train {file}")],
            Template::Resnet => vec![
                format!("{sphc} show {file} --set units=5"),
                format!("{sphc} train {file} --iterations 1000 --evaluate-every 200"),
            ],
            Template::Operator => vec![
                format!("{sphc} train {file}"),
                format!("{sphc} train {file} --set norm=soft_cone,cosine,none --seeds 3"),
            ],
            Template::Data => vec![
                "put pictures into pictures/train/CLASS/ and pictures/test/CLASS/".to_owned(),
                format!("{sphc} train {file}"),
            ],
            Template::FineTune => vec![format!("{sphc} train {file} --init CHECKPOINT")],
        }
    }
}

pub(super) fn run(args: &Args) -> Outcome {
    let stem = args.name.file_name().and_then(|it| it.to_str()).unwrap_or_default();
    let stem = stem.strip_suffix(".sph").unwrap_or(stem);
    let Some(name) = model_name(stem) else {
        return Err(Failure::new(
            format!("`{}` cannot be the name of a model", args.name.display()),
            "start it with a letter, and use letters, digits, `_` and `-`",
        ));
    };
    let file = args.name.with_file_name(format!("{stem}.sph"));
    write(&file, &args.template.text().replace("NAME", &name))?;
    let shown = file.display().to_string();
    writeln!(say::out(), "wrote         {shown}")?;
    for it in args.template.next(&say::quoted(&[file.clone().into()])) {
        writeln!(say::out(), "try next      {it}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `my_net-2` is the file of `MyNet2`.
fn model_name(stem: &str) -> Option<String> {
    let fits = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    if !stem.starts_with(|it: char| it.is_ascii_alphabetic()) || !stem.chars().all(fits) {
        return None;
    }
    let capital = |it: &str| {
        let mut letters = it.chars();
        letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    Some(stem.split(['_', '-']).map(capital).collect())
}

/// Writes a file that is not there yet.
fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let shown = file.display();
    let opened = OpenOptions::new().write(true).create_new(true).open(file);
    opened.and_then(|mut it| it.write_all(text.as_bytes())).map_err(|cause| match cause.kind() {
        ErrorKind::AlreadyExists => Failure::new(format!("`{shown}` is there already"), "give another name"),
        ErrorKind::NotFound => Failure::unwritten(file, &cause, "make its folder first, or give another"),
        _ => Failure::unwritten(file, &cause, "give a place that can be written to"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_become_names_of_models() {
        assert_eq!(model_name("net").as_deref(), Some("Net"));
        assert_eq!(model_name("my_net-2").as_deref(), Some("MyNet2"));
        for it in ["", "2net", "a b", "über", "-x"] {
            assert_eq!(model_name(it), None, "{it}");
        }
    }
}
