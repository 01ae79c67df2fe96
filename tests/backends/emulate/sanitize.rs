//! Emulated kernels under the address sanitizer: a program of its own for each text, whose buffers lie between fences.
//! It sees what guard pages do not: accesses ahead of a buffer, or a few bytes behind it.

use super::case::{self, Case, Images, Numbers, conv, map, reduced, whole};
use super::{bytes, several};
use crate::backends::emulate::module::{available, build};
use sphc::ir::{DType, Geometry, Loss, Reduction, Window, op::Scalar64};
use sphc::kernel::ConvKind;
use sphc::kernel::cuda::{Argument, Arithmetic, Choice, CudaSource, FILTER_GRAD_3X3, Options, generate};
use std::fmt::Write;
use std::process::Command;

const HEADER: &str = include_str!("emulate.h");
const RUNTIME: &str = include_str!("emulate.cpp");

/// Without its picture of stacks: fibers leave frames behind that it does not know of.
const FLAGS: [&str; 8] =
    ["-std=c++17", "-O1", "-w", "-fsanitize=address", "--param", "asan-stack=0", "-include", "emulate.h"];

/// What stands around the launches: buffers read from a file, each an allocation of its own.
const PROGRAM: &str = r#"
#include <cstdio>
#include <cstdlib>
extern "C" const char* emulate_launch(void (*call)(const unsigned long long*), const unsigned long long* arguments,
                                      const unsigned* grid, unsigned threads, unsigned shared, unsigned seed, bool late);
static unsigned long long buffer(FILE* file) {
    unsigned long long bytes;
    if (fread(&bytes, 8, 1, file) != 1) exit(3);
    void* memory = malloc(bytes);
    if (fread(memory, 1, bytes, file) != bytes) exit(3);
    return (unsigned long long)memory;
}
static void launch(void (*call)(const unsigned long long*), const unsigned long long* arguments,
                   unsigned x, unsigned y, unsigned z, unsigned threads, unsigned shared) {
    const unsigned grid[3] = {x, y, z};
    if (const char* error = emulate_launch(call, arguments, grid, threads, shared, 1, false)) {
        fprintf(stderr, "%s\n", error);
        exit(4);
    }
}
"#;

/// The text with a `main` that runs its launches.
fn program(source: &CudaSource) -> String {
    let mut text = source.text.clone();
    let mut entries: Vec<&str> = source.launches.iter().map(|it| it.entry).collect();
    entries.sort_unstable();
    entries.dedup();
    entries.iter().for_each(|it| writeln!(text, "EMULATE_ENTRY({it})").unwrap());
    text += PROGRAM;
    text += "int main(int, char** names) {\n    FILE* file = fopen(names[1], \"rb\");\n    unsigned long long b[64];\n";
    text += "    const int count = atoi(names[2]);\n    for (int i = 0; i < count; i++) b[i] = buffer(file);\n";
    text += "    fclose(file);\n    const int outputs = atoi(names[3]);\n";
    writeln!(text, "    unsigned long long counters = (unsigned long long)calloc({}, 4);", source.counters).unwrap();
    for launch in &source.launches {
        let arguments: Vec<String> = launch
            .arguments
            .iter()
            .map(|it| match it {
                Argument::Input(at) => format!("b[{at}]"),
                Argument::Output(at) => format!("b[outputs + {at}]"),
                Argument::Scratch(offset) => format!("b[count - 1] + {offset}"),
                Argument::Counters => "counters".to_owned(),
                Argument::Seed => format!("{}ull", case::SEED),
                Argument::Null => "0".to_owned(),
            })
            .collect();
        let [x, y, z] = launch.grid;
        let (list, entry, threads, shared) = (arguments.join(", "), launch.entry, launch.block, launch.shared);
        writeln!(text, "    {{ const unsigned long long a[] = {{{list}}};").unwrap();
        writeln!(text, "      launch(emulate_call_{entry}, a, {x}, {y}, {z}, {threads}, {shared}); }}").unwrap();
    }
    text + "    _Exit(0);\n}\n"
}

