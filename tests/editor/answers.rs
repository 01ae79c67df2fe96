//! What is answered about a text that is sound.

use super::client::{Client, slice};
use serde_json::{Value, json};

pub(crate) const TEXT: &str = r#"import "std/heads.sph"

/// Operator of the spherical layers.
param norm: operator = cosine

/// Half of it.
fn half(x) = 0.5 * x

/// Convolution, batch normalisation, ReLU.
block unit(x, filters: int, stride: int = 1) {
    x
        |> sphere_conv(filters, stride: stride, operator: norm)
        |> batch_norm
        |> relu
}

/// Ä small one: 😀.
model Small {
    input image: u8[8, 8, 1]

    x = half(image - 8) / 4
    for i in 0..2 {
        x = unit(x, 8 * (i + 1)) as "unit{i}"
    }
    x = max_pool(x, 2)
    output conv(x, classes, kernel: 4, pad: valid) as "score"
}

train {
    data       digits
    batch      16
    iterations 400
    loss       softmax_cross_entropy(smoothing: 0.01)
    penalty    l2(5e-4) on filters
    optimizer  adam(rate: 1e-2)
}
"#;

fn opened() -> Client {
    let mut client = Client::new();
    client.open("small.sph", TEXT);
    client
}

fn hover(client: &mut Client, mark: &str) -> String {
    let found = client.at("hover", "small.sph", TEXT, mark);
    found["contents"]["value"].as_str().unwrap_or_else(|| panic!("{mark}: {found}")).to_owned()
}

