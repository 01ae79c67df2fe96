//! Panics of the bindings that are taken as answers.

use std::cell::Cell;
use std::panic::{UnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread asks a library something that may panic because the library lacks a symbol; the panic is caught and
/// becomes an error. A program's panic hook that says nothing then spares its users a message about nothing.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Runs something that may panic because a library lacks a symbol.
pub(super) fn guarded<T>(run: impl FnOnce() -> T + UnwindSafe) -> std::thread::Result<T> {
    let before = GUARDED.replace(true);
    let result = catch_unwind(run);
    GUARDED.set(before);
    result
}
