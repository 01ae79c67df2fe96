//! What is known of speed without a GPU: the machine code of the kernels of both networks of the paper, by family and tile.
//!
//! A snapshot says for every kind how many instructions the main loop has for its products, how many loads a thread has
//! under way before it needs the first, and what it takes of registers. A change that worsens one is seen in review. What a
//! multiprocessor makes of it only a GPU can tell.

use super::assemble::{assemble, assembler, kernels_in, ptx};
use crate::backends::emulate::module::build;
use sphc::ir::Precision;
use sphc::kernel::cuda::CudaSource;
use sphc::runtime::cuda::predict::{Class, class, code_of};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One instruction, as the disassembler writes it.
struct Instruction {
    address: u64,
    /// `LDG.E.128`.
    name: String,
    operands: String,
}

/// What the machine code of an entry says.
#[derive(Default)]
struct Figures {
    instructions: usize,
    /// Instructions and products (of tensor cores, else multiply-adds) of the loop that has most products.
    product_loop: Option<(usize, usize)>,
    /// Instructions of the loop that has most loads, or of all where none has.
    load_loop: usize,
    /// Bytes of the loads that are under way when the first of them is needed, where these are most.
    loads: Vec<u32>,
}

/// Entries by name, with the places of their labels.
fn parse(text: &str) -> BTreeMap<String, (Vec<Instruction>, BTreeMap<String, u64>)> {
    let mut all: BTreeMap<String, (Vec<Instruction>, BTreeMap<String, u64>)> = BTreeMap::new();
    let (mut entry, mut labels) = (String::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix(".text.").and_then(|it| it.strip_suffix(':')) {
            entry = name.to_owned();
        } else if let Some(label) = line.strip_suffix(':').filter(|it| it.starts_with(".L_x_")) {
            labels.push(label.to_owned());
        } else if let Some((address, rest)) = line.strip_prefix("/*").and_then(|it| it.split_once("*/")) {
            let Ok(address) = u64::from_str_radix(address, 16) else { continue };
            let rest = rest.trim_start().trim_end_matches(';').trim_end();
            // A guard says on which predicate an instruction depends.
            let rest = rest.strip_prefix('@').and_then(|it| it.split_once(' ')).map_or(rest, |it| it.1.trim_start());
            let (name, operands) = rest.split_once(' ').unwrap_or((rest, ""));
            let (code, places) = all.entry(entry.clone()).or_default();
            places.extend(labels.drain(..).map(|it| (it, address)));
            code.push(Instruction { address, name: name.to_owned(), operands: operands.to_owned() });
        }
    }
    all
}

/// Registers that an operand names: `R4`, `R4.64`, `-R4.reuse`, `[R4.64+0x10]`.
fn registers(operand: &str) -> impl Iterator<Item = u32> {
    operand.split(|it: char| !it.is_ascii_alphanumeric()).filter_map(|it| it.strip_prefix('R')?.parse().ok())
}

/// Bytes that a load from global memory brings, if it is one.
fn loaded(name: &str) -> Option<u32> {
    let mut words = name.split('.');
    if words.next() != Some("LDG") {
        return None;
    }
    let width = words.find_map(|it| match it {
        "128" => Some(16),
        "64" => Some(8),
        "U16" | "S16" => Some(2),
        "U8" | "S8" => Some(1),
        _ => None,
    });
    Some(width.unwrap_or(4))
}

