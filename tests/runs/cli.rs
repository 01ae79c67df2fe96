//! The binary from outside: messages and exit statuses for bad input, and that nothing is written
//! then; training, interruption and resumption to the bit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

pub(crate) const MODEL: &str = r#"
model Tiny {
    input image: u8[8, 8, 1]

    x = (image - 8) / 8
    x = x |> sphere_conv(4, operator: cosine) |> batch_norm(decay: 0.9) |> relu as "first"
    x = max_pool(x, 4)
    output conv(x, classes, kernel: 2, pad: valid) as "score"
}

train {
    data       digits
    batch      16
    iterations 12
    loss       softmax_cross_entropy(smoothing: 0.01, floor: 1e-4)
    penalty    l2(5e-4) on filters
    optimizer  adam(rate: 1e-2)
    evaluate   every 5
}
"#;

/// A directory with `tiny.sph`, and the binary run in it.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("tiny.sph"), MODEL).unwrap();
        Place { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn sphc(&self, words: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_sphc"))
            .args(words.split_whitespace())
            .current_dir(self.directory.path())
            .env_remove("SPHC_DATA")
            .output()
            .unwrap()
    }

    pub(crate) fn succeeds(&self, words: &str) -> String {
        let output = self.sphc(words);
        assert_eq!(output.status.code(), Some(0), "{words}\n{}", errors(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Fails with status 1, says all of `expected`, and leaves no run directory behind.
    pub(crate) fn fails(&self, words: &str, expected: &[&str]) {
        let output = self.sphc(words);
        let text = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{words}\n{text}");
        for it in expected {
            assert!(text.contains(it), "`{words}` does not say `{it}`:\n{text}");
        }
        assert!(text.contains("error: "), "{text}");
        assert!(output.stdout.is_empty(), "{words}: {}", String::from_utf8_lossy(&output.stdout));
        assert!(!self.path("run").exists() && !self.path("runs").exists(), "`{words}` left something behind");
    }

    pub(crate) fn final_checkpoint(&self, run: &str) -> Vec<u8> {
        fs::read(self.path(run).join("checkpoints/step-00000012.safetensors")).unwrap()
    }
}

pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Metrics without the only thing that two equal runs differ in.
pub(crate) fn metrics(run: &Path) -> Vec<String> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines().map(|it| it.split(",\"seconds\"").next().unwrap().to_owned()).collect()
}

fn cifar(directory: &Path, train: &[u8], test: &[u8]) {
    fs::create_dir_all(directory).unwrap();
    fs::write(directory.join("data_batch_1.bin"), train).unwrap();
    fs::write(directory.join("test_batch.bin"), test).unwrap();
}

/// A safetensors file of zeros, of a dtype with so many bytes.
fn zeros(dtype: &str, bytes: usize, tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut at = 0;
    for (name, shape) in tensors {
        let bytes = bytes * shape.iter().product::<usize>();
        let entry = serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": [at, at + bytes] });
        header.insert((*name).to_owned(), entry);
        at += bytes;
    }
    let header = serde_json::Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; at]].concat()
}

