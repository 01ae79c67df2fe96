//! Which runs lie below a folder, which of them are one curve, and what curves are called.

use crate::train::run_dir::Started;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Folders of a sweep are no deeper than that.
const DEEPEST: usize = 4;
/// Runs of a curve that its name lists.
const LISTED: usize = 3;

/// The runs of a curve: one, or several that differ in nothing but their seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is called by: a run, or the folder of all of them.
    pub path: PathBuf,
    /// What is said behind: the others of a folder that has more runs.
    pub others: String,
    /// Directories of runs.
    pub runs: Vec<PathBuf>,
}

impl Found {
    /// A run by itself.
    pub fn run(path: &Path) -> Found {
        Found { path: path.into(), others: String::new(), runs: vec![path.into()] }
    }
}

/// What is below a folder.
#[derive(Debug, Default)]
pub struct Below {
    /// Curves: those of each folder's own runs before those of the folders in it, in order of their names.
    pub found: Vec<Found>,
    /// Folders that could not be read, and why.
    pub unread: Vec<(PathBuf, io::Error)>,
}

impl Below {
    /// All runs of a folder and of the folders in it.
    pub fn of(root: &Path) -> Below {
        let mut res = Below::default();
        let real = fs::canonicalize(root).unwrap_or_else(|_| root.into());
        res.look(root, &real, DEEPEST);
        res
    }

    fn look(&mut self, at: &Path, root: &Path, deep: usize) {
        let mut folders = match folders(at, root) {
            Ok(it) => it,
            Err(it) => return self.unread.push((at.into(), it)),
        };
        folders.sort();
        let (runs, folders): (Vec<PathBuf>, Vec<PathBuf>) = folders.into_iter().partition(|it| is_run(it));
        let before = self.found.len();
        for folder in folders.iter().filter(|_| 0 < deep) {
            self.look(folder, root, deep - 1);
        }
        let groups = alike(&runs);
        let are_all = groups.len() == 1 && self.found.len() == before;
        self.found.splice(before..before, named(at, groups, are_all));
    }
}

/// Whether a directory is that of a run.
pub fn is_run(path: &Path) -> bool {
    path.join("metrics.jsonl").exists()
}

/// The folders in a folder. A link to what is looked through anyway, or to a folder above, would show runs twice or without end.
fn folders(at: &Path, root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut res = Vec::new();
    for entry in fs::read_dir(at)? {
        let path = entry?.path();
        let known = |to: PathBuf| to.starts_with(root) || root.starts_with(&to);
        let again = path.is_symlink() && fs::canonicalize(&path).is_ok_and(known);
        if path.is_dir() && !again {
            res.push(path);
        }
    }
    Ok(res)
}

/// Runs in groups that differ in nothing but their seeds. One whose `config.yaml` cannot be read is by itself, and so is the second
/// of a seed.
fn alike(runs: &[PathBuf]) -> Vec<Vec<PathBuf>> {
    let mut res: Vec<(Option<Started>, Vec<u64>, Vec<PathBuf>)> = Vec::new();
    for run in runs {
        let started = Started::read(run).ok();
        let seed = started.as_ref().map_or(0, |it| it.seed);
        let asked = started.map(|it| it.but_for_the_seed());
        let same = res.iter_mut().find(|it| asked.is_some() && it.0 == asked && !it.1.contains(&seed));
        match same {
            Some((_, seeds, group)) => {
                seeds.push(seed);
                group.push(run.clone());
            }
            None => res.push((asked, vec![seed], vec![run.clone()])),
        }
    }
    res.into_iter().map(|it| it.2).collect()
}

/// Groups of a folder: one that is all there is in it is called by the folder, others by their runs.
fn named(folder: &Path, groups: Vec<Vec<PathBuf>>, are_all: bool) -> Vec<Found> {
    let one = |runs: Vec<PathBuf>| {
        let first = runs.first().cloned().unwrap_or_default();
        if are_all && (1 < runs.len() || is_of_a_seed(&first)) {
            return Found { path: folder.into(), others: String::new(), runs };
        }
        let more = runs.get(1..).unwrap_or_default();
        let others = if runs.len() <= LISTED {
            more.iter().map(|it| format!(" + {}", last_of(it))).collect()
        } else {
            format!(" + {} more", more.len())
        };
        Found { path: first, others, runs }
    };
    groups.into_iter().map(one).collect()
}

fn last_of(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |it| it.to_string_lossy().into_owned())
}

/// `seed-3`, which says nothing without the folder that it is in.
fn is_of_a_seed(path: &Path) -> bool {
    last_of(path).starts_with("seed-")
}

/// What paths are called: by their last part, and as many before as tell them apart.
pub fn names(paths: &[PathBuf]) -> Vec<String> {
    let parts: Vec<Vec<String>> = paths.iter().map(|it| parts(it)).collect();
    let mut taken: Vec<usize> = paths.iter().map(|it| if is_of_a_seed(it) { 2 } else { 1 }).collect();
    loop {
        let name = |at: usize| {
            let all: &[String] = &parts[at];
            all[all.len().saturating_sub(taken[at])..].join("/")
        };
        let names: Vec<String> = (0..paths.len()).map(name).collect();
        let twice = |at: &usize| names.iter().filter(|it| **it == names[*at]).count() != 1;
        let longer: Vec<usize> = (0..paths.len()).filter(twice).filter(|at| taken[*at] < parts[*at].len()).collect();
        if longer.is_empty() {
            return names;
        }
        longer.into_iter().for_each(|at| taken[at] += 1);
    }
}

