//! Random programs, trained in every way that must make no difference to a single bit, verified, and their kernels run as
//! CUDA. `SPHC_RANDOM_PROGRAMS` says how many (100), `SPHC_RANDOM_KERNELS` how many kinds of kernels are tried as CUDA (48), and
//! `SPHC_RANDOM_SEED` which program is the first. One that fails is printed as simple as it can be made.

mod choices;
#[cfg(feature = "cuda")]
mod cuda;
mod fenced;
mod program;

use choices::{Choices, simplest};
use fenced::fenced;
use program::{Program, program};
use sphc::diag::{Severity, render};
use sphc::ir::{Extern, Phase, Precision};
use sphc::lower::Settings;
use sphc::pipeline::{Compiled, Identity, check, compile};
use sphc::plan::Plan;
use sphc::runtime::Session;
use sphc::runtime::cpu::CpuBackend;
use sphc::train::weights::{Need, Weights, kept, write};
use sphc::train::{Meaning, Record};
use sphc::verify::{self, bind_noise};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Steps of a training, and those before it is killed.
const STEPS: u64 = 4;
const KILLED_AFTER: u64 = 2;

fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().map_or(otherwise, |it| it.parse().expect("a number"))
}

/// What became of a program.
enum Outcome {
    /// `check` has something against it.
    Refused(String),
    /// All is well; a parameter's gradient may not have been compared.
    Right { gradients: usize, launches: usize, finite: bool },
}

/// Compiles a program; or what `check` says.
fn compiled(program: &Program, precision: Precision) -> Result<Compiled, String> {
    let settings = Settings { data: Some(program.data.clone()), ..Settings::default() };
    let checked = check("random.sph", &program.text, &mut |_| Err("there are no imports".into()), &settings);
    let wrong: Vec<_> = checked.diagnostics.iter().filter(|it| it.severity() == Severity::Error).cloned().collect();
    match checked.typed {
        Some(typed) if wrong.is_empty() => Ok(compile(typed, &checked.sources, precision, Identity::default())),
        _ => Err(render::render(&wrong, &checked.sources, false)),
    }
}

/// What a training leaves behind, in bits: losses of every step, evaluations, parameters and states.
fn trained(plan: &Plan, threads: usize, within_fences: bool, killed: bool) -> Result<Vec<u8>, String> {
    let (plan, fences) = if within_fences {
        let (plan, fences) = fenced(plan.clone());
        (Arc::new(plan), Some(fences))
    } else {
        (Arc::new(plan.clone()), None)
    };
    let error = |it: sphc::runtime::RuntimeError| it.to_string();
    let open = || -> Result<Session, String> {
        let backend = CpuBackend::new(plan.clone(), Some(threads)).map_err(error)?;
        let mut session = Session::new(plan.clone(), Box::new(backend)).map_err(error)?;
        bind(&mut session)?;
        Ok(session)
    };
    let mut session = open()?;
    let mut trace = Vec::new();
    let run = |session: &mut Session, phase: Phase, trace: &mut Vec<u8>| -> Result<(), String> {
        if let Some(it) = &fences {
            it.put_up(session).map_err(error)?;
        }
        session.run(phase).map_err(error)?;
        for name in plan.phases[&phase].results.keys() {
            trace.extend(session.result(phase, name).unwrap().iter().flat_map(|it| it.to_bits().to_ne_bytes()));
        }
        match fences.as_ref().map(|it| it.trespass(session)).transpose().map_err(error)?.flatten() {
            Some(it) => Err(format!("{phase:?}: {it}")),
            None => Ok(()),
        }
    };
    let training = plan.training.clone().ok_or("there is no recipe")?;
    for step in 1..=STEPS {
        run(&mut session, Phase::Step, &mut trace)?;
        if 0 < training.project_every && step % training.project_every == 0 {
            run(&mut session, Phase::Project, &mut trace)?;
        }
        if killed && step == KILLED_AFTER {
            let file = tempfile::NamedTempFile::new().map_err(|it| it.to_string())?;
            let meaning = Meaning {
                classes: Vec::new(),
                target: training.target.clone(),
                image: training.image.clone(),
                dtype: training.dtype,
                steps: Vec::new(),
                range: sphc::ir::Extremes::BYTES,
                fingerprints: None,
                counts: None,
            };
            write(&session, step, &meaning, &Record::default(), &mut file.as_file()).map_err(|it| it.to_string())?;
            session = open()?;
            let weights = Weights::read(file.path())?;
            let problems = weights.problems(&plan, Need::Resume);
            // What is NaN is refused, and rightly.
            if !problems.is_empty() && trace_is_finite(&trace) {
                return Err(format!("the checkpoint has {problems:?}"));
            }
            weights.load(&mut session, Need::Resume).map_err(|it| it.to_string())?;
        }
    }
    session.write("evaluate_start", &[0.0]).map_err(error)?;
    for _ in (0..training.test_examples).step_by(training.part()) {
        run(&mut session, Phase::Evaluate, &mut trace)?;
    }
    for buffer in kept(&plan) {
        trace.extend(session.bytes(&buffer.name).map_err(error)?);
    }
    Ok(trace)
}

