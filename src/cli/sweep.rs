//! Many trainings in one process: `--seeds N`, and `--set name=a,b,c` with several values.

use super::args::Format;
use super::failure::{Failure, Outcome};
use super::many::{self, Came, Wanted};
use super::{jobs, load, plot, say, table, train};
use serde_json::json;
use sphc::Options;
use sphc::train::Started;
use sphc::train::curves::{self, Curve, Estimate};
use sphc::train::metrics::{Line, Tested};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// One setting of the grid.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Point {
    /// `norm=linear,batch=8`: what is varied; empty when nothing is.
    name: String,
    /// All of `--set`.
    set: Vec<(String, String)>,
}

/// Whether more than one training was asked for.
pub(super) fn is_wanted(args: &train::Args) -> bool {
    args.seeds.is_some() || !args.emit_jobs.is_empty() || args.set.set.iter().any(|it| 1 < alternatives(&it.1).len())
}

pub(super) fn run(args: &train::Args) -> Outcome {
    if args.resume == Some(train::Resume::Best) {
        let cause = "`--resume=best` would begin again what is finished of a grid";
        return Err(Failure::new(cause, "give `--resume`, or go on with one run of it by its own directory"));
    }
    let points = grid(&args.set.set);
    check_directories(&points)?;
    let seeds = seeds(args, &points)?;
    let jobs = jobs::asked(&args.emit_jobs)?;
    let claimed = if args.run.is_none() && jobs.is_none() { Some(train::Claimed::new(&args.file)?) } else { None };
    let given = args.run.clone().or(jobs.as_ref().map(|it| it.1.clone()));
    let root = given.or(claimed.as_ref().map(|it| it.path.clone())).unwrap_or_default();
    let mut wanted = Vec::new();
    for (point, seed) in points.iter().flat_map(|point| seeds.iter().map(move |seed| (point, *seed))) {
        let directory = directory(&root, point, seed);
        let mut one = args.clone();
        one.set.set = point.set.clone();
        one.recipe.seed = Some(seed);
        // One that was not begun with yet begins now.
        one.resume = args.resume.filter(|_| directory.exists());
        wanted.push(Wanted { name: point.name.clone(), args: one, directory });
    }
    if let Some((runner, directory)) = jobs {
        return jobs::emit(runner, &directory, &wanted);
    }
    let came = many::train(&wanted, &mut |_, _| Ok(()))?;
    if came.len() < wanted.len() {
        return Ok(many::stopped(came.len(), wanted.len(), &train::resume_command(&root)));
    }
    let found: Vec<Group> =
        points.iter().zip(came.chunks(seeds.len())).map(|(point, came)| Group::of(point, came)).collect();
    finish(args, &root, &seeds, &found)
}

/// The runs of a setting.
struct Group<'a> {
    point: &'a Point,
    runs: Vec<Vec<Line>>,
    /// Those whose loss became NaN or infinite.
    diverged: usize,
}

impl Group<'_> {
    fn of<'a>(point: &'a Point, came: &[Came]) -> Group<'a> {
        let (runs, diverged) = many::parted(came);
        Group { point, runs, diverged }
    }
}

/// The values of a `--set` that has several: parted by commas outside of brackets and quotes.
fn alternatives(value: &str) -> Vec<String> {
    let mut res = vec![String::new()];
    let (mut depth, mut quoted) = (0, false);
    for it in value.chars() {
        match it {
            '"' => quoted = !quoted,
            '[' | '(' | '{' if !quoted => depth += 1,
            ']' | ')' | '}' if !quoted => depth -= 1,
            _ => {}
        }
        match res.last_mut() {
            Some(last) if it != ',' || depth != 0 || quoted => last.push(it),
            _ => res.push(String::new()),
        }
    }
    res.iter().map(|it| it.trim().to_owned()).collect()
}