#[test]
fn bad_data_sets_are_told_with_path_and_remedy() {
    let place = Place::new();
    let record = [vec![1u8], vec![0; 3072]].concat();
    let wrong = [vec![11u8], vec![0; 3072]].concat();
    let train = |data: &str| format!("train tiny.sph --run run --data {data}");

    place.fails(&train("./nowhere"), &["`./nowhere` does not exist", "--data DIR"]);
    place.fails(&train("digit"), &["neither a data set that sphc knows nor a directory", "cifar10, cifar100, digits"]);
    place.fails(&train("cifar10 --offline"), &["not found in `data/cifar10`", "data fetch cifar10", "cs.toronto.edu"]);

    fs::create_dir(place.path("empty")).unwrap();
    place.fails(&train("./empty"), &["`./empty` has no `data_batch_*.bin`"]);

    cifar(&place.path("cut"), &record[..3000], &record);
    place.fails(&train("./cut"), &["./cut/data_batch_1.bin` is cut off", "3000 bytes", "multiple of 3073"]);

    cifar(&place.path("label"), &[record.clone(), wrong].concat(), &record);
    cifar(&place.path("other"), &[0; 3074], &record);
    place.fails(&train("./other"), &["./other/data_batch_1.bin` is cut off or of another layout", "of `cifar10`"]);

    fs::create_dir_all(place.path("folder/data_batch_1.bin")).unwrap();
    fs::write(place.path("folder/test_batch.bin"), &record).unwrap();
    place.fails(&train("./folder"), &["./folder/data_batch_1.bin`", "it is a directory", "--data"]);

    place.fails(&train("./label"), &["./label/data_batch_1.bin", "record 1 (from 0, at byte 3073) has label 11"]);

    cifar(&place.path("none"), &record, &[]);
    place.fails(&train("./none"), &["./none/test_batch.bin` is empty"]);

    // A good data set, but of larger images than the model's.
    cifar(&place.path("good"), &record, &record);
    place.fails(&train("./good"), &["32", "8"]);
}

#[test]
fn a_plan_meets_its_own_data_set_only() {
    let place = Place::new();
    let record = [vec![1u8], vec![0; 3072]].concat();
    cifar(&place.path("good"), &record, &record);
    place.succeeds("compile tiny.sph -o plan");
    let mismatch = ["images of 32x32x3", "images of 8x8x1", "--data"];
    place.fails("train plan/plan.yaml --run run --data ./good", &mismatch);
    place.fails("train plan/plan.yaml --run run --seed 1", &["`--seed` cannot change a plan"]);
    let said = place.succeeds("train plan/plan.yaml --run run");
    assert!(said.contains("test accuracy") && said.contains("try next"), "{said}");
}

#[test]
fn bad_weights_are_told_tensor_by_tensor() {
    let place = Place::new();
    let init = |file: &str| format!("train tiny.sph --run run --init {file} --init-strict");
    place.fails(&init("none.safetensors"), &["`none.safetensors`", "No such file"]);
    fs::write(place.path("text.safetensors"), "these are not weights").unwrap();
    place.fails(&init("text.safetensors"), &["not a safetensors file"]);

    let tensors: [(&str, &[usize]); 4] =
        [("first/bn/beta", &[4]), ("first/bn/gamma", &[5]), ("score/filter", &[2, 2, 4, 10]), ("second/filter", &[1])];
    let wrong = zeros("F32", 4, &tensors);
    fs::write(place.path("wrong.safetensors"), wrong).unwrap();
    let expected = [
        "cannot use the weights in `wrong.safetensors`: 3 problems",
        "`first/filter` [3,3,1,4] is missing",
        "`first/bn/gamma` has shape [5], the model's is [4]",
        "`second/filter` is not part of the model",
        "sphc show",
    ];
    place.fails(&init("wrong.safetensors"), &expected);

    fs::write(place.path("whole.safetensors"), zeros("I64", 8, &tensors)).unwrap();
    let expected = ["5 problems", "`score/filter` holds integers (I64), the model's numbers are real"];
    place.fails(&init("whole.safetensors"), &expected);
    let expected = ["none of its tensors fits: 3 problems", expected[1], "with the extents of the model's"];
    place.fails("train tiny.sph --run run --init whole.safetensors", &expected);
}

#[test]
fn run_directories_that_cannot_be_used_stop_before_any_training() {
    let place = Place::new();
    fs::write(place.path("file"), "").unwrap();
    place.fails("train tiny.sph --run file/below", &["cannot use the run directory `file/below`", "--run DIR"]);
    place.fails("train tiny.sph --run file", &["it is a file"]);
    place.fails("train tiny.sph --run run --resume", &["it does not exist", "without `--resume`"]);
    place.succeeds("train tiny.sph --run taken --iterations 1");
    place.fails("train tiny.sph --run taken", &["already holds a run", "--resume"]);
    let other = "train tiny.sph --run taken --resume --seed 3";
    place.fails(other, &["from another text or with other settings", "--init"]);
}