/// Whether the numbers that were traced (before parameters are) are finite.
fn trace_is_finite(trace: &[u8]) -> bool {
    trace.chunks_exact(8).all(|it| it.try_into().is_ok_and(|it| f64::from_bits(u64::from_ne_bytes(it)).is_finite()))
}

/// Images and labels as a data set has them.
fn bind(session: &mut Session) -> Result<(), String> {
    let training = session.plan.training.clone().ok_or("there is no recipe")?;
    let each: usize = training.image.len();
    let splits = [
        (Extern::TrainImages, Extern::TrainLabels, training.train_examples),
        (Extern::TestImages, Extern::TestLabels, training.test_examples),
    ];
    for (images, labels, examples) in splits {
        let pixels: Vec<u8> = (0..examples * each).map(|it| ((it * it * 31 + it * 7) % 256) as u8).collect();
        let classes: Vec<u8> =
            (0..examples).flat_map(|it| ((it * 3 % training.classes) as i64).to_ne_bytes()).collect();
        session.bind(images, &pixels).map_err(|it| it.to_string())?;
        session.bind(labels, &classes).map_err(|it| it.to_string())?;
    }
    Ok(())
}

/// Trains a program in every way, and verifies it; or what is wrong.
fn judged(program: &Program) -> Result<Outcome, String> {
    let (mut gradients, mut launches, mut finite) = (0, 0, true);
    for precision in [Precision::F32, Precision::F64] {
        let Compiled { training, plan, .. } = match compiled(program, precision) {
            Ok(it) => it,
            Err(it) => return Ok(Outcome::Refused(it)),
        };
        let expected = trained(&plan, 1, false, false)?;
        let losses = expected.len() - kept(&plan).map(|it| it.shape.len() * precision.bytes(it.dtype)).sum::<usize>();
        finite &= trace_is_finite(&expected[..losses]);
        for (threads, within_fences, killed) in [(2, true, false), (3, false, true)] {
            if trained(&plan, threads, within_fences, killed)? != expected {
                let how = if within_fences { "other places" } else { "a kill and another start" };
                return Err(format!("{precision:?}: {threads} threads and {how} make a difference"));
            }
        }
        if precision == Precision::F64 {
            let found = verify::gradients(&training, Some(2), false).map_err(|it| it.to_string())?;
            gradients += found.checks().iter().filter(|it| it.compared).count();
            if let Some(it) = found.checks().iter().find(|it| !it.passed()) {
                return Err(format!("a gradient: {it:?}"));
            }
        }
        let plan = Arc::new(plan.spread());
        let backend = CpuBackend::new(plan.clone(), Some(2)).map_err(|it| it.to_string())?;
        let mut session = Session::new(plan, Box::new(backend)).map_err(|it| it.to_string())?;
        bind_noise(&mut session).map_err(|it| it.to_string())?;
        let found = verify::kernels(&mut session).map_err(|it| it.to_string())?;
        launches += found.len();
        if let Some(it) = found.iter().find(|it| !it.passed()) {
            return Err(format!("{precision:?}: a kernel: {it:?}\n{}", kernel_of(&session.plan, it)));
        }
    }
    Ok(Outcome::Right { gradients, launches, finite })
}

