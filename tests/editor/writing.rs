//! What helps while a line is written, which does not parse yet: completion and signatures.

use super::answers::TEXT;
use super::client::Client;
use serde_json::Value;

/// The text with a line in place of another, and what is completed at the `@` in it.
fn completed(old: &str, new: &str) -> Vec<Value> {
    let mut client = Client::new();
    client.write("near.sph", "fn near(x) = x\n");
    client.write("parts/far.sph", "fn far(x) = x\n");
    assert!(TEXT.contains(old), "{old}");
    let text = TEXT.replace(old, &new.replace('@', ""));
    client.open("small.sph", &text);
    client.at("completion", "small.sph", &text, new).as_array().unwrap().clone()
}

fn find<'v>(all: &'v [Value], label: &str) -> &'v Value {
    let labels: Vec<&str> = all.iter().map(|it| it["label"].as_str().unwrap()).collect();
    all.iter().find(|it| it["label"] == label).unwrap_or_else(|| panic!("no `{label}` in {labels:?}"))
}

fn lacks(all: &[Value], label: &str) {
    assert!(all.iter().all(|it| it["label"] != label), "`{label}` is proposed");
}

const LINE: &str = "    x = max_pool(x, 2)\n";

#[test]
fn names_are_completed_with_their_signatures() {
    let found = completed(LINE, "    x = max_pool(x, 2) + un@\n");
    let unit = find(&found, "unit");
    assert_eq!(unit["detail"], "block unit(x, filters: int, stride: int = 1)");
    assert_eq!(unit["documentation"]["value"], "Convolution, batch normalisation, ReLU.");
    for (name, detail) in [
        ("sphere_conv", "layer sphere_conv(x, filters: int"),
        ("half", "fn half(x)"),
        ("norm", "param norm: operator = cosine"),
        ("image", "value"),
        ("x", "value"),
        ("channels", "function channels(x)"),
    ] {
        let it = find(&found, name);
        assert!(it["detail"].as_str().unwrap().starts_with(detail), "{it}");
    }
    // Neither names of other bodies, nor what is bound below.
    lacks(&found, "filters");
    lacks(&found, "stride");
    // What is near comes first.
    let rank = |name: &str| find(&found, name)["sortText"].as_str().unwrap().to_owned();
    assert!(rank("image") < rank("half") && rank("half") < rank("sphere_conv"));
    // In a step of a chain only what takes a tensor.
    let found = completed("        |> relu\n", "        |> re@\n");
    find(&found, "relu");
    find(&found, "unit");
    lacks(&found, "norm");
}

#[test]
fn arguments_are_completed_with_what_they_take() {
    let found = completed(LINE, "    x = sphere_conv(x, 4, kernel: 3, @\n");
    assert_eq!(find(&found, "stride:")["detail"], "stride: int or [int, int] = 1");
    assert_eq!(find(&found, "stride:")["insertText"], "stride: ");
    find(&found, "operator:");
    lacks(&found, "kernel:");
    let found = completed(LINE, "    x = sphere_conv(x, 4, operator: @\n");
    assert!(find(&found, "lr_sigmoid")["detail"].as_str().unwrap().starts_with("operator lr_sigmoid("));
    find(&found, "norm");
    lacks(&found, "stride:");
    let found = completed(LINE, "    x = conv(x, 4, pad: @\n");
    find(&found, "valid");
    find(&found, "same");
}