fn figures(code: &[Instruction], labels: &BTreeMap<String, u64>) -> Figures {
    // What only fills the last line of the instruction cache.
    let end = code.iter().rposition(|it| it.name != "NOP" && it.name != "BRA").map_or(0, |it| it + 1);
    let mut found = Figures { instructions: end, load_loop: end, ..Figures::default() };
    let mut most_loads = 0;
    let product = if code.iter().any(|it| it.name.starts_with("HMMA")) { "HMMA" } else { "FFMA" };
    for back in code.iter().filter(|it| it.name.starts_with("BRA")) {
        let label = back.operands.split(['`', '(', ')']).find(|it| it.starts_with(".L_x_"));
        let Some(&start) = label.and_then(|it| labels.get(it)) else { continue };
        if back.address < start {
            continue;
        }
        let body = || code.iter().filter(|it| (start..=back.address).contains(&it.address));
        let count = |wanted: &dyn Fn(&str) -> bool| body().filter(|it| wanted(&it.name)).count();
        let products = count(&|it| it.starts_with(product));
        if found.product_loop.is_none_or(|(_, most)| most < products) {
            found.product_loop = Some((body().count(), products));
        }
        let loads = count(&|it| loaded(it).is_some());
        if most_loads < loads {
            (most_loads, found.load_loop) = (loads, body().count());
        }
    }
    // Registers that a load has yet to bring, and the loads.
    let (mut open, mut under_way): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    for it in code {
        let needed = match loaded(&it.name) {
            Some(_) => it.operands.split_once(',').map_or("", |it| it.1),
            None => &it.operands,
        };
        if registers(needed).any(|it| open.contains(&it)) {
            if (found.loads.iter().sum::<u32>(), found.loads.len()) < (under_way.iter().sum(), under_way.len()) {
                found.loads = std::mem::take(&mut under_way);
            }
            (open, under_way) = (Vec::new(), Vec::new());
        }
        if let Some(bytes) = loaded(&it.name) {
            let first = registers(&it.operands).next().unwrap_or(0);
            open.extend(first..first + bytes.div_ceil(4));
            under_way.push(bytes);
        }
    }
    found
}

/// The number or word that a text gives a constant.
fn constant<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!(" {name} = "))?;
    rest.split([';', ',']).next()
}

/// What the disassembler's word for an instruction says of its class.
fn named(name: &str) -> Class {
    match name.split('.').next().unwrap_or(name) {
        "HMMA" | "IMMA" => Class::Tensor,
        "IMAD" | "FFMA" | "FMUL" | "FADD" | "HFMA2" | "HADD2" => Class::Multiply,
        "MOV" | "SEL" | "FSEL" | "FMNMX" | "FSET" | "FSETP" | "ISETP" | "IADD3" | "LEA" | "LOP3" | "PRMT" | "SHF"
        | "PLOP3" | "F2FP" | "VIADD" | "VIMNMX" | "VIADDMNMX" | "P2R" | "CS2R" | "IMNMX" => Class::Integer,
        "MUFU" | "FCHK" | "FRND" | "F2I" | "I2F" => Class::Special,
        "LDG" => Class::Load,
        "STG" | "ATOMG" | "RED" => Class::Store,
        "LDGSTS" => Class::Copy,
        "LDSM" => Class::Fragments,
        "LDS" | "STS" | "SHFL" => Class::Shared,
        _ => Class::Other,
    }
}

/// What `sphc bench --predict` reads of a cubin is what the disassembler says of it.
fn reads_alike(cubin: &Path, entry: &str, number: &str, code: &[Instruction], labels: &BTreeMap<String, u64>) {
    let read = code_of(&std::fs::read(cubin).unwrap(), entry, number).expect("the entry has code");
    for (at, operation) in read.operations.iter().enumerate() {
        let name = &code[at].name;
        // Numbers in 64 bits are the business of maps of whole numbers, which nobody waits for.
        if !["I2FP", "F2F", "I2I"].contains(&name.split('.').next().unwrap()) {
            assert_eq!(class(*operation), named(name), "{entry}, {number}: {operation:#x} is {name}");
        }
    }
    let back = code.iter().enumerate().filter_map(|(at, it)| {
        let label = it
            .name
            .starts_with("BRA")
            .then(|| it.operands.split(['`', '(', ')']).find(|it| it.starts_with(".L_x_")))?;
        let to = (labels.get(label?)? / 16) as usize;
        (to < at && at < read.operations.len()).then_some(to..=at)
    });
    assert_eq!(read.loops, back.collect::<Vec<_>>(), "{entry}, {number}");
}

