//! Compiles one model with several values of a parameter, and tells what each would cost; nothing is trained.
//!
//! `cargo run --example sweep_widths`

use sphc::Model;
use std::error::Error;

const TEXT: &str = r#"
param width: int = 8

model Digits {
    input image: u8[8, 8, 1]

    x = (image - 8) / 8
    x = sphere_conv(x, width, operator: cosine) |> relu
    x = max_pool(x, 4)
    output conv(x, classes, kernel: 2, pad: valid)
}

train {
    data      digits
    batch     64
    iterations 100
    loss      softmax_cross_entropy
    optimizer adam(rate: 1e-3)
}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let model = Model::from_text("digits.sph", TEXT);
    println!("width  parameters  bytes in training");
    for width in [4, 8, 16, 32] {
        let compiled = model.clone().set("width", width.to_string()).compile()?;
        let graph = compiled.checked.graph().ok_or("what compiles has a graph")?;
        let parameters: usize = graph.params.iter().map(|it| it.shape.len()).sum();
        println!("{width:>5}  {parameters:>10}  {:>17}", compiled.plan().memory().total());
    }
    Ok(())
}
