//! Inputs to start from: what the repository has of models, and a small sound file of every format.

use super::packing::{BETWEEN, joined};
use sphc::plan::{Plan, to_yaml};
use sphc::train::weights::kept;
use sphc::{Model, Options};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Of every kind of layer that has states and parameters, one.
const SMALL: &str = "\
model Small {
    input image: u8[8, 8, 1]
    x = (image - 8) / 8
    x = x |> sphere_conv(2, operator: cosine) |> batch_norm(decay: 0.9) |> relu as \"first\"
    x = max_pool(x, 4)
    output conv(x, classes, kernel: 2, pad: valid) as \"score\"
}

train {
    data       digits
    batch      4
    iterations 3
    loss       softmax_cross_entropy()
    penalty    l2(5e-4) on filters
    augment    flip_horizontal, crop(pad: 1)
    optimizer  adam(rate: 1e-2)
    project    normalize filters every 3
    evaluate   every 2
}
";

/// Other networks whose plans have other kernels.
const OTHERS: [&str; 3] = [
    "model Rows {\n    input x: float[5]\n    y = x |> dense(4) |> relu\n    output dense(y, 2)\n}\n",
    "model Seen {\n    input image: u8[4, 4, 1]\n    x = conv(image / 16, 2) |> softmax\n    output global_avg_pool(x) |> flatten\n}\n",
    "param k: int = 3\noperator leaning(cos, a = 0.5) = a * cos + 0.1\nblock unit(x, f: int, stride: int = 1) {\n    y = sphere_conv(x, \
     f, operator: leaning(a: 0.2), stride: stride) |> relu\n    if stride == 1 { x + y } else { y }\n}\nmodel M {\n    input image: \
     u8[8, 8, 1]\n    x = conv(image / 16, 4)\n    for i in 0..k {\n        x = unit(x, 4) as \"u{i}\"\n    }\n    output \
     global_avg_pool(x) |> flatten |> dense(classes)\n}\ntrain {\n    data digits\n    batch 4\n    iterations 2\n    loss \
     softmax_cross_entropy()\n    optimizer sgd(rate: cosine(0.1), momentum: 0.9)\n}\n",
];

/// The folder of the repository, seen from the tests and from the fuzzer.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    match here.join("models").is_dir() {
        true => here.into(),
        false => here.parent().map_or_else(|| here.into(), Path::to_path_buf),
    }
}

fn in_folder(folder: &Path, ending: &str, out: &mut Vec<PathBuf>) {
    for it in fs::read_dir(folder).expect("a folder of the repository") {
        let path = it.expect("a folder of the repository").path();
        if path.is_dir() {
            in_folder(&path, ending, out);
        } else if path.extension().is_some_and(|it| it == ending) {
            out.push(path);
        }
    }
}

fn files(folders: &[&str], ending: &str) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    folders.iter().for_each(|it| in_folder(&root().join(it), ending, &mut paths));
    paths.sort();
    paths.iter().map(|it| fs::read(it).expect("a file of the repository")).collect()
}

/// Models and the texts of the suite, and the examples of pages.
pub(super) fn texts() -> Vec<Vec<u8>> {
    let mut res = files(&["models", "tests/suite", "tests/nets"], "sph");
    for page in files(&["docs", "src/diag/codes"], "md") {
        let page = String::from_utf8_lossy(&page).into_owned();
        let examples = page.split("```sph").skip(1).filter_map(|it| it.split_once('\n')?.1.split("```").next());
        res.extend(examples.map(|it| it.as_bytes().to_vec()));
    }
    res.push(SMALL.into());
    res.extend(OTHERS.map(|it| it.as_bytes().to_vec()));
    res.retain(|it| it.len() <= 4096);
    res
}

/// Small networks.
pub(super) fn models() -> Vec<Vec<u8>> {
    let mut res = files(&["models", "tests/nets"], "sph");
    res.push(SMALL.into());
    res.extend(OTHERS.map(|it| it.as_bytes().to_vec()));
    res.retain(|it| it.len() <= 1500);
    res
}