#[test]
fn what_this_build_cannot_do_is_said() {
    let place = Place::new();
    place.fails("train tiny.sph --run run --device cuda:77", &["cuda:77 is not available"]);
    place.fails("train tiny.sph --run run --precision bf16", &["need a GPU", "--precision f32"]);
    place.fails("train tiny.sph --run run --device cpu --precision tf32", &["need a GPU", "--precision f32"]);
}

#[test]
fn compiling_for_cuda_writes_the_kernels_beside_the_plan() {
    let place = Place::new();
    place.succeeds("compile tiny.sph --target cuda -o out");
    assert!(place.path("out/plan.yaml").exists());
    let files = fs::read_dir(place.path("out")).unwrap().flatten();
    let kernels = files.filter(|it| it.path().extension().is_some_and(|it| it == "cu"));
    assert!(5 < kernels.count());
    let text = place.succeeds("compile tiny.sph --target cuda --emit kernels --precision bf16");
    assert!(text.contains("constexpr Arithmetic ARITHMETIC = Arithmetic::Bf16;"), "{text}");
}

#[test]
fn bad_files_and_flags_have_their_exit_statuses() {
    let place = Place::new();
    fs::write(place.path("latin.sph"), b"// gr\xfc\xdfe").unwrap();
    fs::write(place.path("wrong.sph"), MODEL.replace("relu", "rellu")).unwrap();
    place.fails("show none.sph", &["cannot read `none.sph`: there is no such file"]);
    place.fails("show .", &["it is a directory"]);
    place.fails("show latin.sph", &["not UTF-8 text (byte 5)"]);
    place.fails("train wrong.sph --run run", &["E0101", "rellu", "relu"]);
    place.fails("train tiny.sph --run run --set width=3", &["E0107", "width"]);
    place.fails("explain E9999", &["no diagnostic `E9999`"]);
    place.fails("check wrong.sph latin.sph", &["E0101", "not UTF-8", "2 files checked: 2 errors"]);
    for words in ["", "train", "train tiny.sph --bogus", "train tiny.sph --batch 0", "check", "train tiny.sph --set x"]
    {
        assert_eq!(place.sphc(words).status.code(), Some(2), "{words}");
    }
    for flag in ["--seed -1", "--batch -1", "--evaluate-every -1", "--seed x"] {
        let output = place.sphc(&format!("train tiny.sph {flag}"));
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{flag}");
        assert!(said.contains("invalid value") && said.contains("expected a whole number"), "{flag}: {said}");
    }
}

#[test]
fn what_is_no_model_is_told() {
    let place = Place::new();
    place.succeeds("compile tiny.sph -o plan");
    for command in ["check", "show", "verify", "fmt", "bench"] {
        place.fails(&format!("{command} plan/plan.yaml"), &["`plan/plan.yaml` is a plan", "give the `.sph` file"]);
    }
    place.fails("train plan --run run", &["it is a directory", "it holds a plan: give `plan/plan.yaml`"]);
}

#[test]
fn a_warning_is_said_once() {
    let place = Place::new();
    let penalty = "l2(5e-4) on filters\n    penalty    orthogonality(2e-4) on filters";
    let model = MODEL.replace("sphere_conv(4", "sphere_conv(16").replace("l2(5e-4) on filters", penalty);
    fs::write(place.path("tiny.sph"), model).unwrap();
    for command in ["verify tiny.sph --kernels-only --device cpu", "train tiny.sph --iterations 1 --seeds 2 --run r"] {
        let output = place.sphc(command);
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        assert_eq!(errors(&output).matches("warning[W0303]").count(), 1, "{}", errors(&output));
    }
}

