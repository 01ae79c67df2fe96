//! How much memory a plan takes: one figure for all commands that tell it.

use sphc::Compilation;
use sphc::plan::{Memory, Plan};
use sphc::runtime;

/// What running the plan takes on this machine's CPU: its buffers and its kernels' working memory. The program itself, which
/// differs from moment to moment, is not in it.
pub(super) fn of(plan: &Plan, threads: Option<u64>) -> Memory {
    let threads = threads.map(|it| it as usize);
    Memory { workspace: runtime::cpu::workspace(plan, threads), ..plan.memory() }
}

/// The part of the program's file that a training touches, as measured.
const TOUCHED: f64 = 0.8;

/// Bytes of the compiled model for each operation of a step, as measured from 1 to 1000 layers.
const OPERATION: usize = 2100;

/// Bytes of libraries, stacks, the log and the picture of its curves, as measured.
const BESIDE: usize = 3_800_000;

/// What the process of a training takes besides: the program and the compiled model. It is counted, not looked up in this
/// process, of which the system keeps more or less from one moment to the next.
pub(super) fn program(model: &Compilation) -> usize {
    let operations = model.compiled.training.graph().ids().count();
    (TOUCHED * mapped() as f64) as usize + OPERATION * operations + BESIDE
}

/// Its parts, by name.
pub(super) fn parts(memory: &Memory) -> [(&'static str, usize); 7] {
    [
        ("arena", memory.arena),
        ("parameters", memory.parameters),
        ("states", memory.states),
        ("data", memory.data),
        ("workspace", memory.workspace),
        ("constants", memory.constants),
        ("transfer", memory.transfer),
    ]
}

/// Bytes of the program's file that the system shows this process; 0 where it does not say.
fn mapped() -> usize {
    let own = std::env::current_exe().unwrap_or_default();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let of_own = maps.lines().filter(|it| it.ends_with(&*own.to_string_lossy()));
    let length = |it: &str| {
        let (from, to) = it.split_whitespace().next()?.split_once('-')?;
        usize::from_str_radix(to, 16).ok()?.checked_sub(usize::from_str_radix(from, 16).ok()?)
    };
    of_own.filter_map(length).sum()
}
