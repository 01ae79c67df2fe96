//! `sphc train FILE --seeds 5 --set norm=none,cosine --emit-jobs slurm DIR`: a grid as an array job, each task of which is one
//! run that goes on where it was stopped.

use super::failure::{Failure, Outcome};
use super::many::Wanted;
use super::say::{self, quoted};
use sphc::train::write_atomically;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What runs the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runner {
    /// Slurm: `sbatch DIR/job.sh`.
    Slurm,
    /// A shell, one task after the other: `bash DIR/job.sh`.
    Shell,
}

/// `--emit-jobs slurm DIR`.
pub(super) fn asked(words: &[String]) -> Result<Option<(Runner, PathBuf)>, Failure> {
    let [runner, directory] = words else { return Ok(None) };
    let runner = match runner.as_str() {
        "slurm" => Runner::Slurm,
        "shell" => Runner::Shell,
        other => {
            return Err(Failure::new(
                format!("`--emit-jobs {other}`: expected `slurm` or `shell`"),
                format!("write `--emit-jobs slurm {directory}`"),
            ));
        }
    };
    Ok(Some((runner, PathBuf::from(directory))))
}

/// Writes the script of some trainings. Nothing is trained.
pub(super) fn emit(runner: Runner, directory: &Path, wanted: &[Wanted]) -> Outcome {
    let path = directory.join("job.sh");
    let failed = |cause: std::io::Error| Failure::unwritten(&path, &cause, "give a directory that can be written to");
    let here = std::env::current_dir().map_err(failed)?;
    let text = script(runner, &here, directory, wanted);
    fs::create_dir_all(directory).map_err(failed)?;
    write_atomically(&path, text.as_bytes()).map_err(failed)?;
    let start: [OsString; 2] = match runner {
        Runner::Slurm => ["sbatch".into(), path.clone().into()],
        Runner::Shell => ["bash".into(), path.clone().into()],
    };
    writeln!(
        say::out(),
        "{}: {}\nstart them   {}\nlook at them {}",
        path.display(),
        say::counted(wanted.len(), "training", "s"),
        quoted(&start),
        quoted(&[say::program(), "runs".into(), directory.into()])
    )?;
    Ok(ExitCode::SUCCESS)
}

fn script(runner: Runner, here: &Path, directory: &Path, wanted: &[Wanted]) -> String {
    let word = |it: OsString| quoted(&[it]);
    let last = wanted.len().saturating_sub(1);
    let mut text = "#!/usr/bin/env bash\n".to_owned();
    if runner == Runner::Slurm {
        let output = directory.join("task-%a.out");
        // Slurm reads its lines before any other; add what the cluster wants to know (`--time`, `--cpus-per-task`) here.
        _ = write!(text, "#SBATCH --array=0-{last}\n#SBATCH --output={}\n", output.display());
    }
    let how = match runner {
        Runner::Slurm => "Each task of the array is one training.",
        Runner::Shell => "`bash job.sh` runs all trainings, `bash job.sh 2 5` those of these numbers.",
    };
    _ = write!(
        text,
        "# {how} What was begun before goes on from its last checkpoint.\nset -eu\ncd {}\n\n\
         task() {{\n    case \"$1\" in\n",
        word(here.into())
    );
    for (at, it) in wanted.iter().enumerate() {
        let run = word(it.directory.clone().into());
        _ = writeln!(text, "    {at}) run={run}; set -- {} --run \"$run\" ;;", quoted(&command(it)));
    }
    text += "    *) echo \"there is no task $1\" >&2; exit 1 ;;\n    esac\n    \
             if [ -e \"$run\" ]; then set -- \"$@\" --resume; fi\n    \"$@\"\n}\n\n";
    text += &match runner {
        Runner::Slurm => "task \"$SLURM_ARRAY_TASK_ID\"\n".to_owned(),
        Runner::Shell => format!(
            "if [ $# -eq 0 ]; then set -- $(seq 0 {last}); fi\nfailed=0\nfor number in \"$@\"; do\n    \
             # A training that came to nothing stops no other; a signal does.\n    \
             task \"$number\" || {{ code=$?; [ $code -lt 128 ] || exit $code; failed=1; }}\ndone\nexit $failed\n"
        ),
    };
    text
}

/// The command that was typed, for one training of the grid, without its directory.
fn command(one: &Wanted) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let mut typed = std::env::args_os();
    while let Some(word) = typed.next() {
        let is = |flag: &str| word == *flag;
        let starts = |flag: &&str| word.as_encoded_bytes().starts_with(flag.as_bytes());
        if is("--emit-jobs") {
            typed.nth(1);
        } else if ["--seeds", "--seed", "--set", "--run"].into_iter().any(is) {
            typed.next();
        } else if !["--seeds=", "--seed=", "--set=", "--run="].iter().any(starts) {
            words.push(word);
        }
    }
    for (name, value) in &one.args.set.set {
        words.extend(["--set".into(), format!("{name}={value}").into()]);
    }
    words.extend(["--seed".into(), one.args.recipe.seed.unwrap_or(0).to_string().into()]);
    words
}