/// Asks until the check is done, which takes a while on a busy machine.
fn checked(client: &mut Client, method: &str, params: &Value, done: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..600 {
        let found = client.ask(method, params.clone());
        if done(&found) {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{method}: the check does not end");
}

#[test]
fn hover_tells_signature_documentation_shape_and_parameters() {
    let mut client = opened();
    let place = client.place("small.sph", TEXT, "u@nit(x, 8");
    checked(&mut client, "textDocument/hover", &place, |it| it.to_string().contains("shape"));
    let cases: &[(&str, &[&str])] = &[
        // Filters of 3x3x1x8 and 3x3x8x16, and scale and shift of each filter.
        (
            "u@nit(x, 8",
            &[
                "block unit(x, filters: int, stride: int = 1)",
                "Convolution, batch normalisation, ReLU.",
                "`[8, 8, 8] | [8, 8, 16]`",
                "parameters: 1_272",
            ],
        ),
        (
            "batch_n@orm",
            &["layer batch_norm(x, decay: float = 0.9", "Batch normalisation: over the batch", "parameters: 48"],
        ),
        ("operator: no@rm", &["param norm: operator = cosine", "Operator of the spherical layers.", "value: `cosine`"]),
        ("h@alf(image", &["fn half(x)", "Half of it.", "`[8, 8, 1]`"]),
        ("model S@mall", &["model Small", "small one", "parameters: 3_832"]),
        ("x = max_p@ool", &["layer max_pool(", "`[4, 4, 16]`"]),
        ("a@dam", &["optimizer adam(rate", "Adam as TensorFlow 1 has it"]),
        ("ra@te: 1e", &["rate: float = 1e-3"]),
        ("ker@nel: 4", &["kernel: pair = 3"]),
        ("fil@ters: int", &["filters: int", "value: `8 | 16`"]),
    ];
    for (mark, expected) in cases {
        let found = hover(&mut client, mark);
        for it in *expected {
            assert!(found.contains(it), "{mark}: no `{it}` in\n{found}");
        }
    }
    assert_eq!(client.at("hover", "small.sph", TEXT, "16@\n"), Value::Null);
    assert_eq!(client.end(), 0);
}

#[test]
fn words_of_the_recipe_and_what_is_built_in_tell_what_they_do() {
    let text = TEXT
        .replace("data       digits", "data       digits |> pad(1)\n    augment    crop(pad: 4)\n    allow      W0303")
        .replace("    x = max_pool(x, 2)\n", "    x = max_pool(x, div(5, 2)) * mean(x, over: positions)\n")
        .replace(
            "model Small",
            "block own(x) {\n    learn g: [channels(x)] = normal(std: 0.2)\n    x * g\n}\n\nmodel Small",
        );
    let mut client = Client::new();
    client.open("words.sph", &text);
    let cases: &[(&str, &[&str])] = &[
        ("|> pa@d(1)", &["step pad(pixels: int)", "Pixels of 0 on every side"]),
        ("cr@op(pad: 4)", &["augmentation crop(", "random place"]),
        ("crop(pa@d: 4)", &["pad: int = 0"]),
        ("data       dig@its", &["8x8x1, 10 classes"]),
        ("W03@03", &["W0303", "penalty"]),
        ("iter@ations 400", &["entry iterations N", "Steps of the run"]),
        ("lo@ss  ", &["entry loss LOSS", "What is made small"]),
        ("di@v(5", &["function div(x, y)", "without its fraction"]),
        ("me@an(x", &["function mean(x", "The mean over these axes"]),
        ("ov@er: positions", &["over: axes = all"]),
        ("nor@mal(std", &["start normal(std: float)", "Normal, around 0"]),
        ("st@d: 0.2", &["std: float"]),
    ];
    for (mark, expected) in cases {
        let found = client.at("hover", "words.sph", &text, mark);
        let value = found["contents"]["value"].as_str().unwrap_or_else(|| panic!("{mark}: {found}"));
        for it in *expected {
            assert!(value.contains(it), "{mark}: no `{it}` in\n{value}");
        }
    }
}

#[test]
fn words_of_selectors_and_constants_tell_what_they_stand_for() {
    let text = TEXT
        .replace("on filters\n", "on filters, gamma where layer != \"score\" and role == filter and step < 3\n")
        .replace("    x = max_pool(x, 2)\n", "    x = max_pool(x, 2) * pi + mean(x, over: channels)\n")
        .replace(
            "model Small",
            "loss own(scores, target) = sum(target * scores) / classes\n\n\
             optimizer down(rate) = value - rate * gradient\n\nmodel Small",
        );
    let mut client = Client::new();
    client.open("words.sph", &text);
    let cases: &[(&str, &[&str])] = &[
        ("on filt@ers", &["parameters filters", "weights of layers"]),
        ("gam@ma where", &["parameters gamma", "Scales of normalisations"]),
        ("where lay@er", &["selector layer == \"NAME\"", "belongs to"]),
        ("and ro@le", &["selector role == ROLE", "`bias`"]),
        ("== filt@er", &["role filter", "weights"]),
        ("st@ep < 3", &["constant step", "updates are done"]),
        ("* p@i", &["constant pi = 3.141592653589793", "opposite vectors"]),
        ("over: chan@nels", &["axis channels", "last axis"]),
        ("/ cla@sses", &["constant classes: int", "How many classes"]),
        ("* grad@ient", &["given gradient", "derivative"]),
    ];
    for (mark, expected) in cases {
        let found = client.at("hover", "words.sph", &text, mark);
        let value = found["contents"]["value"].as_str().unwrap_or_else(|| panic!("{mark}: {found}"));
        for it in *expected {
            assert!(value.contains(it), "{mark}: no `{it}` in\n{value}");
        }
    }
}

#[test]
fn definitions_are_found_in_the_text_the_prelude_and_the_library() {
    let mut client = opened();
    let find = |client: &mut Client, mark: &str| -> (String, String) {
        let found = client.at("definition", "small.sph", TEXT, mark);
        let path = found["uri"]
            .as_str()
            .unwrap_or_else(|| panic!("{mark}: {found}"))
            .strip_prefix("file://")
            .unwrap()
            .to_owned();
        let text = if path.ends_with("small.sph") { TEXT.to_owned() } else { std::fs::read_to_string(&path).unwrap() };
        let name = path.rsplit_once('/').unwrap().1.to_owned();
        let line = text.lines().nth(found["range"]["start"]["line"].as_u64().unwrap() as usize).unwrap().to_owned();
        let word = if found["range"]["start"] == found["range"]["end"] {
            line
        } else {
            format!("{}: {line}", slice(&text, &found["range"]))
        };
        (name, word)
    };
    let cases = [
        ("u@nit(x, 8", "small.sph", "unit: block unit(x, filters: int, stride: int = 1) {"),
        ("|> re@lu", "prelude.sph", "relu: fn relu(x) = max(x, 0)"),
        ("= c@osine", "prelude.sph", "cosine: operator cosine(cos) = cos"),
        ("stride: str@ide", "small.sph", "stride: block unit(x, filters: int, stride: int = 1) {"),
        ("x@ = max_pool", "small.sph", "x:     x = half(image - 8) / 4"),
        ("a@dam", "prelude.sph", "adam: optimizer adam(rate"),
        ("\"std/he@ads.sph\"", "heads.sph", "//! "),
    ];
    for (mark, file, line) in cases {
        let (name, found) = find(&mut client, mark);
        assert_eq!(name, file, "{mark}");
        assert!(found.starts_with(line), "{mark}: {found}");
    }
    // Nobody can write into the program's own texts.
    let prelude = client.path("cache/prelude.sph");
    assert!(std::fs::metadata(&prelude).unwrap().permissions().readonly());
    // They can be looked at as any other, and nothing is wrong in them.
    let text = std::fs::read_to_string(&prelude).unwrap();
    client.open("cache/prelude.sph", &text);
    let found = client.at("hover", "cache/prelude.sph", &text, "layer sphere_c@onv(");
    assert!(found["contents"]["value"].as_str().unwrap().contains("layer sphere_conv("), "{found}");
    assert_eq!(client.diagnostics("cache/prelude.sph", |_| true), Vec::<Value>::new());
}

#[test]
fn places_of_a_name_are_found_and_renamed() {
    let mut client = opened();
    client.write("other.sph", "import \"small.sph\"\n\nparam mine: operator = norm\n\nfn quarter(x) = half(half(x))\n");
    let places = |client: &mut Client, mark: &str| {
        let mut params = client.place("small.sph", TEXT, mark);
        params["context"] = json!({ "includeDeclaration": true });
        let found = client.ask("textDocument/references", params);
        let line = |it: &Value| {
            let file = it["uri"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
            format!("{file}:{}", it["range"]["start"]["line"].as_u64().unwrap() + 1)
        };
        found.as_array().unwrap().iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(places(&mut client, "n@orm: operator"), ["other.sph:3", "small.sph:4", "small.sph:12"]);
    assert_eq!(places(&mut client, "h@alf(image"), ["other.sph:5", "other.sph:5", "small.sph:7", "small.sph:21"]);
    assert_eq!(places(&mut client, "stri@de: int"), ["small.sph:10", "small.sph:12"]);
    let found = places(&mut client, "|> re@lu");
    assert!(found.len() == 2 && found[0].starts_with("prelude.sph:") && found[1] == "small.sph:14", "{found:?}");
    let marked = client.at("documentHighlight", "small.sph", TEXT, "x@ = max_pool");
    assert_eq!(marked.as_array().unwrap().len(), 6, "{marked}");

    let rename = |client: &mut Client, mark: &str, new: &str| {
        let mut params = client.place("small.sph", TEXT, mark);
        params["newName"] = json!(new);
        client.ask("textDocument/rename", params)
    };
    let found = rename(&mut client, "h@alf(image", "part");
    let changes = found["changes"].as_object().unwrap_or_else(|| panic!("{found}"));
    let edits = |name: &str| changes[&client.uri(name)].as_array().unwrap().len();
    assert_eq!((changes.len(), edits("small.sph"), edits("other.sph")), (2, 2, 2));
    for (mark, new, why) in [
        ("re@lu", "mine", "`relu` is of prelude, which nobody can change"),
        ("a@dam", "mine", "is of prelude"),
        ("cl@asses", "mine", "`classes` is a word of the language"),
        ("n@orm: operator", "for", "`for` is no name"),
        ("n@orm: operator", "a b", "`a b` is no name"),
        ("n@orm: operator", "unit", "`unit` is defined twice"),
        // Within the block it would be the parameter.
        ("n@orm: operator", "stride", "stand for something else"),
        ("16@\n", "x", "there is no name here"),
    ] {
        let found = rename(&mut client, mark, new);
        assert!(found["message"].as_str().is_some_and(|it| it.contains(why)), "{mark} as {new}: {found}");
    }
    let found = client.at("prepareRename", "small.sph", TEXT, "n@orm: operator");
    assert_eq!(slice(TEXT, &found), "norm");
}

#[test]
fn hints_show_shapes() {
    let mut client = opened();
    let range = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 99, "character": 0 } });
    let params = json!({ "textDocument": { "uri": client.uri("small.sph") }, "range": range });
    let found =
        checked(&mut client, "textDocument/inlayHint", &params, |it| it.as_array().is_some_and(|it| !it.is_empty()));
    // The line, and the column where it is not the end of the line.
    let shown: Vec<String> = (found.as_array().unwrap().iter())
        .map(|it| {
            let line = TEXT.lines().nth(it["position"]["line"].as_u64().unwrap() as usize).unwrap();
            let (before, after) = line.split_at(it["position"]["character"].as_u64().unwrap() as usize);
            format!("{}<{}>{after}", before.trim_start(), it["label"].as_str().unwrap())
        })
        .collect();
    let expected = [
        "|> sphere_conv(filters, stride: stride, operator: norm)<[8, 8, 8] | [8, 8, 16]>",
        "|> batch_norm<[8, 8, 8] | [8, 8, 16]>",
        "|> relu<[8, 8, 8] | [8, 8, 16]>",
        "x<: [8, 8, 1]> = half(image - 8) / 4",
        "x<: [8, 8, 8] | [8, 8, 16]> = unit(x, 8 * (i + 1)) as \"unit{i}\"",
        "x<: [4, 4, 16]> = max_pool(x, 2)",
    ];
    assert_eq!(shown, expected);
    // Only what is in the range is told.
    let range = json!({ "start": { "line": 23, "character": 0 }, "end": { "line": 99, "character": 0 } });
    let params = json!({ "textDocument": { "uri": client.uri("small.sph") }, "range": range });
    assert_eq!(client.ask("textDocument/inlayHint", params).as_array().unwrap().len(), 1);
}

#[test]
fn symbols_are_the_items_with_what_they_name() {
    let mut client = opened();
    let params = json!({ "textDocument": { "uri": client.uri("small.sph") } });
    let found = client.ask("textDocument/documentSymbol", params);
    let names = |it: &Value| {
        it.as_array().map_or(Vec::new(), |all| all.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect())
    };
    assert_eq!(names(&found), ["std/heads.sph", "norm", "half", "unit", "Small", "train"]);
    assert_eq!(names(&found[4]["children"]), ["image", "unit{i}", "score"]);
    assert_eq!(names(&found[5]["children"]), ["data", "batch", "iterations", "loss", "penalty", "optimizer"]);
    assert_eq!(found[3]["detail"], "block (x, filters: int, stride: int = 1)");
}

#[test]
fn words_are_coloured_by_what_they_stand_for() {
    let mut client = opened();
    let legend = client.able["semanticTokensProvider"]["legend"].clone();
    let params = json!({ "textDocument": { "uri": client.uri("small.sph") } });
    let data = client.ask("textDocument/semanticTokens/full", params)["data"].as_array().unwrap().clone();
    let numbers: Vec<usize> = data.iter().map(|it| it.as_u64().unwrap() as usize).collect();
    let (mut line, mut column, mut found) = (0, 0, Vec::new());
    for it in numbers.chunks(5) {
        column = if it[0] == 0 { column + it[1] } else { it[1] };
        line += it[0];
        let range = json!({ "start": { "line": line, "character": column }, "end": { "line": line, "character": column + it[2] } });
        let modifiers: Vec<&str> = (0..3)
            .filter(|bit| it[4] >> bit & 1 == 1)
            .map(|bit| legend["tokenModifiers"][bit].as_str().unwrap())
            .collect();
        found.push(format!(
            "{} {} {}",
            slice(TEXT, &range),
            legend["tokenTypes"][it[3]].as_str().unwrap(),
            modifiers.join(" ")
        ));
    }
    for expected in [
        "import keyword ",
        "\"std/heads.sph\" string ",
        "/// Ä small one: 😀. comment ",
        "norm variable definition readonly",
        "operator keyword ",
        "int type ",
        "cosine macro defaultLibrary",
        "half function definition",
        "unit class definition",
        "sphere_conv class defaultLibrary",
        "filters parameter definition",
        "stride property ",
        "x variable definition",
        "Small namespace definition",
        "i variable ",
        "0.5 number ",
        "|> operator ",
        "adam class defaultLibrary",
        "digits enumMember ",
    ] {
        assert!(found.iter().any(|it| it == expected), "no `{expected}` in {found:#?}");
    }
}

#[test]
fn the_layout_is_that_of_the_formatter() {
    let mut client = Client::new();
    let crooked = TEXT.replace("x = max_pool(x, 2)", "x=max_pool( x,2 )");
    client.open("small.sph", &crooked);
    let params = json!({
        "textDocument": { "uri": client.uri("small.sph") },
        "options": { "tabSize": 4, "insertSpaces": true },
    });
    let found = client.ask("textDocument/formatting", params.clone());
    // One line is written anew.
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["newText"], "    x = max_pool(x, 2)\n");
    client.change("small.sph", 2, found[0]["range"].clone(), found[0]["newText"].as_str().unwrap());
    assert_eq!(client.ask("textDocument/formatting", params.clone()), json!([]));
    client.change("small.sph", 3, Value::Null, "model {");
    assert_eq!(client.ask("textDocument/formatting", params), Value::Null);
}
