//! `sphc completions` and `sphc man`: the command line told to shells and to `man`.

use super::args::directory;
use super::failure::{Failure, Outcome};
use super::{say, words};
use clap_complete::Shell;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// A folder for `sphc.1` and a page for each command; made if it is not there
    #[arg(value_parser = directory())]
    folder: PathBuf,
}

/// Prints what the shell reads when it starts.
pub(super) fn completions(args: &Completions) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut words(), "sphc", &mut text);
    say::out().write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a page for the program and one for each command.
pub(super) fn man(args: &Man) -> Outcome {
    let mut all = words().disable_help_subcommand(true);
    all.build();
    fs::create_dir_all(&args.folder)
        .and_then(|()| pages(&all, &args.folder))
        .map_err(|cause| Failure::unwritten(&args.folder, &cause, "give a folder that can be written to"))?;
    Ok(ExitCode::SUCCESS)
}

fn pages(command: &clap::Command, folder: &Path) -> io::Result<()> {
    for it in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        pages(it, folder)?;
    }
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    // What stands behind all options has no heading of its own otherwise.
    let text = String::from_utf8_lossy(&text).replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n");
    fs::write(folder.join(page.get_filename()), text)
}
