//! The library's face: what it gives, that it says nothing by itself, and that the examples run.

use crate::runs::cli::MODEL;
use sphc::{Answer, DeviceOptions, Error, Event, Model, Notice, Options, TrainOptions};
use std::process::Command;
use std::sync::{Arc, Mutex};

fn tiny() -> Model {
    Model::from_text("tiny.sph", MODEL)
}

#[test]
fn mistakes_are_values_with_places() {
    let model = Model::from_text("tiny.sph", MODEL.replace("max_pool", "max_pol"));
    let checked = model.check().unwrap();
    let found = &checked.diagnostics[0];
    assert_eq!(checked.sources.slice(found.primary.span), "max_pol");
    assert!(checked.typed.is_none());
    let told = Arc::new(Mutex::new(0));
    let count = told.clone();
    let model = model.telling(move |it| match it {
        Notice::Found { diagnostics, .. } => *count.lock().unwrap() += diagnostics.len(),
        Notice::Warning(it) => panic!("{it}"),
    });
    match model.compile() {
        Err(Error::Model(it)) => assert_eq!(it.diagnostics, checked.diagnostics),
        Err(it) => panic!("{it}"),
        Ok(_) => panic!("it compiles"),
    }
    assert_eq!(*told.lock().unwrap(), checked.diagnostics.len());
}

#[test]
fn errors_have_types_and_remedies() {
    let message = |it: Result<Model, Error>| it.err().unwrap();
    let found = message(Model::open("no/such.sph"));
    assert!(matches!(found, Error::Text { .. }), "{found}");
    assert!(found.to_string().contains("check the path"), "{found}");
    let found = message(Model::from_reader("here", &[b'a', 0xff][..]));
    assert!(found.to_string().contains("it is not UTF-8 text (byte 1)"), "{found}");
    let nowhere = Options { data: Some("nowhere".to_owned()), ..Options::default() };
    let found = tiny().with(nowhere).ready().err().unwrap();
    assert!(matches!(found, Error::Data(_)), "{found}");
    let large = Options { batch: Some(1 << 40), ..Options::default() };
    let found = tiny().with(large).ready().err().unwrap();
    assert!(matches!(found, Error::Model(_)), "{found}");
    let validation = Options { split: sphc::Split::Validation, ..Options::default() };
    let found = tiny().with(validation).ready().err().unwrap();
    assert!(matches!(found, Error::Options { .. }), "{found}");
    // Errors go between threads, and so do models.
    fn sendable<T: Send + Sync + 'static>() {}
    sendable::<Error>();
    sendable::<Model>();
}

#[test]
fn a_training_tells_events_and_its_weights_are_evaluated_and_asked() {
    let folder = tempfile::tempdir().unwrap();
    let device = DeviceOptions { threads: Some(1), ..DeviceOptions::cpu() };
    let mut told = Vec::new();
    let how = TrainOptions { log_every: 1, ..TrainOptions::new(folder.path().join("run")) };
    let report = tiny().train(&how, &device, &mut |event| {
        told.push(match event {
            Event::Device { .. } => "device".to_owned(),
            Event::Started { step, .. } => format!("started {step}"),
            Event::Step { losses, .. } => format!("step {}", losses.iteration),
            Event::Tested(it) => format!("tested {}", it.iteration),
            Event::Checkpoint { step, .. } => format!("checkpoint {step}"),
            Event::Ended(it) => format!("ended {}", it.step),
            it => panic!("{it:?}"),
        })
    });
    let report = report.unwrap();
    let mut expected = vec!["device".to_owned(), "started 0".to_owned()];
    for at in 0..12 {
        expected.push(format!("step {at}"));
        if [4, 9, 11].contains(&at) {
            expected.push(format!("tested {}", at + 1));
        }
    }
    expected.extend(["checkpoint 12".to_owned(), "ended 12".to_owned()]);
    assert_eq!(told, expected);

    // A second one does not go into the same directory.
    let again = tiny().train(&how, &device, &mut |_| {}).unwrap_err();
    assert!(matches!(&again, Error::Train(it) if it.to_string().contains("already holds a run")), "{again}");

    let weights = report.checkpoint.unwrap();
    let mut scores = Vec::new();
    let found = tiny().evaluate(&weights, &device, &|| false, &mut |_, it| scores.push(it.to_vec())).unwrap().unwrap();
    assert_eq!(Some(found.loss), report.last.map(|it| it.test_loss));
    assert_eq!(tiny().evaluate(&weights, &device, &|| true, &mut |_, _| {}).unwrap(), None);

    // More images than it was made for, and the data set's own: the same scores.
    let ready = tiny().ready().unwrap();
    let pixels = &ready.data().test.images[..64 * 10];
    let mut predictor = tiny().predictor(&weights, 3, &device).unwrap();
    assert_eq!((predictor.image(), predictor.classes().len()), (&[8, 8, 1].into(), 10));
    let answers = predictor.pixels(pixels).unwrap();
    for (answer, scores) in answers.iter().zip(&scores) {
        assert_eq!(answer.scores, *scores);
        let Answer::Class(all) = &answer.answer else { panic!("{answer:?}") };
        let likeliest = (0..10).fold(0, |best, it| if scores[best] < scores[it] { it } else { best });
        assert_eq!((all.len(), all[0].0), (10, likeliest));
        assert!((all.iter().map(|it| it.1).sum::<f64>() - 1.0).abs() < 1e-12);
    }
    assert_eq!(answers.len(), 10);
    let found = predictor.pixels(&pixels[..65]).unwrap_err();
    assert!(found.to_string().contains("65 bytes are not whole examples of 64 bytes"), "{found}");
}

/// What an example of `examples/` prints, given this on standard input.
fn example(name: &str, input: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_BIN_EXE_sphc")).with_file_name("examples").join(name);
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("input");
    std::fs::write(&text, input).unwrap();
    let output = Command::new(path)
        .current_dir(folder.path())
        .stdin(std::fs::File::open(&text).unwrap())
        .output()
        .expect("the examples were built");
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{name}: {said}{}", crate::runs::cli::errors(&output));
    assert!(output.stderr.is_empty(), "{name}: {}", crate::runs::cli::errors(&output));
    said
}

#[test]
fn the_examples_run() {
    // `cargo test --test all` does not build them.
    let root = env!("CARGO_MANIFEST_DIR");
    let built = Command::new(env!("CARGO")).args(["build", "--quiet", "--examples"]).current_dir(root).status();
    assert!(built.unwrap().success());
    let said = example("train_digits", "");
    for it in
        ["on CPU", "step    0: loss", "step   10: test loss", "step   20: wrote", "20 steps in", "on 360 test images"]
    {
        assert!(said.contains(it), "{it}: {said}");
    }
    let said = example("check_text", "");
    assert!(said.contains("tiny.sph") && said.contains("did you mean `max_pool`") && said.contains("false"), "{said}");
    let said = example("check_text", MODEL);
    assert_eq!(said, "{\"sound\":true}\n");
    let said = example("sweep_widths", "");
    let parameters: Vec<usize> =
        said.lines().skip(1).map(|it| it.split_whitespace().nth(1).unwrap().parse().unwrap()).collect();
    // `width` filters of 9 numbers, and 10 of 2 * 2 * `width`; no biases.
    assert_eq!(parameters, [4, 8, 16, 32].map(|width| 9 * width + 10 * 4 * width));
}
