//! Renaming what means something by its name, or is named by the recipe.

use super::client::Client;
use serde_json::{Value, json};

const TEXT: &str = r#"operator own(theta, k = 0.3) = tanh((pi / 2 - theta) / k)

param best = 3
param width = 8

block outer(x, n: int) {
    learn bonus: [n] = 1
    learn scale: [n] = 1
    learn twice: [n] = 1
    y = sphere_conv(x, n, operator: own) as "first{best}"
    relu(y * bonus + scale * twice)
}

block other(x) {
    learn twice: [channels(x)] = 1
    learn weights: filter [1, 1, channels(x), 4] = he
    learn beta: [channels(x)] = 0
    convolve(x * twice + beta, weights)
}

optimizer mine(rate) {
    keep m = 0
    m = 0.9 * m + gradient
    value - rate * m
}

loss myloss(scores, label) = label_cross_entropy(scores, label)

model Main {
    input image: u8[8, 8, 1]
    x = (image - 8) / 8
    x = outer(x, width) |> other
    output dense(x, classes) as "score"
}

train {
    data       digits
    batch      64
    iterations 100
    loss       myloss()
    penalty    l2(1e-4) on bonus, twice where layer != "score"
    optimizer  mine(rate: 0.1)
    evaluate   every 50
    checkpoint best every 50
}
"#;

fn opened() -> Client {
    let mut client = Client::new();
    client.open("own.sph", TEXT);
    client
}

fn rename(client: &mut Client, mark: &str, new: &str) -> Value {
    let mut params = client.place("own.sph", TEXT, mark);
    params["newName"] = json!(new);
    client.ask("textDocument/rename", params)
}

/// The lines of the places of a name, from 1.
fn lines(client: &mut Client, mark: &str) -> Vec<u64> {
    let mut params = client.place("own.sph", TEXT, mark);
    params["context"] = json!({ "includeDeclaration": true });
    let found = client.ask("textDocument/references", params);
    let line = |it: &Value| it["range"]["start"]["line"].as_u64().unwrap() + 1;
    found.as_array().unwrap_or_else(|| panic!("{mark}: {found}")).iter().map(line).collect()
}

#[test]
fn what_says_by_its_name_what_it_is_keeps_it() {
    let mut client = opened();
    for (mark, new, why) in [
        ("own(th@eta", "cos", "`theta` says by its name what it is: a part of the geometry"),
        ("/ 2 - the@ta", "angle", "a part of the geometry"),
        ("scores, lab@el)", "zed", "`label` says by its name what it is: what the data has"),
        ("mine(ra@te)", "speed", "the rate, which a schedule changes"),
        ("learn be@ta", "shift", "its role"),
        // What is none of those must not become one.
        ("myloss(sco@res", "target", "stand for something else"),
        ("learn sca@le", "gamma", "stand for something else"),
        ("learn sca@le", "bonus", "stand for something else"),
    ] {
        let found = rename(&mut client, mark, new);
        assert!(found["message"].as_str().is_some_and(|it| it.contains(why)), "{mark} as {new}: {found}");
    }
    let found = client.at("prepareRename", "own.sph", TEXT, "own(th@eta");
    assert!(found["message"].as_str().is_some_and(|it| it.contains("geometry")), "{found}");
    // Constants are not given by their names.
    assert!(rename(&mut client, "k@ = 0.3", "width")["changes"].is_object());
}

#[test]
fn the_recipe_names_what_is_learned() {
    let mut client = opened();
    assert_eq!(lines(&mut client, "learn bon@us"), [7, 11, 41]);
    assert_eq!(lines(&mut client, "on bon@us"), [7, 11, 41]);
    assert_eq!(lines(&mut client, "learn twi@ce: [n]"), [9, 11, 41]);
    let found = client.at("definition", "own.sph", TEXT, "on bon@us");
    assert_eq!(found["range"]["start"], json!({ "line": 6, "character": 10 }));
    let found = rename(&mut client, "learn bon@us", "factor");
    let edits = found["changes"][client.uri("own.sph")].as_array().unwrap_or_else(|| panic!("{found}")).clone();
    assert_eq!(edits.len(), 3);
    // It would be selected as well, or become a group.
    for (mark, new, why) in [
        ("learn sca@le", "twice", "`twice`"),
        ("learn bon@us", "filters", "stand for something else"),
        // Layers of the prelude have one, too.
        ("learn bon@us", "gain", "stand for something else"),
        ("learn twi@ce: [n]", "double", "the recipe selects by `on twice` all that is called `twice`"),
    ] {
        let found = rename(&mut client, mark, new);
        assert!(found["message"].as_str().is_some_and(|it| it.contains(why)), "{mark} as {new}: {found}");
    }
}

#[test]
fn a_word_of_the_recipe_is_no_param_of_its_name() {
    let mut client = opened();
    assert_eq!(lines(&mut client, "param be@st"), [3, 10]);
    assert_eq!(client.at("definition", "own.sph", TEXT, "checkpoint be@st"), Value::Null);
    let found = rename(&mut client, "checkpoint be@st", "keepn");
    assert!(found["message"].as_str().is_some_and(|it| it.contains("word of the language")), "{found}");
    let found = rename(&mut client, "param be@st", "keepn");
    assert_eq!(found["changes"][client.uri("own.sph")].as_array().map(Vec::len), Some(2), "{found}");
}