#[test]
fn more_than_a_machine_has_is_refused() {
    let place = Place::new();
    place.fails("train tiny.sph --run run --batch 100000000", &["of memory with a batch of 100000000", "--batch"]);
    let output = place.sphc("train tiny.sph --threads 20000");
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("must be at most 1024"), "{}", errors(&output));
}

/// Each link doubled what was looked through.
#[cfg(unix)]
#[test]
fn links_to_folders_above_are_not_followed_without_end() {
    let place = Place::new();
    fs::create_dir(place.path("loop")).unwrap();
    for it in ["loop/a", "loop/b"] {
        std::os::unix::fs::symlink(".", place.path(it)).unwrap();
    }
    place.fails("plot loop -o a.svg", &["`loop/metrics.jsonl`: there is no such file", "that `sphc train` made"]);
    place.fails("runs loop", &["there is no run in `loop`"]);
}

#[test]
fn a_plot_of_other_files_is_refused() {
    let place = Place::new();
    fs::create_dir(place.path("odd")).unwrap();
    fs::write(place.path("odd/metrics.jsonl"), "no metrics\n").unwrap();
    place.fails("plot odd -o a.svg", &["`odd/metrics.jsonl`: its first line is not a line of metrics", "sphc train"]);
    fs::write(place.path("odd/metrics.jsonl"), "").unwrap();
    place.fails("plot odd -o a.svg", &["nothing to draw", "--log-every"]);
}

#[test]
fn a_run_beyond_the_iterations_asked_for_is_told() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run long");
    let output = place.sphc("train tiny.sph --run long --resume --iterations 5");
    assert_eq!(output.status.code(), Some(1));
    let said = errors(&output);
    assert!(
        said.contains("it is at iteration 12 already, and 5 are asked for") && said.contains("--iterations"),
        "{said}"
    );
}

#[test]
fn a_batch_of_more_images_than_there_are_is_told() {
    let place = Place::new();
    let said = |batch: usize| errors(&place.sphc(&format!("train tiny.sph --iterations 1 --batch {batch}")));
    let warning = "warning: a batch of 1500 images is more than the 1437 there are to train on";
    assert!(said(1500).contains(warning), "{}", said(1500));
    assert!(!said(16).contains("warning"), "{}", said(16));
}

#[test]
fn check_is_one_line_when_clean_and_json_otherwise() {
    let place = Place::new();
    assert_eq!(place.succeeds("check tiny.sph"), "1 file checked: no problems\n");
    assert_eq!(place.succeeds("check tiny.sph --format json"), "");
    fs::write(place.path("wrong.sph"), MODEL.replace("relu", "rellu")).unwrap();
    let output = place.sphc("check wrong.sph --format json");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let object: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(object["code"], "E0101");
    assert_eq!(object["severity"], "error");
}

#[test]
fn every_stage_is_printed_and_the_same_each_time() {
    let place = Place::new();
    for stage in ["ast", "ir", "typed", "grad", "fused", "kernels", "plan"] {
        let words = format!("compile tiny.sph --emit {stage}");
        let text = place.succeeds(&words);
        assert!(text.len() > 200, "{stage}: {text}");
        assert_eq!(text, place.succeeds(&words), "{stage}");
    }
}

#[test]
fn show_tells_what_the_text_says_of_itself() {
    let place = Place::new();
    let text = format!(
        "//! A model\n//! for tests.\n\n/// Steepness.\n/// Small is steep.\nparam k:   float = 0.3\nparam plain = 2\n\n\
         /// Own.\noperator own(theta) = sigmoid(k: k * plain / 2)\n\n{}",
        MODEL.replacen("model", "/// It is small.\nmodel", 1)
    );
    fs::write(place.path("said.sph"), text).unwrap();
    let shown = place.succeeds("show said.sph --set k=0.5");
    let expected = "A model\nfor tests.\n\ndefined               about\nparam k: float = 0.5  Steepness.\n                      \
                    Small is steep.\nparam plain = 2\noperator own(theta)   Own.\n";
    assert!(shown.starts_with(expected), "{shown}");
    assert!(shown.contains("  It is small.\n\nlayer "), "{shown}");
}

