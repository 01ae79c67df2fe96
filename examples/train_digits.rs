//! Trains a small network on the embedded digits and shows what happens as it happens, then evaluates what was learned.
//!
//! `cargo run --example train_digits [ITERATIONS]`

use sphc::{DeviceOptions, Event, Model, Options, TrainOptions};
use std::error::Error;

const TEXT: &str = r#"
model Digits {
    input image: u8[8, 8, 1]

    x = (image - 8) / 8
    x = sphere_conv(x, 4, operator: cosine) |> batch_norm |> relu
    x = max_pool(x, 4)
    output conv(x, classes, kernel: 2, pad: valid)
}

train {
    data      digits
    batch     16
    iterations 20
    loss      softmax_cross_entropy
    optimizer adam(rate: 1e-2)
    evaluate  every 10
}
"#;

#[allow(clippy::disallowed_methods, reason = "a program may read its arguments")]
fn main() -> Result<(), Box<dyn Error>> {
    let iterations = std::env::args().nth(1).map(|it| it.parse()).transpose()?;
    let model = Model::from_text("digits.sph", TEXT).with(Options { iterations, ..Options::default() });
    let device = DeviceOptions::cpu();

    let folder = tempfile::tempdir()?;
    let run = folder.path().join("run");
    let report = model.train(&TrainOptions::new(&run), &device, &mut |event| match event {
        Event::Device { name } => println!("on {name}"),
        Event::Step { losses, logged: true } => println!("step {:>4}: loss {:.4}", losses.iteration, losses.loss),
        Event::Tested(it) => println!("step {:>4}: test loss {:.4}", it.iteration, it.test_loss),
        Event::Checkpoint { step, path } => println!("step {step:>4}: wrote {}", path.display()),
        Event::Ended(it) => println!("{} steps in {:.1} s", it.step, it.seconds),
        // There are others, such as that of a run which is gone on with.
        _ => {}
    })?;

    let weights = report.checkpoint.ok_or("a training ends with a checkpoint")?;
    // Nobody stops it, so there is a result.
    if let Some(found) = model.evaluate(&weights, &device, &|| false, &mut |_, _| {})? {
        println!("accuracy {:?} on {} test images", found.accuracy, found.examples);
    }
    Ok(())
}