/// Every combination, the last one given varying fastest.
fn grid(set: &[(String, String)]) -> Vec<Point> {
    let mut res = vec![Point { name: String::new(), set: Vec::new() }];
    for (name, value) in set {
        let values = alternatives(value);
        let longer = |point: &Point| -> Vec<Point> {
            let one = |value: &String| {
                let mut point = point.clone();
                point.set.push((name.clone(), value.clone()));
                if 1 < values.len() {
                    let comma = if point.name.is_empty() { "" } else { "," };
                    point.name += &format!("{comma}{name}={value}");
                }
                point
            };
            values.iter().map(one).collect()
        };
        res = res.iter().flat_map(longer).collect();
    }
    res
}

/// The seeds, from the recipe's or `--seed` on. Mistakes of any setting are told before the first run.
fn seeds(args: &train::Args, points: &[Point]) -> Result<Vec<u64>, Failure> {
    let mut first = args.recipe.seed;
    if sphc::is_plan(&args.file) {
        let cause = "a plan has one seed and its settings, and cannot be swept";
        return Err(Failure::new(cause, "train the `.sph` file"));
    }
    let model = load::model(&args.file, train::options(args))?;
    let mut known: BTreeMap<BTreeMap<String, String>, &Point> = BTreeMap::new();
    for point in points {
        let options = Options { set: point.set.clone(), ..model.options().clone() };
        let checked = model.clone().with(options).check()?;
        // With another data set than the file's its own sizes do not count.
        if args.recipe.data.is_none() {
            model.demand(&checked)?;
        }
        let Some(graph) = checked.graph() else { continue };
        first = first.or(graph.recipe.as_ref().map(|it| it.seed));
        // `1` and `1.0` have directories of their own, and would be trained as the same.
        if let Some(other) = known.insert(graph.set.clone(), point) {
            let cause = format!("`--set` gives one value twice: `{}` is `{}`", point.name, other.name);
            return Err(Failure::new(cause, "give each value once"));
        }
    }
    let (first, count) = (first.unwrap_or(0), args.seeds.unwrap_or(1));
    match first.checked_add(count - 1) {
        Some(last) => Ok((first..=last).collect()),
        None => Err(Failure::new(
            format!("{count} seeds from {first} on go beyond the largest, {}", u64::MAX),
            "give a smaller `--seed`",
        )),
    }
}

/// Runs of two settings must not share a directory; on some systems names that differ in case are one.
fn check_directories(points: &[Point]) -> Result<(), Failure> {
    let mut known: BTreeMap<String, &Point> = BTreeMap::new();
    for point in points {
        let folder = folder(point);
        if 255 < folder.len() {
            return Err(Failure::new(
                format!("the settings `{}` are too long for the name of a directory", point.name),
                "sweep params with shorter values, or train each setting by itself with `--run DIR`",
            ));
        }
        if let Some(other) = known.insert(folder.to_lowercase(), point) {
            let cause = if other.name == point.name {
                format!("`--set` gives `{}` twice", point.name)
            } else {
                format!("the runs of `{}` and of `{}` would share the directory `{folder}`", other.name, point.name)
            };
            return Err(Failure::new(cause, "give each value once, or train one of them by itself with `--run DIR`"));
        }
    }
    Ok(())
}

/// `<root>/norm=linear/seed-0`.
fn directory(root: &Path, point: &Point, seed: u64) -> PathBuf {
    let name = folder(point);
    let below = if name.is_empty() { root.to_path_buf() } else { root.join(name) };
    below.join(format!("seed-{seed}"))
}

/// `norm=linear`: the name of a setting's directory.
fn folder(point: &Point) -> String {
    let odd = |it: char| matches!(it, '/' | '\\' | ' ') || it.is_control();
    point.name.chars().map(|it| if odd(it) { '_' } else { it }).collect()
}