/// The parts of a path; `.` is called as the folder is.
fn parts(path: &Path) -> Vec<String> {
    let real = if path.file_name().is_none() { fs::canonicalize(path).ok() } else { None };
    let part = |it: Component| match it {
        // Joined with what follows this begins with a stroke.
        Component::RootDir => Some(String::new()),
        Component::CurDir => None,
        it => Some(it.as_os_str().to_string_lossy().into_owned()),
    };
    real.as_deref().unwrap_or(path).components().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of which nothing is logged.
    fn run(root: &Path, path: &str, seed: u64, norm: &str) {
        let directory = root.join(path);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("metrics.jsonl"), "").unwrap();
        let config = format!(
            "sphc: 0.1.0\ncommand: [sphc, train, --run, {path}]\nmodel: Tiny\nhash: h{seed}{norm}\nseed: {seed}\n\
             precision: f32\ndevice: CPU {seed}\nset: [norm={norm}]\nno_shuffle: false\nno_augment: false\n\
             data: embedded\nlog_every: {}\ntraining:\n  data: digits\n  image: [8, 8, 1]\n  classes: 10\n  \
             train_examples: 9\n  test_examples: 9\n  batch: 3\n  iterations: 3\n  evaluate_every: 0\n  \
             checkpoint_every: 0\n  project_every: 0\nsources:\n- path: {path}.sph\n  text: |\n    model Tiny {{}}\n    \
             seed {seed}\n",
            10 + seed
        );
        fs::write(directory.join("config.yaml"), config).unwrap();
        Started::read(&directory).unwrap();
    }

    fn shown(root: &Path) -> Vec<String> {
        let below = Below::of(root);
        assert!(below.unread.is_empty());
        let paths: Vec<PathBuf> = below.found.iter().map(|it| it.path.clone()).collect();
        let one = |(it, name): (&Found, String)| format!("{name}{} of {}", it.others, it.runs.len());
        below.found.iter().zip(names(&paths)).map(one).collect()
    }

    #[test]
    fn runs_beside_folders_of_runs_are_found() {
        let root = tempfile::tempdir().unwrap();
        for (path, norm) in [("b", "none"), ("a", "cosine"), ("long/x", "none"), ("long/y", "cosine")] {
            run(root.path(), path, 0, norm);
        }
        run(root.path(), "grid/norm=none/seed-0", 0, "none");
        run(root.path(), "grid/norm=none/seed-1", 1, "none");
        run(root.path(), "long/z", 1, "none");
        let found = shown(root.path());
        assert_eq!(found, ["a of 1", "b of 1", "norm=none of 2", "x + z of 2", "y of 1"]);
        // Not all of the folder: its name would say too much.
        run(root.path(), "grid/more", 2, "linear");
        run(root.path(), "grid/most", 3, "linear");
        assert_eq!(shown(&root.path().join("grid")), ["more + most of 2", "norm=none of 2"]);
    }

    #[test]
    fn only_runs_that_differ_in_their_seeds_are_a_curve() {
        let root = tempfile::tempdir().unwrap();
        for seed in 0..3 {
            run(root.path(), &format!("same/seed-{seed}"), seed, "none");
            run(root.path(), &format!("mixed/n{seed}"), seed, "none");
        }
        run(root.path(), "mixed/o0", 3, "cosine");
        // The second of a seed is no other seed.
        run(root.path(), "mixed/o1", 3, "cosine");
        run(root.path(), "one/seed-0", 0, "none");
        let found = shown(root.path());
        assert_eq!(found, ["n0 + n1 + n2 of 3", "o0 of 1", "o1 of 1", "one of 1", "same of 3"]);
        run(root.path(), "mixed/n3", 7, "none");
        assert_eq!(shown(&root.path().join("mixed"))[0], "n0 + 3 more of 4");
    }

    #[test]
    fn names_have_as_much_of_paths_as_tells_them_apart() {
        let called = |paths: &[&str]| names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(called(&["runs/dk", "o2/dk", "runs/pv"]), ["runs/dk", "o2/dk", "pv"]);
        assert_eq!(called(&["dk", "./o2/dk"]), ["dk", "o2/dk"]);
        assert_eq!(called(&["r/rep/cosine", "r/rep2/cosine/"]), ["rep/cosine", "rep2/cosine"]);
        assert_eq!(called(&["a/x/dk", "b/x/dk", "/dk"]), ["a/x/dk", "b/x/dk", "/dk"]);
        assert_eq!(called(&["r/a/seed-0", "r/b/seed-0", "seed-1"]), ["a/seed-0", "b/seed-0", "seed-1"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_to_what_is_looked_through_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        run(root.path(), "in/a", 0, "none");
        for (to, from) in [("in/a", "latest"), (".", "again"), ("..", "in/up")] {
            std::os::unix::fs::symlink(to, root.path().join(from)).unwrap();
        }
        assert_eq!(shown(root.path()), ["a of 1"]);
        assert_eq!(shown(&root.path().join("in")), ["a of 1"]);
    }
}