/// What a block of layers learns itself is among them.
#[test]
fn the_rows_of_show_add_up() {
    let place = Place::new();
    let block = "block with_table(x) {\n    learn table: [8, 8, 1] = 0.1\n    (conv(x, 4) as \"inner\") + table\n}\n\n";
    let text =
        block.to_owned() + &MODEL.replacen("    x = ", "    image = with_table(image / 16) as \"part\"\n    x = ", 1);
    fs::write(place.path("table.sph"), &text).unwrap();
    let json: serde_json::Value = serde_json::from_str(&place.succeeds("show table.sph --format json")).unwrap();
    let rows = json["layers"].as_array().unwrap();
    let sum: u64 = rows.iter().map(|it| it["parameters"].as_u64().unwrap()).sum();
    assert_eq!(Some(sum), json["parameter_count"].as_u64());
    let place = |path: &str| rows.iter().position(|it| it["layer"] == path).unwrap();
    assert!(place("part") < place("part/inner"));
    assert_eq!(rows[place("part")]["parameters"], 64);
}

#[test]
fn show_has_layers_totals_and_memory() {
    let place = Place::new();
    let text = place.succeeds("show tiny.sph");
    for it in ["first", "8x8x4", "36", "tiny.sph:6", "parameters   204", "memory"] {
        assert!(text.contains(it), "{it}:\n{text}");
    }
    let json: serde_json::Value = serde_json::from_str(&place.succeeds("show tiny.sph --format json")).unwrap();
    assert_eq!(json["parameter_count"], 204);
    assert!(place.succeeds("show tiny.sph --format dot").contains("->"));
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let place = Place::new();
    for threads in [1, 2, 4] {
        place.succeeds(&format!("train tiny.sph --run t{threads} --threads {threads}"));
        assert_eq!(place.final_checkpoint("t1"), place.final_checkpoint(&format!("t{threads}")), "{threads} threads");
        assert_eq!(metrics(&place.path("t1")), metrics(&place.path(&format!("t{threads}"))), "{threads} threads");
    }
}

#[test]
fn a_resumed_run_equals_an_undisturbed_one() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run whole --log-every 3");
    // Checkpoints every 4 steps; then the last one and the metrics after the first are lost, with a
    // line cut short, as a crash leaves them.
    place.succeeds("train tiny.sph --run parts --log-every 3 --checkpoint-every 4 --iterations 9");
    let parts = place.path("parts");
    fs::remove_file(parts.join("checkpoints/step-00000009.safetensors")).unwrap();
    fs::remove_file(parts.join("checkpoints/step-00000008.safetensors")).unwrap();
    let text = fs::read_to_string(parts.join("metrics.jsonl")).unwrap();
    fs::write(parts.join("metrics.jsonl"), &text[..text.len() - 9]).unwrap();
    fs::write(parts.join("checkpoints/.unfinished-x"), "half").unwrap();

    place.succeeds("train tiny.sph --run parts --log-every 3 --resume");
    assert_eq!(place.final_checkpoint("whole"), place.final_checkpoint("parts"));
    assert_eq!(metrics(&place.path("whole")), metrics(&parts));
    assert!(!parts.join("checkpoints/.unfinished-x").exists());
}

#[test]
fn a_damaged_checkpoint_is_refused_and_the_previous_one_offered() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run r --checkpoint-every 5");
    let last = place.path("r/checkpoints/step-00000012.safetensors");
    let mut bytes = fs::read(&last).unwrap();
    let at = bytes.len() - 3;
    bytes[at] ^= 1;
    fs::write(&last, bytes).unwrap();
    let expected = ["step-00000012.safetensors", "damaged", "previous checkpoint, of iteration 10"];
    place.fails("train tiny.sph --run r --resume", &expected);
    place.fails("eval tiny.sph --weights r/checkpoints/step-00000012.safetensors", &["damaged"]);
}

