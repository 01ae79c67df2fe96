//! Checks the text on standard input, or one with mistakes, and prints what is wrong with it as JSON: a line for each
//! mistake, with its place and what mends it.
//!
//! `cargo run --example check_text < model.sph`

use serde_json::json;
use sphc::Model;
use std::error::Error;
use std::io::{IsTerminal, stdin};

/// What is checked where nothing is piped in.
const TEXT: &str = r#"model Tiny {
    input image: u8[8, 8, 1]
    x = max_pol(image / 255, 4)
    output conv(x, 10, kernel: 2, pad: valid)
}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let piped = Model::from_reader("stdin.sph", stdin().lock());
    let model = match piped {
        Ok(it) if !stdin().is_terminal() && !it.text()?.trim().is_empty() => it,
        _ => Model::from_text("tiny.sph", TEXT),
    };
    let checked = model.check()?;
    for it in &checked.diagnostics {
        let span = it.primary.span;
        let source = checked.sources.get(span.file);
        let helps: Vec<&str> = it.helps.iter().map(|it| it.text.as_str()).collect();
        println!(
            "{}",
            json!({ "file": source.name, "bytes": [span.start, span.end], "message": it.message, "help": helps })
        );
    }
    println!("{}", json!({ "sound": checked.typed.is_some() }));
    Ok(())
}
