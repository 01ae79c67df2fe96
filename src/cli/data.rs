//! `sphc data`.

use super::args::{self, Format};
use super::failure::Outcome;
use super::table;
use clap::Subcommand;
use serde_json::json;
use sphc::data::{self, CATALOG, Place};
use std::io::{self, Write};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Data sets that a model can name, and where they are
    List {
        /// How results are printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Read a data set and say what is wrong with it
    Verify {
        /// A name or a directory
        #[arg(value_name = "NAME|DIR")]
        data: String,
    },
}

pub(super) fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::List { format } => list(*format),
        Command::Verify { data } => verify(data),
    }
}

fn list(format: Format) -> Outcome {
    let mut rows = Vec::new();
    for entry in CATALOG {
        let [height, width, channels] = entry.image;
        let place = match data::locate(entry.name) {
            Ok((_, Place::Embedded)) => "embedded".to_owned(),
            Ok((_, Place::Directory(it))) => it.display().to_string(),
            Err(_) => format!("not here: {}", entry.source),
        };
        if format == Format::Json {
            let object = json!({
                "name": entry.name,
                "image": entry.image,
                "classes": entry.classes,
                "train_examples": entry.train_examples,
                "test_examples": entry.test_examples,
                "title": entry.title,
                "place": place,
            });
            writeln!(io::stdout(), "{object}")?;
        }
        let count = |it: usize| table::grouped(it as u64);
        rows.push(vec![
            entry.name.into(),
            format!("{height}x{width}x{channels}"),
            entry.classes.to_string(),
            count(entry.train_examples),
            count(entry.test_examples),
            place,
        ]);
    }
    if format == Format::Human {
        let header = ["name", ">image", ">classes", ">training", ">test", "where"];
        write!(io::stdout(), "{}", table::render(&header, &rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(wanted: &str) -> Outcome {
    let (data, place) = args::read_data(wanted)?;
    let [height, width, channels] = data.image;
    writeln!(
        io::stdout(),
        "{} ({place}): {} training and {} test images of {height}x{width}x{channels} in {} classes, no problems",
        data.name,
        data.train.len(),
        data.test.len(),
        data.classes.len()
    )?;
    Ok(ExitCode::SUCCESS)
}