fn finish(args: &train::Args, root: &Path, seeds: &[u64], found: &[Group]) -> Outcome {
    let name = |point: &Point| if point.name.is_empty() { "all".to_owned() } else { point.name.clone() };
    let curve = |it: &Group| {
        let first = seeds.first().and_then(|seed| Started::read(&directory(root, it.point, *seed)).ok());
        let validates = first.is_some_and(|it| it.training.validates());
        Curve { validates, ..Curve::of_group(&name(it.point), &it.runs) }
    };
    let curves: Vec<Curve> = found.iter().map(curve).collect();
    let picture = root.join("curves.svg");
    let diverged: usize = found.iter().map(|it| it.diverged).sum();
    // Runs of a few iterations may leave nothing to draw, as may a build without pictures, and are no less done.
    let drawn = cfg!(feature = "plots") && curves.iter().any(|it| !it.is_empty());
    if drawn {
        plot::write(&picture, &curves)?;
    }
    let code = if diverged == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) };
    let mut out = say::out();
    if args.format == Format::Json {
        let points: Vec<_> = found.iter().zip(&curves).map(|(group, curve)| as_json(group, curve)).collect();
        writeln!(
            out,
            "{}",
            json!({ "event": "sweep", "run": root.to_string_lossy(), "seeds": seeds, "points": points })
        )?;
        return Ok(code);
    }
    let percent = |it: Option<Estimate>| it.map_or_else(|| "-".into(), |it| it.percent());
    let row = |(group, curve): (&Group, &Curve)| {
        let runs = match group.diverged {
            0 => group.runs.len().to_string(),
            it => format!("{}, {it} diverged", group.runs.len()),
        };
        vec![curve.name.clone(), runs, percent(curve.best.map(|it| it.1)), percent(curve.last)]
    };
    let rows: Vec<Vec<String>> = found.iter().zip(&curves).map(row).collect();
    write!(out, "{}", table::render(&["setting", ">seeds", ">best", ">last"], &rows))?;
    if 1 < seeds.len() {
        writeln!(out, "accuracy of the evaluations: mean over the seeds and its 95 % interval")?;
    }
    let picture = if drawn { ", curves.svg" } else { "" };
    writeln!(out, "run           {}: a directory for each run{picture}", root.display())?;
    Ok(code)
}

fn as_json(group: &Group, curve: &Curve) -> serde_json::Value {
    let estimate = |it: Option<Estimate>| it.map(|it| json!({ "mean": it.mean, "half_width": it.half_width }));
    let each = |one: &dyn Fn(&[Line]) -> Option<Tested>| -> Vec<Option<f64>> {
        group.runs.iter().map(|it| one(it).and_then(|it| it.test_accuracy)).collect()
    };
    json!({
        "set": group.point.name,
        "best": estimate(curve.best.map(|it| it.1)),
        "last": estimate(curve.last),
        "each_best": each(&curves::best_of),
        "each_last": each(&|it| curves::tested(it).next_back()),
        "diverged": group.diverged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_part_values_outside_of_brackets_and_quotes() {
        let parted = |it: &str| alternatives(it).join("|");
        assert_eq!(parted("none, cosine,linear"), "none|cosine|linear");
        assert_eq!(parted("[16,24],[8]"), "[16,24]|[8]");
        assert_eq!(parted("sigmoid(k: 0.5, j: 1)"), "sigmoid(k: 0.5, j: 1)");
        assert_eq!(parted("\"a,b\",c"), "\"a,b\"|c");
    }

    #[test]
    fn the_grid_has_every_combination_under_the_names_that_vary() {
        let set = |it: &[(&str, &str)]| -> Vec<(String, String)> {
            it.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let points = grid(&set(&[("norm", "none,cosine"), ("fc", "32"), ("n", "1,2")]));
        let names: Vec<&str> = points.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["norm=none,n=1", "norm=none,n=2", "norm=cosine,n=1", "norm=cosine,n=2"]);
        assert_eq!(points[1].set, set(&[("norm", "none"), ("fc", "32"), ("n", "2")]));
        let alone = grid(&[]);
        assert_eq!(directory(Path::new("r"), &alone[0], 3), Path::new("r/seed-3"));
        assert_eq!(directory(Path::new("r"), &points[0], 0), Path::new("r/norm=none,n=1/seed-0"));
    }
}
