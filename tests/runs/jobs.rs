//! `train --emit-jobs`: a grid as a script.

use crate::runs::cli::{Place, errors};
use std::fs;
use std::process::Command;

#[test]
fn a_grid_is_an_array_job() {
    let place = Place::new();
    let grid = "train tiny.sph --iterations 8 --checkpoint-every 4 --seeds 2 --batch=8";
    let told = place.succeeds(&format!("{grid} --emit-jobs shell jobs"));
    assert!(told.contains("2 trainings") && told.contains("bash jobs/job.sh"), "{told}");
    assert!(!place.path("jobs/seed-0").exists(), "nothing is trained");
    let bash = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = Command::new("bash");
        command.args(words).current_dir(place.directory.path()).envs(variables.iter().copied());
        command.output().unwrap()
    };
    // One that was begun for less goes on, the other begins.
    place.succeeds("train tiny.sph --iterations 4 --batch=8 --seed 1 --run jobs/seed-1");
    let all = bash(&["jobs/job.sh"], &[]);
    assert!(all.status.success(), "{}", errors(&all));
    place.succeeds(&format!("{grid} --run together"));
    for seed in ["seed-0", "seed-1"] {
        let last =
            |of: &str| fs::read(place.path(of).join(seed).join("checkpoints/step-00000008.safetensors")).unwrap();
        assert!(last("jobs") == last("together"), "{seed}");
    }
    let none = bash(&["jobs/job.sh", "2"], &[]);
    assert!(!none.status.success() && errors(&none).contains("there is no task 2"), "{}", errors(&none));
    place.succeeds(&format!("{grid} --emit-jobs slurm array"));
    let script = fs::read_to_string(place.path("array/job.sh")).unwrap();
    assert!(script.contains("#SBATCH --array=0-1\n"), "{script}");
    let one = bash(&["array/job.sh"], &[("SLURM_ARRAY_TASK_ID", "1")]);
    assert!(one.status.success(), "{}", errors(&one));
    assert!(place.path("array/seed-1/metrics.jsonl").exists() && !place.path("array/seed-0").exists());
    place.fails(&format!("{grid} --emit-jobs pbs array"), &["expected `slurm` or `shell`"]);
}