/// Small networks beside the next one, and beside themselves with another number.
pub(super) fn pairs() -> Vec<Vec<u8>> {
    let all = models();
    let other = |at: usize| all.get(at + 1).cloned().unwrap_or_default();
    let changed = |it: &[u8]| String::from_utf8_lossy(it).replacen('2', "3", 1).into_bytes();
    let paired = all.iter().enumerate().flat_map(|(at, it)| [[it.clone(), other(at)], [it.clone(), changed(it)]]);
    let mut res: Vec<Vec<u8>> = paired.map(|[a, b]| joined(&[("a", a), ("b", b)])).collect();
    res.extend(all.iter().map(|it| joined(&[("a", it.clone())])));
    res
}

/// The same, with where an editor's cursor is before each.
#[cfg(feature = "lsp")]
pub(super) fn documents() -> Vec<Vec<u8>> {
    let mut res = models();
    res.retain(|it| {
        !String::from_utf8_lossy(it).contains("import") && !String::from_utf8_lossy(it).contains("data \"")
    });
    res.iter().enumerate().map(|(at, it)| [&[(at * 37) as u8][..], it].concat()).collect()
}

/// Words of the grammar, and names of the prelude.
pub(super) fn words() -> Vec<String> {
    let mut res: Vec<String> = Vec::new();
    let grammar = fs::read_to_string(root().join("grammar/sph.pest")).expect("the grammar");
    res.extend(grammar.split('"').skip(1).step_by(2).map(|it| it.replace('\\', "")));
    let prelude = fs::read_to_string(root().join("src/lower/prelude.sph")).expect("the prelude");
    res.extend(prelude.split(|it: char| !it.is_ascii_alphanumeric() && it != '_').map(str::to_owned));
    res.extend(["classes", "digits", "epoch", "as \"", "(x, ", "): ", ": int", "float[", "u8["].map(str::to_owned));
    res.extend(["|> ", "..", "1e-3", "99999999999", "it.sph", "other.sph", "std/heads.sph"].map(str::to_owned));
    res.retain(|it| 1 < it.len() && it.len() < 32 && it.is_ascii());
    res.sort();
    res.dedup();
    res
}

/// Words of the other formats.
pub(super) fn keys() -> Vec<String> {
    let text = "name: format: npz csv idx images masks cifar10 image: [8, 8, 1] classes: target: class labels numbers pixels \
                train_examples: test_examples: train: test: val: images: file: columns: split: 0.5 split_seed: path: \
                class_count: directory: range: title: x_train.npy y_train.npy x_test.npy y_test.npy x_val.npy y_val.npy x.npy \
                'descr': '<f4' '<i8' '|u1' '>u2' '<f2' '<f8' '|b1' '<U3' 'fortran_order': False True 'shape': () (2,) \
                18446744073709551615 -1 nan inf 1e400 dtype shape data_offsets F32 I64 BF16 __metadata__ sphc_format .. ../ \
                train/ test/ .png .jpg .csv .npz .yaml";
    text.split(' ').map(str::to_owned).chain(["~~~~".to_owned()]).filter(|it| !it.is_empty()).collect()
}

fn plan_of(text: &str) -> Plan {
    let model = Model::from_text("small.sph", text).with(Options::default());
    model.compile().expect("the model compiles").compiled.plan
}

/// What weights are judged for.
pub(crate) fn small_plan() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    PLAN.get_or_init(|| plan_of(SMALL))
}

pub(super) fn plans() -> Vec<Vec<u8>> {
    let all = [small_plan().clone()].into_iter().chain(OTHERS.map(plan_of));
    all.map(|it| to_yaml(&it).expect("a plan can be written").into_bytes()).collect()
}