#[test]
fn weights_of_a_run_are_evaluated_and_trained_further() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run first");
    let text = fs::read_to_string(place.path("first/metrics.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let weights = "--weights first/checkpoints/step-00000012.safetensors";
    let found = place.succeeds(&format!("eval tiny.sph {weights} --format json --per-class"));
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["test_accuracy"], last["test_accuracy"]);
    assert!(text.lines().next().unwrap().contains(r#""rate":0.01,"#), "{text}");
    assert_eq!(found["confusion"].as_array().unwrap().len(), 10);

    // Of another text whose tensors fit: used, and said.
    fs::write(place.path("other.sph"), MODEL.replace("operator: cosine", "operator: linear")).unwrap();
    for command in ["eval", "predict"] {
        let words = |model: &str| {
            format!("{command} {model} {weights}{}", if command == "predict" { " digit.png" } else { "" })
        };
        image::GrayImage::new(8, 8).save(place.path("digit.png")).unwrap();
        let said = |model: &str| {
            let output = place.sphc(&words(model));
            assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
            errors(&output)
                .contains("warning: `first/checkpoints/step-00000012.safetensors` was trained with another text")
        };
        assert!(said("other.sph") && !said("tiny.sph"), "{command}");
    }

    place.succeeds("train tiny.sph --run second --init first/checkpoints/step-00000012.safetensors --log-every 1");
    assert_eq!(metrics(&place.path("second")).iter().filter(|it| it.contains("fit")).count(), 12);
    for name in ["config.yaml", "curves.svg"] {
        assert!(place.path("second").join(name).is_file(), "{name}");
    }
    place.succeeds("plot first second -o both.svg");
    let svg = fs::read_to_string(place.path("both.svg")).unwrap();
    assert!(svg.contains("first: best") && svg.contains("second: best"));
}

#[test]
fn fmt_lays_out_once_and_leaves_what_does_not_parse() {
    let place = Place::new();
    let loose = MODEL.replace("    x = (image - 8) / 8", "  x=(image-8)/8").trim_start().to_owned();
    fs::write(place.path("tiny.sph"), &loose).unwrap();
    let output = place.sphc("fmt --check tiny.sph");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_to_string(place.path("tiny.sph")).unwrap(), loose);
    place.succeeds("fmt tiny.sph");
    assert!(fs::read_to_string(place.path("tiny.sph")).unwrap().contains("\n    x = (image - 8) / 8\n"));
    place.succeeds("fmt --check tiny.sph");
    place.succeeds("check tiny.sph");

    fs::write(place.path("broken.sph"), "model M {").unwrap();
    let output = place.sphc("fmt broken.sph");
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("left as it is"), "{}", errors(&output));
    assert_eq!(fs::read_to_string(place.path("broken.sph")).unwrap(), "model M {");
}

#[test]
fn the_recipe_decides_the_precision_unless_the_flag_does() {
    let place = Place::new();
    let wide = MODEL.replace("    batch      16", "    batch      16\n    precision  f64");
    fs::write(place.path("wide.sph"), wide).unwrap();
    let precision = |words: &str| {
        let plan = place.succeeds(words);
        plan.lines().find(|it| it.starts_with("precision")).unwrap().to_owned()
    };
    assert_eq!(precision("compile wide.sph --emit plan"), "precision: f64");
    assert_eq!(precision("compile wide.sph --emit plan --precision f32"), "precision: f32");
    assert_eq!(precision("compile tiny.sph --emit plan"), "precision: f32");
    // A plan keeps the precision that it was compiled for; a flag that says another is refused.
    place.succeeds("compile wide.sph -o out");
    place.succeeds("train out/plan.yaml --iterations 1 --run run");
    let output = place.sphc("train out/plan.yaml --precision f32 --iterations 1 --run other");
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("another precision"), "{}", errors(&output));
}