fn kernel_of(plan: &Plan, it: &verify::KernelCheck) -> String {
    let launch = &plan.phases[&it.phase].launches[it.launch];
    plan.kernels[launch.kernel].to_string()
}

/// The same, where a panic is wrong as well.
fn judged_with_panics(program: &Program) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| judged(program))).unwrap_or_else(|it| {
        let text = it.downcast_ref::<String>().cloned();
        Err(text.or_else(|| it.downcast_ref::<&str>().map(|it| (*it).to_owned())).unwrap_or_else(|| "a panic".into()))
    })
}

#[test]
fn random_programs_give_the_same_bits_in_every_way_and_right_gradients_and_kernels() {
    let (count, first) = (setting("SPHC_RANDOM_PROGRAMS", 100), setting("SPHC_RANDOM_SEED", 0));
    let (mut refused, mut failures) = (Vec::new(), Vec::new());
    let (mut gradients, mut launches, mut infinite) = (0, 0, 0);
    for seed in first..first + count {
        if seed != first && (seed - first).is_multiple_of(100) {
            eprintln!("{} programs, {} wrong", seed - first, failures.len());
        }
        let found = program(&mut Choices::new(seed as u64));
        match judged_with_panics(&found) {
            Ok(Outcome::Refused(why)) => refused.push(format!("seed {seed}: {why}")),
            Ok(Outcome::Right { gradients: compared, launches: run, finite }) => {
                gradients += compared;
                launches += run;
                infinite += usize::from(!finite);
            }
            Err(why) => {
                // At once, as making it simple takes a while.
                eprintln!("seed {seed}: {why}");
                let fails = |mut it: Choices| judged_with_panics(&program(&mut it)).is_err();
                let simple = if failures.len() < 3 {
                    simplest(Choices::new(seed as u64), 150, &mut { fails })
                } else {
                    Choices::new(seed as u64)
                };
                let text = program(&mut simple.clone());
                let still = judged_with_panics(&text).err().unwrap_or_default();
                failures.push(format!(
                    "seed {seed}: {why}\nas simple as it gets, {:?}:\n{}\n{still}",
                    text.data, text.text
                ));
            }
        }
    }
    println!(
        "{count} programs from {first} on: {} refused, {infinite} not finite, {gradients} gradients and {launches} launches \
         verified, {} wrong",
        refused.len(),
        failures.len()
    );
    assert!(failures.is_empty(), "{} of {count}\n{}", failures.len(), failures.join("\n\n"));
    assert!(refused.len() * 10 <= count, "{} refused\n{}", refused.len(), refused.join("\n"));
    assert!(infinite * 10 <= count && 4 * (count - refused.len()) <= gradients, "{infinite} {gradients}");
}

#[cfg(feature = "cuda")]
#[test]
fn kernels_of_random_programs_as_cuda_stay_within_their_buffers_and_give_the_interpreters_numbers() {
    if !crate::backends::emulate::module::available() || crate::backends::emulate::module::device().is_some() {
        return;
    }
    let (kernels, first) = (setting("SPHC_RANDOM_KERNELS", 48), setting("SPHC_RANDOM_SEED", 0));
    let mut collection = cuda::Collection::default();
    for seed in first.. {
        let found = program(&mut Choices::new(seed as u64));
        let precision = [Precision::F32, Precision::Bf16, Precision::F32, Precision::Tf32][seed % 4];
        if let Ok(it) = compiled(&found, precision) {
            let program = format!("seed {seed}, {:?}\n{}", found.data, found.text);
            collection.add(&it.plan, &program, 2);
        }
        if kernels <= collection.cases.len() || 20 * kernels < seed - first {
            break;
        }
    }
    let wrong = collection.run();
    println!("{} kinds of kernels, {} wrong", collection.cases.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(kernels <= collection.cases.len() || 200 < kernels);
}
