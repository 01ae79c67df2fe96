//! How much memory a plan takes: one figure for all commands that tell it.

use sphc::plan::{Memory, Plan};
use sphc::runtime;

/// What running the plan takes on this machine's CPU: its buffers and its kernels' working memory. The program itself, which
/// differs from moment to moment, is not in it.
pub(super) fn of(plan: &Plan, threads: Option<u64>) -> Memory {
    let threads = threads.map(|it| it as usize);
    Memory { workspace: runtime::cpu::workspace(plan, threads), ..plan.memory() }
}

/// What the process of a training takes besides: the program and the compiled model, as in this process by now.
pub(super) fn program() -> usize {
    resident() + runtime::cpu::UNCOUNTED
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

/// Bytes of this process in memory; 0 where the system does not say.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let kilobytes = field.and_then(|it| it.trim().strip_suffix("kB")?.trim().parse::<usize>().ok());
    kilobytes.unwrap_or(0) * 1024
}