/// Which kind of kernel an entry is.
fn kind(entry: &str, text: &str) -> String {
    let of = |name: &str| constant(text, name).unwrap_or("?");
    let whole = |name: &str| if text.contains("using operand = bf16") { of(name) == "8" } else { of(name) == "4" };
    let tile = || {
        let arithmetic = match (text.contains("using operand = bf16"), of("ARITHMETIC")) {
            (true, "Arithmetic::Bf16") => "bf16",
            (false, "Arithmetic::Bf16") => "bf16 of fp32",
            (false, "Arithmetic::Tf32") => "tf32",
            (false, "Arithmetic::Fp32") => "fp32",
            other => panic!("{entry}: {other:?}"),
        };
        let ragged = if whole("VECTOR_A") && whole("VECTOR_B") { "" } else { ", ragged" };
        format!("{}x{} {arithmetic}{ragged}", of("TILE_M"), of("TILE_N"))
    };
    match entry {
        "conv" => {
            let strided = if of("STRIDE_H") == "1" { "" } else { " strided" };
            let what = if of("INPUT_GRAD") == "true" { "input grad" } else { "forward" };
            let taps = if (of("KERNEL_H"), of("KERNEL_W")) == ("3", "3") { "3x3" } else { "other" };
            format!("conv {what}{strided} {taps} {}", tile())
        }
        "filter_grad" if text.contains("filter_grad_3x3.cu") => "filter_grad 3x3 bf16".to_owned(),
        "filter_grad" | "matmul" => format!("{entry} {}", tile()),
        // Several share one kernel: what can be said of it is no figure of one.
        "map" if 1 < text.matches("namespace map").count() => "maps".to_owned(),
        "map" => format!("map by {}", of("VECTOR")),
        other => other.to_owned(),
    }
}

/// Most and least of a figure.
#[derive(Clone, Copy)]
struct Span(f64, f64);

impl Span {
    fn with(self, other: f64) -> Span {
        Span(self.0.min(other), self.1.max(other))
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Span(least, most) = *self;
        if least == most { write!(to, "{least:.0}") } else { write!(to, "{least:.0} .. {most:.0}") }
    }
}

/// A line for each entry of a text: architecture, kind, then names and numbers of figures.
fn report(assembler: &Path, source: &CudaSource) -> String {
    let tools = std::fs::metadata(assembler).map_or(0, |it| it.len()).to_string();
    let (folder, _) = build("machine", &[&source.text, &tools, include_str!("machine.rs")], |folder| {
        let mut lines = String::new();
        for (number, virtual_one) in [("sm_80", "compute_80"), ("sm_90", "compute_90")] {
            let ptx = ptx(&source.text, virtual_one).unwrap_or_else(|it| panic!("{it}"));
            let told = assemble(assembler, folder, &ptx, number);
            let cubin = folder.join("kernel.cubin");
            let output = Command::new(assembler.with_file_name("nvdisasm")).arg("-c").arg(&cubin).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let code = parse(&String::from_utf8_lossy(&output.stdout));
            for it in told {
                let (instructions, labels) = &code[&it.entry];
                let found = figures(instructions, labels);
                reads_alike(&cubin, &it.entry, number, instructions, labels);
                let kind = kind(&it.entry, &source.text);
                let mut all = vec![
                    ("instructions", found.instructions as f64),
                    ("registers", f64::from(it.registers)),
                    ("stack", f64::from(it.stack)),
                    ("spilled", f64::from(it.spilled)),
                ];
                let contraction = ["conv", "filter_grad", "matmul"].contains(&it.entry.as_str());
                if let Some((loop_of, products)) = found.product_loop.filter(|it| contraction && 0 < it.1) {
                    all.push(("loop of 64 products", (loop_of * 64) as f64 / products as f64));
                }
                let at_once = |name: &str| constant(&source.text, name).and_then(|it| it.parse().ok()).unwrap_or(1);
                if kind.starts_with("map by") {
                    let elements: usize = at_once("VECTOR") * at_once("ROWS_AT_ONCE");
                    all.push(("loop of an element", found.load_loop as f64 / elements as f64));
                }
                if !found.loads.is_empty() {
                    all.push(("loads at once", found.loads.len() as f64));
                    all.push(("bytes at once", f64::from(found.loads.iter().sum::<u32>())));
                }
                for (name, value) in all {
                    lines += &format!("{number}|{kind}|{name}|{value}\n");
                }
            }
        }
        std::fs::write(folder.join("report"), lines).unwrap();
    });
    std::fs::read_to_string(folder.join("report")).unwrap()
}

