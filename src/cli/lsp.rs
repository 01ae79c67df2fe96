//! `sphc lsp`.

use super::args::{self, data_folder};
use super::failure::{Failure, Outcome};
use lsp_server::Connection;
use sphc::Options;
use sphc::lsp::{Setup, serve};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder for the program's own texts; that of the user's caches unless given
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
    /// What editors add to a server that speaks over standard input; it does so anyway
    #[arg(long, hide = true)]
    stdio: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let cache = args.cache.clone().unwrap_or_else(cache);
    let cache = std::path::absolute(&cache).unwrap_or(cache);
    let options = Options { data_folder: data_folder(), data_memory: args::data_memory()?, ..Options::default() };
    if std::io::stdin().is_terminal() {
        let remedy = "let an editor start it: docs/editors.md has the lines; `sphc check FILE` tells here what is wrong in a file";
        return Err(Failure::new(
            "`sphc lsp` speaks with an editor over standard input, and that is a terminal",
            remedy,
        ));
    }
    let (connection, threads) = Connection::stdio();
    let clean = serve(connection, Setup { cache, options }).map_err(Failure::from_error)?;
    // Where the editor is gone, so is the thread that reads from it.
    if clean {
        let _ = threads.join();
    }
    Ok(ExitCode::from(u8::from(!clean)))
}

/// `$XDG_CACHE_HOME/sphc`, or what stands for it.
fn cache() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    let user = from("XDG_CACHE_HOME")
        .or_else(|| Some(from("HOME")?.join(".cache")))
        .or_else(|| from("LOCALAPPDATA"))
        .unwrap_or_else(std::env::temp_dir);
    user.join("sphc").join(env!("CARGO_PKG_VERSION"))
}
