//! `sphc show`: every view has every layer.

use serde_json::Value;
use std::process::Command;

fn show(format: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sphc"))
        .args(["show", "models/sphereresnet32.sph", "--set", "units=1", "--format", format])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_view_has_every_layer() {
    let json: Value = serde_json::from_str(&show("json")).unwrap();
    let layers: Vec<&str> = json["layers"].as_array().unwrap().iter().map(|it| it["layer"].as_str().unwrap()).collect();
    assert!(layers.contains(&"block2_unit0/shortcut"), "{layers:?}");
    for format in ["table", "dot", "svg"] {
        let text = show(format);
        for layer in &layers {
            assert!(text.contains(layer), "{format}: no {layer}\n{text}");
        }
    }
}

#[test]
fn a_picture_is_one_element_with_a_curve_for_each_skip() {
    let text = show("svg");
    assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
    assert_eq!(text.matches("<text").count(), text.matches("</text>").count());
    assert!(text.matches(" q").count() >= 2 * 3, "three units skip");
}