#[test]
fn recipes_are_completed_by_their_own_words() {
    let entry = "    optimizer  adam(rate: 1e-2)\n";
    let found = completed(entry, "    @\n");
    let penalty = find(&found, "penalty");
    assert_eq!(penalty["detail"], "penalty l2(W) on TARGETS where CONDITION");
    assert!(penalty["documentation"]["value"].as_str().unwrap().contains("added to the loss"), "{penalty}");
    // It is there, and may not be twice.
    lacks(&found, "batch");
    lacks(&found, "sphere_conv");
    let cases = [
        ("    optimizer  @\n", "sgd", "optimizer sgd(rate: float"),
        ("    schedule   @\n", "cosine", "schedule cosine("),
        ("    data       @\n", "cifar10", "32x32x3, 10 classes"),
        ("    augment    @\n", "crop", "augmentation crop(height: int = the image's"),
        ("    augment    crop(@\n", "mode:", "mode: zero|reflect|symmetric"),
        ("    augment    crop(mode: @\n", "reflect", "mode: "),
        ("    penalty    l2(1e-4) on @\n", "gamma", "parameters"),
        ("    precision  @\n", "bf16", ""),
        ("    allow      @\n", "W0303", ""),
        ("    optimizer  sgd(@\n", "momentum:", "momentum: float = 0"),
        ("    loss       @\n", "softmax_cross_entropy", "loss softmax_cross_entropy("),
    ];
    for (line, label, detail) in cases {
        let found = completed(entry, line);
        let it = find(&found, label);
        assert!(it["detail"].as_str().unwrap_or_default().starts_with(detail), "{line}: {it}");
    }
}

#[test]
fn paths_and_items_are_completed() {
    let line = "import \"std/heads.sph\"\n";
    let found = completed(line, "import \"@\n");
    assert_eq!(find(&found, "std/heads.sph")["detail"], "library");
    assert_eq!(find(&found, "near.sph")["detail"], "file");
    assert_eq!(find(&found, "parts/")["detail"], "folder");
    let found = completed(line, "import \"parts/@\n");
    let far = find(&found, "parts/far.sph");
    assert_eq!(far["textEdit"]["range"]["start"]["character"], 8);
    let found = completed(line, "pa@\n");
    find(&found, "param");
    lacks(&found, "relu");
    // A comment is the writer's own.
    let found = completed(line, "// re@\n");
    assert!(found.is_empty());
}

#[test]
fn strings_hold_what_their_place_asks_for() {
    let found = completed(LINE, "    x = max_pool(x, 2) as \"pool{@}\"\n");
    find(&found, "image");
    find(&found, "norm");
    lacks(&found, "near.sph");
    lacks(&found, "sphere_conv");
    let entry = "    optimizer  adam(rate: 1e-2)\n";
    let found = completed(entry, "    freeze on filters where layer == \"@\"\n");
    find(&found, "score");
    lacks(&found, "near.sph");
    assert!(completed(LINE, "    x = max_pool(x, 2) as \"po@\"\n").is_empty());
    find(&completed("    data       digits\n", "    data       \"@\"\n"), "near.sph");
}

/// What repetitions name, only a whole check tells; the last one that was sound does, while a line is being written.
#[test]
fn layers_of_repetitions_are_completed() {
    let mut client = Client::new();
    client.open("small.sph", TEXT);
    client.diagnostics("small.sph", |it| it.is_empty());
    let (old, new) = ("    optimizer  adam(rate: 1e-2)\n", "    freeze on filters where layer == \"@\n");
    let text = TEXT.replace(old, &new.replace('@', ""));
    client.change("small.sph", 2, Value::Null, &text);
    let found = client.at("completion", "small.sph", &text, new).as_array().unwrap().clone();
    for it in ["unit0", "unit1", "unit1/bn", "score"] {
        assert_eq!(find(&found, it)["detail"], "layer", "{it}");
    }
    lacks(&found, "unit{i}");
}