/// What the sanitizer says of a run; empty when nothing.
fn run(case: &Case, source: &CudaSource) -> String {
    let text = program(source);
    let (folder, _) = build("sanitized", &[&text, HEADER, RUNTIME, &FLAGS.join(" ")], |folder| {
        std::fs::write(folder.join("emulate.h"), HEADER).unwrap();
        std::fs::write(folder.join("emulate.cpp"), RUNTIME).unwrap();
        std::fs::write(folder.join("kernel.cpp"), &text).unwrap();
        let output = Command::new("g++")
            .current_dir(folder)
            .args(FLAGS)
            .args(["-o", "program", "kernel.cpp", "emulate.cpp"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
    let mut buffers: Vec<Vec<u8>> = case.inputs.iter().map(|it| bytes(it.dtype, &it.data)).collect();
    let outputs = buffers.len();
    buffers.extend(case.outputs.iter().map(|it| vec![0xff; bytes(it.dtype, &it.data).len()]));
    buffers.push(vec![0xff; source.scratch]);
    let file = tempfile::NamedTempFile::new().unwrap();
    let all: Vec<u8> = buffers.iter().flat_map(|it| [&(it.len() as u64).to_ne_bytes()[..], it].concat()).collect();
    std::fs::write(file.path(), all).unwrap();
    let output = Command::new(folder.join("program"))
        .arg(file.path())
        .args([buffers.len().to_string(), outputs.to_string()])
        // Threads of the device are fibers here, and the emulator has a handler of its own.
        .env("ASAN_OPTIONS", "detect_stack_use_after_return=0:detect_leaks=0:use_sigaltstack=0:handle_segv=0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { String::new() } else { format!("{:?}\n{said}", output.status) }
}

#[test]
fn no_family_leaves_its_buffers_under_the_address_sanitizer() {
    if !available() || super::module::device().is_some() {
        return;
    }
    let images = Images { n: 2, size: [5, 7], cin: 5, cout: 7 };
    let geometry = Geometry::same([5, 7], [3, 3], [2, 2]);
    let mut cases: Vec<(Case, Options)> = Vec::new();
    for kind in [ConvKind::Forward, ConvKind::InputGrad, ConvKind::FilterGrad] {
        for (arithmetic, split) in [(Arithmetic::F32, 1), (Arithmetic::Bf16, 2)] {
            let choice = Some(Choice { tile: 2, split });
            cases.push((conv(kind, images, geometry, 0.0), Options { arithmetic, choice, ..Options::default() }));
        }
    }
    let images = Images { cin: 8, cout: 16, ..images };
    let narrow = Geometry::same([5, 7], [3, 3], [1, 1]);
    for (kind, geometry, tile, split) in [
        (ConvKind::Forward, geometry, 2, 1),
        (ConvKind::InputGrad, geometry, 3, 1),
        (ConvKind::FilterGrad, geometry, 2, 2),
        (ConvKind::FilterGrad, narrow, FILTER_GRAD_3X3, 1),
    ] {
        let choice = Some(Choice { tile, split });
        cases.push((conv(kind, images, geometry, 0.0).in_bf16(true), Options { choice, ..Options::default() }));
    }
    for kind in [ConvKind::Forward, ConvKind::InputGrad, ConvKind::FilterGrad] {
        let geometry = Geometry::valid([3, 2], [2, 1]).dilated([1, 2]).padded([5, 7]).grouped(8);
        cases.push((conv(kind, images, geometry, 0.0), Options::default()));
    }
    let mut make = Numbers::new(4);
    let inputs = vec![
        make.reals([37, 10], -1.0, 1.0),
        make.reals([10], -0.5, 0.5),
        make.reals([37, 1], 0.5, 2.0),
        make.reals([], -0.1, 0.1),
    ];
    let results = [whole(), reduced(Reduction::Sum, &[1]), reduced(Reduction::Sum, &[0]), whole(), whole(), whole()];
    let one = map("sanitized", inputs.clone(), &several(), &results);
    let moments = [
        reduced(Reduction::Mean, &[0]),
        reduced(Reduction::Variance, &[1]),
        reduced(Reduction::Variance, &[0]),
        reduced(Reduction::Variance, &[0, 1]),
    ];
    let spread = map("sanitized moments", inputs, &several(), &moments);
    let (smoothing, floor) = (Scalar64(0.01), Scalar64(1e-4));
    let usual = [
        case::many(vec![one.clone(), case::copy(300, sphc::ir::DType::Int), one.clone()]),
        one,
        spread,
        case::matmul(1, [9, 13, 21], true, false),
        case::matmul(3, [9, 13, 21], false, true),
        case::window(Window::MaxGrad, 2, [7, 5, 3], Geometry::same([7, 5], [3, 3], [2, 2])),
        case::window(Window::Sum, 2, [7, 5, 3], Geometry::same([7, 5], [3, 3], [1, 1])),
        case::transpose(&[3, 4, 2, 5], &[2, 0, 3, 1]),
        case::assemble(&[3, 6, 4], &[(&[2, 5, 9], &[(1, false), (-1, false), (-2, false)])]),
        case::scatter(5, 270, 7),
        case::gather(DType::U8, 9, &[6, 5, 3], &crate::files::images::every_step([6, 5])),
        case::gather(DType::Int, 9, &[], &[]),
        case::loss(Loss::CrossEntropyGrad { smoothing, floor }, 13, 10),
        case::random(sphc::ir::Random::Shuffle { examples: 7 }, 20, 3, 0),
    ];
    cases.extend(usual.into_iter().map(|it| (it, Options::default())));
    for (case, options) in &cases {
        let said = run(case, &generate(&case.spec, options));
        assert!(said.is_empty(), "{}\n{said}", case.name);
    }
    // What it is there for: one number ahead of a buffer.
    let case = case::window(Window::Sum, 2, [7, 5, 3], Geometry::same([7, 5], [3, 3], [1, 1]));
    let mut wrong = generate(&case.spec, &Options::default());
    let planted =
        wrong.text.replace("(float)first[input_at(n, py, px, c)]", "(float)first[input_at(n, py, px, c) - 1]");
    assert_ne!(planted, wrong.text);
    wrong.text = planted;
    let said = run(&case, &wrong);
    assert!(said.contains("AddressSanitizer: heap-buffer-overflow"), "{said}");
}