/// Weights of the small plan, as another program may have written them, and a checkpoint of its own.
pub(super) fn weights() -> Vec<Vec<u8>> {
    let of = |metadata: &str, only_params: bool| {
        let (mut entries, mut numbers) = (Vec::new(), Vec::new());
        for it in kept(small_plan()) {
            let whole = it.dtype == sphc::ir::DType::Int;
            if only_params && (whole || it.name.contains("adam")) {
                continue;
            }
            let (word, width) = if whole { ("I64", 8) } else { ("F32", 4) };
            let from = numbers.len();
            numbers.resize(from + width * it.shape.len(), 0);
            let (name, shape, to) = (&it.name, &it.shape.0, numbers.len());
            entries
                .push(format!("{name:?}:{{\"dtype\":\"{word}\",\"shape\":{shape:?},\"data_offsets\":[{from},{to}]}}"));
        }
        [format!("{{{metadata}{}}}", entries.join(",")).as_bytes(), BETWEEN, &numbers].concat()
    };
    let known = "\"__metadata__\":{\"format\":\"pt\",\"sphc_format\":\"1\",\"step\":\"0\",\"sha256\":\"SUM\"},";
    let foreign = of("", true);
    let other = String::from_utf8_lossy(&foreign).replace("first/", "other/");
    let named = [b"names other/*=first/*\n", other.as_bytes()].concat();
    vec![foreign, of(known, false), of("", false), named]
}

fn header(descr: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n")
}

fn npy(descr: &str, shape: &str, numbers: &[u8]) -> Vec<u8> {
    [header(descr, shape).as_bytes(), numbers].concat()
}

fn pixels(count: u8) -> Vec<u8> {
    (0..count).collect()
}

pub(super) fn npz() -> Vec<Vec<u8>> {
    let plain = [
        ("set.npz/x_train.npy", npy("|u1", "(2, 2, 2, 1)", &pixels(8))),
        ("set.npz/y_train.npy", npy("|i1", "(2,)", &[0, 1])),
        ("set.npz/x_test.npy", npy("|u1", "(2, 2, 2, 1)", &pixels(8))),
        ("set.npz/y_test.npy", npy("|u1", "(2,)", &[1, 0])),
    ];
    let reals = [
        ("options", vec![8, 0, 0, 0, 3, 4]),
        ("train.npz/x.npy", npy("<f4", "(2, 3)", &[0; 24])),
        ("train.npz/y.npy", npy("<f4", "(2, 2)", &[0; 16])),
        ("test.npz/x.npy", npy("<f4", "(1, 3)", &[0; 12])),
        ("test.npz/y.npy", npy("<f4", "(1, 2)", &[0; 8])),
    ];
    let told = [
        ("my.yaml", b"name: my\nformat: npz\npath: set.npz\nimage: [2, 2, 1]\nclasses: [a, b]\n".to_vec()),
        ("set.npz/x_train.npy", npy(">u2", "(4, 2, 2, 1)", &pixels(32))),
        ("set.npz/y_train.npy", npy("<i4", "(4,)", &[0; 16])),
        ("set.npz/x_test.npy", npy(">u2", "(1, 2, 2, 1)", &pixels(8))),
        ("set.npz/y_test.npy", npy("<i4", "(1,)", &[0; 4])),
    ];
    vec![joined(&plain), joined(&reals), joined(&told)]
}

pub(super) fn cifar() -> Vec<Vec<u8>> {
    let record = |label: &[u8]| [label, &[7; 3072]].concat();
    let ten = [
        ("data_batch_1.bin", record(&[3])),
        ("test_batch.bin", record(&[4])),
        ("batches.meta.txt", b"a\nb\nc\nd\ne\n".to_vec()),
    ];
    let hundred = [("train.bin", record(&[1, 3])), ("test.bin", record(&[1, 99])), ("options", vec![6, 0, 0, 0])];
    vec![joined(&ten), joined(&hundred)]
}

pub(super) fn idx() -> Vec<Vec<u8>> {
    let file = |kind: u8, extents: &[u32], numbers: &[u8]| {
        let head = [0, 0, kind, extents.len() as u8];
        [head.to_vec(), extents.iter().flat_map(|it| it.to_be_bytes()).collect(), numbers.to_vec()].concat()
    };
    let (images, labels) = (file(8, &[2, 2, 2], &pixels(8)), file(8, &[2], &[0, 1]));
    let plain = [
        ("train-images-idx3-ubyte", images.clone()),
        ("train-labels-idx1-ubyte", labels.clone()),
        ("t10k-images-idx3-ubyte", images.clone()),
        ("t10k-labels-idx1-ubyte", labels.clone()),
    ];
    let packed = [
        ("train-images-idx3-ubyte.gz", images.clone()),
        ("train-labels-idx1-ubyte.gz", labels.clone()),
        ("t10k-images-idx3-ubyte.gz", images),
        ("t10k-labels-idx1-ubyte.gz", labels),
        ("options", vec![3, 5, 6, 2]),
    ];
    vec![joined(&plain), joined(&packed)]
}

