//! `sphc data`.

use super::args::{self, Format};
use super::failure::{Failure, Outcome};
use super::{decoding, say, table};
use clap::Subcommand;
use indicatif::ProgressBar;
use serde_json::json;
use sphc::Read;
use sphc::data::fetch::{Event, Patience};
use sphc::data::{self, FetchError, Manifest, Place, Reading};
use sphc::ir::{DType, Extremes, Shape};
use std::io::Write;
use std::path::{Path, PathBuf};
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
    /// Download a data set to `$SPHC_DATA/NAME`, or else `data/NAME`, and check it; goes on where it was broken off
    Fetch {
        /// A name, or a manifest (.yaml) of your own
        #[arg(value_name = "NAME|MANIFEST")]
        data: String,
    },
    /// Read a data set and say what is wrong with it
    Verify {
        /// A name, a directory, an .npz file or a manifest (.yaml)
        #[arg(value_name = "NAME|PATH")]
        data: String,
    },
}

pub(super) fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::List { format } => list(*format),
        Command::Fetch { data } => {
            fetch(&data::describe(data)?, data, args::data_folder().as_deref()).map_err(Failure::from_error)?;
            verify(data)
        }
        Command::Verify { data } => verify(data),
    }
}

fn list(format: Format) -> Outcome {
    let mut rows = Vec::new();
    for manifest in data::catalog() {
        let image = manifest.image.as_ref().map_or_else(String::new, Shape::told);
        let range = manifest.range.unwrap_or(Extremes::BYTES);
        let place = match data::locate(&manifest.name, args::data_folder().as_deref()) {
            Ok((_, Place::Embedded)) => "embedded".to_owned(),
            Ok((_, Place::At(it))) => it.display().to_string(),
            Err(_) => format!("not here; `sphc data fetch {}`", manifest.name),
        };
        if format == Format::Json {
            let object = json!({
                "name": manifest.name,
                "image": manifest.image,
                "range": range,
                "classes": manifest.known_classes(),
                "train_examples": manifest.train_examples,
                "test_examples": manifest.test_examples,
                "title": manifest.title,
                "place": place,
            });
            writeln!(say::out(), "{object}")?;
        }
        let count = |it: usize| table::grouped(it as u64);
        rows.push(vec![
            manifest.name.clone(),
            image,
            range.to_string(),
            manifest.known_classes().to_string(),
            count(manifest.train_examples),
            count(manifest.test_examples),
            place,
        ]);
    }
    if format == Format::Human {
        let header = ["name", ">image", ">bytes", ">classes", ">training", ">test", "where"];
        write!(say::out(), "{}", table::render(&header, &rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(wanted: &str) -> Outcome {
    let reading = Reading { memory: args::data_memory()?, watch: Some(decoding::seen), ..Reading::default() };
    let Read { data, place, warnings } = sphc::read_data(wanted, &reading, args::data_folder().as_deref(), None)?;
    args::warn(&warnings);
    let of = match data.dtype {
        DType::U8 => data.image.told(),
        dtype => format!("{}{:?}", dtype.word(), data.image.0),
    };
    let validation = match &data.validation {
        Some(it) => format!(", {} for validation", it.len()),
        None => String::new(),
    };
    let problems = match data.warnings.len() {
        0 => "no problems".to_owned(),
        1 => "1 warning".to_owned(),
        many => format!("{many} warnings"),
    };
    writeln!(
        say::out(),
        "{} ({place}): {} training and {} test {}s of {of}{validation}, values {}, {}, {problems}",
        data.name,
        data.train.len(),
        data.test.len(),
        data.noun(),
        data.extremes(),
        match data.target.is_class() {
            true => format!("in {}", say::counted(data.classes.len(), "class", "es")),
            false => format!("targets {}", data.target.describe(data.classes.len())),
        }
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Fetches a data set, with a bar on a terminal and a line for each file elsewhere.
pub(super) fn fetch(manifest: &Manifest, wanted: &str, root: Option<&Path>) -> Result<PathBuf, FetchError> {
    let template = "{wide_bar} {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left";
    let bar = if say::is_capable() { say::bar(0, template, None) } else { ProgressBar::hidden() };
    let mut see = |event: Event| match event {
        Event::Asked { url, have, size } => {
            let length = size.unwrap_or(have);
            let size = size.map_or_else(String::new, |it| format!(" ({})", table::bytes(it as usize)));
            let from = if have == 0 { String::new() } else { format!(", from byte {have} on") };
            let _ = writeln!(say::err(), "fetching {url}{size}{from}");
            bar.reset();
            bar.set_length(length);
        }
        Event::Bytes(it) => bar.set_position(it),
        Event::Sound => bar.reset(),
    };
    let res = data::fetch::fetch(manifest, wanted, root, Patience::default(), &mut see);
    bar.finish_and_clear();
    res
}