#[test]
fn machine_code_of_both_networks_is_as_it_was() {
    let Some(assembler) = assembler() else { return };
    let mut sources =
        kernels_in(Path::new("models/spherenet9.sph"), &[Precision::Bf16, Precision::Tf32, Precision::F32]);
    sources.extend(kernels_in(Path::new("models/sphereresnet32.sph"), &[Precision::Bf16]));
    let mut seen = std::collections::BTreeSet::new();
    sources.retain(|it| seen.insert(super::assemble::kind(&it.text)));
    let next = AtomicUsize::new(0);
    let reports = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |it| it.get()) {
            scope.spawn(|| {
                while let Some(source) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report = report(&assembler, source);
                    reports.lock().unwrap().push(report);
                }
            });
        }
    });
    let mut all: BTreeMap<(String, String), BTreeMap<String, Span>> = BTreeMap::new();
    for line in reports.lock().unwrap().iter().flat_map(|it| it.lines()) {
        let mut words = line.split('|').map(str::to_owned);
        let mut word = || words.next().unwrap();
        let (architecture, kind, name, value) = (word(), word(), word(), word().parse().unwrap());
        let of = all.entry((kind, architecture)).or_default();
        of.entry(name).and_modify(|it| *it = it.with(value)).or_insert(Span(value, value));
    }
    let mut text = String::new();
    for ((kind, architecture), figures) in &all {
        assert_eq!(figures["spilled"].1, 0.0, "{kind} spills on {architecture}");
        let words: Vec<String> =
            figures.iter().filter(|it| it.0 != "spilled").map(|(name, span)| format!("{name} {span}")).collect();
        text += &format!("{kind}, {architecture}: {}\n", words.join(", "));
    }
    insta::assert_snapshot!(text);
}

/// The reader, on a few lines as the disassembler writes them.
#[test]
fn loads_under_way_and_loops_are_read_from_machine_code() {
    let text = "\n.text.map:\n\
        /*0000*/                   LDG.E.128 R4, desc[UR4][R2.64] ;\n\
        .L_x_1:\n\
        /*0010*/                   LDG.E.64 R8, desc[UR4][R2.64+0x10] ;\n\
        /*0020*/               @P0 FADD R1, R9, R0 ;\n\
        /*0030*/                   LDG.E.U16.CONSTANT R10, desc[UR4][R2.64+0x20] ;\n\
        /*0040*/                   HMMA.16816.F32.BF16 R12, R10, R14, R12 ;\n\
        /*0050*/              @!P0 BRA `(.L_x_1) ;\n\
        /*0060*/                   EXIT ;\n\
        .L_x_2:\n\
        /*0070*/                   BRA `(.L_x_2);\n\
        /*0080*/                   NOP;\n";
    let all = parse(text);
    let (code, labels) = &all["map"];
    let found = figures(code, labels);
    assert_eq!((found.instructions, found.product_loop, found.load_loop), (7, Some((5, 1)), 5));
    assert_eq!(found.loads, [16, 8]);
}