#[test]
fn words_are_completed_where_they_mean_something() {
    let block = "/// Ä small one: 😀.\n";
    let item = |text: &str| completed(block, text);
    let detail = |all: &[Value], label: &str| find(all, label)["detail"].as_str().unwrap().to_owned();
    let found = item("block own(x) {\n    learn g: [2] = @\n    x * g\n}\n");
    assert_eq!(detail(&found, "normal"), "start normal(std: float)");
    assert_eq!(detail(&found, "uniform"), "start uniform(bound: float)");
    find(&found, "whitening");
    lacks(&found, "sphere_conv");
    let found = completed(LINE, "    x = conv(x, 4, init: @\n");
    assert_eq!(detail(&found, "uniform"), "start uniform(bound: float)");
    lacks(&found, "sphere_conv");
    let found = completed(LINE, "    x = conv(x, 4, init: normal(@\n");
    assert_eq!(detail(&found, "std:"), "std: float");
    let found = completed(LINE, "    x = mean(x, over: @\n");
    find(&found, "positions");
    find(&found, "batch");
    let found = completed(LINE, "    x = mean(x, over: [batch, @\n");
    assert_eq!(detail(&found, "positions"), "over: axes = all");
    lacks(&found, "over:");
    for head in ["loss own(@", "loss own(scores, @", "metric own(scores, @"] {
        let found = item(&format!("{head}\n"));
        assert_eq!(detail(&found, "target"), "given target");
        find(&found, "label");
        lacks(&found, "sphere_conv");
    }
    let entry = "    optimizer  adam(rate: 1e-2)\n";
    let found = completed(entry, "    freeze on filters where @\n");
    assert_eq!(detail(&found, "layer"), "selector layer == \"NAME\"");
    let found = completed(entry, "    freeze on filters where role == @\n");
    assert_eq!(detail(&found, "gamma"), "role gamma");
    lacks(&found, "layer");
    find(&item("av@\n"), "average");
    let found = completed(LINE, "    @\n");
    for it in ["let", "keep", "assert"] {
        find(&found, it);
    }
    let found = item("operator own(@\n");
    for it in ["theta", "cos", "x_norm", "w_norm"] {
        find(&found, it);
    }
    let found = item("optimizer mine(rate) {\n    value - rate * @\n}\n");
    find(&found, "gradient");
    find(&found, "value");
    let found = completed("    input image: u8[8, 8, 1]\n", "    input image: @\n");
    for it in ["u8", "u16", "int", "float"] {
        find(&found, it);
    }
    let text = "block own(x) {\n    learn gain: [channels(x)] = 1\n    x * gain\n}\n\n";
    let mut client = Client::new();
    let line = "    penalty    l2(1e-4) on @\n";
    let text = format!("{text}{}", TEXT.replace("    penalty    l2(5e-4) on filters\n", &line.replace('@', "")));
    client.open("small.sph", &text);
    let found = client.at("completion", "small.sph", &text, line).as_array().unwrap().clone();
    find(&found, "gain");
    find(&found, "filters");
}

#[test]
fn signatures_follow_the_argument_that_is_written() {
    let help = |new: &str| {
        let mut client = Client::new();
        let line = if new.contains("data ") { "    data       digits\n" } else { LINE };
        let text = TEXT.replace(line, &new.replace('@', ""));
        client.open("small.sph", &text);
        client.at("signatureHelp", "small.sph", &text, new)
    };
    let part = |found: &Value| {
        let it = &found["signatures"][found["activeSignature"].as_u64().unwrap() as usize];
        let label: Vec<u16> = it["label"].as_str().unwrap().encode_utf16().collect();
        let place = &it["parameters"][found["activeParameter"].as_u64().unwrap() as usize]["label"];
        let at = |end: usize| place[end].as_u64().unwrap() as usize;
        String::from_utf16(&label[at(0)..at(1)]).unwrap()
    };
    for (line, expected) in [
        ("    x = unit(@\n", "x"),
        ("    x = unit(x, @\n", "filters: int"),
        ("    x = x |> unit(@\n", "filters: int"),
        ("    x = unit(x, 4, stride: @\n", "stride: int = 1"),
        ("    x = unit(half(x), conv(x, @\n", "filters: int"),
        ("    x = conv(x, 4, pad: @\n", "pad: same|valid = same"),
        // The data is no argument of its steps.
        ("    x = conv(x, 4, init: normal(@\n", "std: float"),
        ("    data cifar10 |> resize(@\n", "height: int"),
        ("    data cifar10 |> resize(8, @\n", "width: int"),
        ("    data cifar10 |> pad(@\n", "pixels: int"),
    ] {
        assert_eq!(part(&help(line)), expected, "{line}");
    }
    let found = help("    x = unit(@\n");
    assert_eq!(found["signatures"][0]["documentation"]["value"], "Convolution, batch normalisation, ReLU.");
    // Neither in brackets of another kind nor behind the call.
    assert_eq!(help("    x = unit(x, 4) @\n"), Value::Null);
    assert_eq!(help("    x = [1, @\n"), Value::Null);
}
