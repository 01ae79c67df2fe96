//! The `sphc` command.

#[allow(clippy::disallowed_methods, reason = "commands read and write files")]
mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