fn small(seed: u8, kind: u8) -> Vec<u8> {
    vec![b'=', 4, 4, kind, seed]
}

pub(super) fn tables() -> Vec<Vec<u8>> {
    let classes = [
        ("train.csv", b"file,label\nimages/p0,dog\nimages/p1.png,cat\n".to_vec()),
        ("test.csv", b"file,label\nimages/p2,cat\n".to_vec()),
        ("images/p0.png", small(50, 0)),
        ("images/p1.png", small(60, 0)),
        ("images/p2.png", small(70, 0)),
    ];
    let numbers = [
        ("set.yaml", b"name: n\nformat: csv\npath: .\ntrain: t.csv\nimages: p\ncolumns: [u, v]\nsplit: 0.5\n".to_vec()),
        ("t.csv", b"file;u;v;z\na.png;1.5;-2;k\nb.png;3;1e-3;l\n".to_vec()),
        ("p/a.png", small(50, 1)),
        ("p/b.png", small(60, 1)),
    ];
    vec![joined(&classes), joined(&numbers)]
}

pub(super) fn folders() -> Vec<Vec<u8>> {
    let classes = [
        ("train/a/1.png", small(50, 0)),
        ("train/b/2.jpg", small(60, 0)),
        ("test/a/3.png", small(70, 0)),
        ("test/b/4.png", small(80, 0)),
    ];
    let masks = [
        ("options", vec![0]),
        ("train/images/1.png", small(50, 1)),
        ("train/masks/1.png", small(20, 0)),
        ("test/images/2.png", small(60, 1)),
        ("test/masks/2.png", small(21, 0)),
    ];
    let parted = [
        ("my.yaml", b"name: my\nformat: images\npath: all\nsplit: 0.5\nsplit_seed: 3\n".to_vec()),
        ("all/a/1.png", small(50, 2)),
        ("all/a/2.png", small(51, 3)),
        ("all/b/1.png", small(52, 4)),
        ("all/b/2.png", small(53, 5)),
        ("options", vec![5, 3, 3, 1]),
    ];
    vec![joined(&classes), joined(&masks), joined(&parted)]
}

pub(super) fn manifests() -> Vec<Vec<u8>> {
    let mut res: Vec<Vec<u8>> = [npz(), tables(), folders()].into_iter().flatten().collect();
    res.retain(|it| it.windows(5).any(|it| it == b".yaml"));
    res
}

pub(super) fn arrays() -> Vec<Vec<u8>> {
    let one = [("a.npy", npy("<f8", "(2, 3)", &[0; 48]))];
    let packed = [
        ("options", vec![0, 0, 0, 0, 0, 1]),
        ("b.npz/x.npy", npy("|u1", "(2, 2, 2, 1)", &pixels(8))),
        ("b.npz/y.npy", npy("|u1", "(2,)", &[0, 1])),
        ("cc.npz/arr_0.npy", npy("|u1", "(2, 2, 2, 1)", &pixels(8))),
    ];
    vec![joined(&one), joined(&packed)]
}

pub(super) fn archives() -> Vec<Vec<u8>> {
    let entries =
        [("0x/train/a/1.png", b"one".to_vec()), ("0test/b/2.png", b"two".to_vec()), ("0../evil", b"x".to_vec())];
    let of = |name: &'static str, wanted: &str, from: usize| {
        let mut parts = vec![(name, wanted.as_bytes().to_vec())];
        parts.extend(entries[from..entries.len() - 1 + from.min(1)].iter().cloned());
        joined(&parts)
    };
    let link = [("a.tar", Vec::new()), ("2train/l", b"/etc/passwd".to_vec()), ("0train/l/x", b"x".to_vec())];
    vec![
        of("a.zip", "", 0),
        of("a.tar.gz", "", 0),
        of("a.tar", "1.png\nevil", 0),
        of("a.zip", "2.png", 1),
        joined(&link),
    ]
}
