//! Diagnostics after changes, of unsaved imports too, and what mends them.

use super::answers::TEXT;
use super::client::{Client, position, slice};
use serde_json::{Value, json};

fn codes(found: &[Value]) -> Vec<&str> {
    found.iter().map(|it| it["code"].as_str().unwrap()).collect()
}

fn range(text: &str, from: &str, to: &str) -> Value {
    json!({ "start": position(text, from), "end": position(text, to) })
}

#[test]
fn diagnostics_are_those_of_check_with_what_mends_them() {
    let mut client = Client::new();
    // A misspelt layer, and a smoothing out of range in a line with signs of several units before it.
    let text = TEXT.replace("|> relu", "|> rleu").replace("import \"std/heads.sph\"\n", "");
    client.open("small.sph", &text);
    let found = client.diagnostics("small.sph", |it| !it.is_empty());
    assert_eq!(codes(&found), ["E0101"]);
    let told = &found[0];
    assert_eq!(slice(&text, &told["range"]), "rleu");
    assert_eq!((&told["severity"], &told["source"]), (&json!(1), &json!("sphc")));
    let message = told["message"].as_str().unwrap();
    assert!(
        message.starts_with("unknown layer, block or function `rleu`")
            && message.contains("help: did you mean `relu`?"),
        "{message}"
    );
    // The page of the code is a file.
    let page = told["codeDescription"]["href"].as_str().unwrap().strip_prefix("file://").unwrap();
    assert!(std::fs::read_to_string(page).unwrap().starts_with("# E0101: unknown operator, block or function"));

    let params = json!({
        "textDocument": { "uri": client.uri("small.sph") },
        "range": told["range"],
        "context": { "diagnostics": found },
    });
    let actions = client.ask("textDocument/codeAction", params);
    let action = &actions[0];
    assert_eq!(
        (&action["title"], &action["kind"], &action["isPreferred"]),
        (&json!("did you mean `relu`?"), &json!("quickfix"), &json!(true))
    );
    assert_eq!(action["diagnostics"][0]["code"], "E0101");
    let edit = &action["edit"]["changes"][client.uri("small.sph")][0];
    assert_eq!((slice(&text, &edit["range"]), &edit["newText"]), ("rleu", &json!("relu")));
    client.change("small.sph", 2, edit["range"].clone(), "relu");
    let mended = client.diagnostics("small.sph", |it| it.is_empty());
    assert_eq!(mended, Vec::<Value>::new());
}

#[test]
fn a_report_names_the_other_places_and_warnings_are_warnings() {
    let mut client = Client::new();
    let text = "param width = 4\nparam width = 5\nfn idle(x) = x\n\nmodel M {\n    input image: u8[8, 8, 1]\n    output conv(image, width)\n}\n";
    client.open("m.sph", text);
    let found = client.diagnostics("m.sph", |it| it.iter().any(|it| it["code"] == "E0103"));
    let twice = found.iter().find(|it| it["code"] == "E0103").unwrap();
    let other = &twice["relatedInformation"][0];
    assert_eq!(other["location"]["range"]["start"]["line"], 0);
    assert!(other["message"].as_str().unwrap().contains("first defined here"), "{other}");
    let unused = found.iter().find(|it| it["code"] == "W0104").unwrap_or_else(|| panic!("{found:#?}"));
    assert_eq!((&unused["severity"], &unused["tags"], slice(text, &unused["range"])), (&json!(2), &json!([1]), "idle"));
}

#[test]
fn changes_of_parts_follow_each_other_in_both_encodings() {
    for encoding in ["utf-16", "utf-8"] {
        let offered = json!({ "general": { "positionEncodings": [encoding, "utf-16"] } });
        let mut client = Client::with(offered);
        assert_eq!(client.able["positionEncoding"], encoding);
        let text = "// ä😀\nparam width: int = 4  // 😀\n\nfn twice(x) = 2 * x\n";
        client.open("m.sph", text);
        // Behind signs of two and four bytes, one and two units.
        let columns = if encoding == "utf-8" { 9 } else { 6 };
        let at = json!({ "line": 0, "character": columns });
        client.change("m.sph", 2, json!({ "start": at, "end": at }), "!\nparam deep = \"é\"");
        client.change(
            "m.sph",
            3,
            json!({ "start": { "line": 2, "character": 6 }, "end": { "line": 2, "character": 11 } }),
            "wide",
        );
        let params = json!({ "textDocument": { "uri": client.uri("m.sph") } });
        let found = client.ask("textDocument/documentSymbol", params);
        let names: Vec<&str> = found.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["deep", "wide", "twice"], "{encoding}");
        assert_eq!(found[1]["range"]["start"]["line"], 2);
        // The same columns come back: those of the string are behind `é`.
        let end = found[0]["range"]["end"]["character"].as_u64().unwrap();
        assert_eq!(end, if encoding == "utf-8" { 17 } else { 16 });
    }
}

#[test]
fn an_unsaved_import_counts_and_is_told_of_where_it_is_wrong() {
    let mut client = Client::new();
    client.write("parts/blocks.sph", "block unit(x) = relu(x)\n");
    let text =
        "import \"parts/blocks.sph\"\n\nmodel M {\n    input image: u8[8, 8, 1]\n    output conv(unit(image), 3)\n}\n";
    client.open("m.sph", text);
    assert_eq!(client.diagnostics("m.sph", |_| true), Vec::<Value>::new());
    // The block gets another name in the editor only.
    client.open("parts/blocks.sph", "block other(x) = relu(x)\n");
    let found = client.diagnostics("m.sph", |it| !it.is_empty());
    assert_eq!((codes(&found), slice(text, &found[0]["range"])), (vec!["E0101"], "unit"));
    // A mistake in it is told there, once, though two documents read it.
    client.change("parts/blocks.sph", 2, Value::Null, "block unit(x) = relu(y)\n");
    let found = client.diagnostics("parts/blocks.sph", |it| it.iter().any(|it| it["code"] == "E0102"));
    assert_eq!(codes(&found).iter().filter(|it| **it == "E0102").count(), 1, "{found:#?}");
    client.diagnostics("m.sph", |it| it.iter().all(|it| it["code"] != "E0101"));
    // Closed, the file counts.
    let uri = client.uri("parts/blocks.sph");
    client.tell("textDocument/didClose", json!({ "textDocument": { "uri": uri } }));
    assert_eq!(client.diagnostics("parts/blocks.sph", |it| it.is_empty()), Vec::<Value>::new());
    // So does what is written to the disk, once it is told.
    client.write("parts/blocks.sph", "block third(x) = relu(x)\n");
    let changed = json!({ "changes": [{ "uri": uri, "type": 2 }] });
    client.tell("workspace/didChangeWatchedFiles", changed);
    let found = client.diagnostics("m.sph", |it| !it.is_empty());
    assert_eq!(codes(&found), ["E0101"]);
    // And what a change of the text mends is gone.
    client.change("m.sph", 2, range(text, "(@unit", "unit@(image"), "third");
    assert_eq!(client.diagnostics("m.sph", |it| it.is_empty()), Vec::<Value>::new());
}

#[test]
fn shapes_that_do_not_fit_are_told_after_names_are() {
    let mut client = Client::new();
    let text = TEXT.replace("kernel: 4, pad: valid", "kernel: 9, pad: valid");
    client.open("small.sph", &text);
    let found = client.diagnostics("small.sph", |it| codes(it).contains(&"E0301"));
    let told = found.iter().find(|it| it["code"] == "E0301").unwrap();
    assert!(told["message"].as_str().unwrap().contains("note: "), "{told}");
}
