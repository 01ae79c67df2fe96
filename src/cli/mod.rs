//! The command line: one file per command, and what they share.
//!
//! Results go to standard output, everything else to standard error. Exit status: 0, 1 for a failure
//! that a user can see, 2 for a wrong command line, 130 after Ctrl-C,
//! 143 after SIGTERM.

mod answer;
mod args;
mod bench;
mod check;
mod compile;
mod data;
mod decoding;
mod demo;
mod diff;
mod doctor;
mod dtype;
mod eval;
mod examples;
mod explain;
mod export;
mod failure;
mod features;
mod fmt;
#[cfg(feature = "cuda")]
mod forecast;
mod foreign;
mod inspect;
mod jobs;
mod load;
#[cfg(feature = "lsp")]
mod lsp;
mod manual;
mod many;
mod memory;
mod new;
mod output;
mod plot;
mod points;
mod predict;
mod progress;
mod ranks;
mod replay;
mod reproduce;
mod runs;
mod say;
mod show;
mod stop;
mod sweep;
mod table;
mod texts;
mod train;
mod verify;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use failure::Failure;
use std::io::{self, Write};
use std::process::ExitCode;

/// Compiles declarative model descriptions (.sph) and trains them.
#[derive(Debug, Parser)]
#[command(name = "sphc", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a model to start from
    New(new::Args),
    /// Report every mistake in models
    Check(check::Args),
    /// Explain a diagnostic by its code
    Explain(explain::Args),
    /// Lay models out in the canonical way
    Fmt(fmt::Args),
    /// Show layers, parameters, cost and memory of a model
    Show(show::Args),
    /// Tell what differs between two models or two settings of one
    Diff(diff::Args),
    /// Compile to an executable plan, or print a stage
    Compile(compile::Args),
    /// Train a model
    Train(train::Args),
    /// Evaluate trained weights on the test set
    Eval(eval::Args),
    /// Check gradients against differences, and the device's kernels against the interpreter
    Verify(verify::Args),
    /// Classify image files with trained weights
    Predict(predict::Args),
    /// Write what a trained model makes of images: the results of its layers
    Features(features::Args),
    /// Show angles, norms and energy of a trained model's filters, and units that never answer
    Inspect(inspect::Args),
    /// Write a trained model for other programs: ONNX, PyTorch
    Export(export::Args),
    /// Measure the time of a step
    Bench(bench::Args),
    /// Train the paper's experiments, or those of another list, and write a report beside what was published
    Reproduce(reproduce::Args),
    /// List runs: what they were asked for, and what came of it
    Runs(runs::Args),
    /// Draw the curves of runs, or operators over the angle
    Plot(plot::Args),
    /// List, fetch and verify data sets
    Data(data::Args),
    /// Serve editors: diagnostics, hover, completion and more over the language server protocol
    #[cfg(feature = "lsp")]
    Lsp(lsp::Args),
    /// Show what hyperspherical learning starts from
    Demo(demo::Args),
    /// Say what this machine offers, and what is missing
    Doctor(doctor::Args),
    /// Print completions for a shell
    Completions(manual::Completions),
    /// Write manual pages into a folder
    Man(manual::Man),
}

/// The words of the command line, each command with examples. A negative number is a wrong value, not an unknown flag.
fn words() -> clap::Command {
    let numbers = |it: clap::Arg| {
        let takes_values = it.get_action().takes_values();
        it.allow_negative_numbers(takes_values)
    };
    Cli::command().mut_subcommands(|it| examples::added(it).mut_args(numbers))
}

/// What was asked for, or the exit status after help was given or a mistake was told.
fn parse() -> Result<Cli, ExitCode> {
    let parsed = words().try_get_matches().and_then(|it| Cli::from_arg_matches(&it));
    parsed.map_err(|error| {
        let error = foreign::explained(error, &words());
        let is_help = !error.use_stderr();
        match error.print().and_then(|()| io::stdout().flush()) {
            // Help that no one gets is none.
            Err(cause) if is_help => Failure::Output(cause).report(),
            Ok(()) | Err(_) => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
        }
    })
}

/// A driver that lacks a symbol is told as such, not also as a panic.
#[cfg(feature = "cuda")]
fn hush_what_is_caught() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !sphc::runtime::cuda::is_guarded() {
            usual(panic);
        }
    }));
}

/// Runs the command and turns what went wrong into a message and an exit status.
pub(crate) fn main() -> ExitCode {
    #[cfg(feature = "cuda")]
    hush_what_is_caught();
    let command = match parse() {
        Ok(it) => it.command,
        Err(code) => return code,
    };
    stop::outlive_limits();
    if let Err(failure) = args::data_memory() {
        return failure.report();
    }
    let outcome = match command {
        Command::New(args) => new::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Fmt(args) => fmt::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Compile(args) => compile::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Features(args) => features::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Reproduce(args) => reproduce::run(&args),
        Command::Runs(args) => runs::run(&args),
        Command::Plot(args) => plot::run(&args),
        Command::Data(args) => data::run(&args),
        #[cfg(feature = "lsp")]
        Command::Lsp(args) => lsp::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
    };
    // What waits for the end of a line comes too late to fail otherwise.
    match outcome.and_then(|code| io::stdout().flush().map(|()| code).map_err(Failure::Output)) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
