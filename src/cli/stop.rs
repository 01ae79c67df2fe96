//! Ctrl-C: the first asks to finish the step, the second ends the process at once.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// The exit status after Ctrl-C.
pub(super) const STATUS: u8 = 130;

/// Listens for Ctrl-C, and for the termination signal of schedulers.
pub(super) fn listen() {
    let handled = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(STATUS));
        }
        let _ = writeln!(io::stderr(), "\nstopping after this step; once more stops at once");
    });
    // Without a handler Ctrl-C ends the process as ever.
    if let Err(cause) = handled {
        let _ = writeln!(io::stderr(), "warning: Ctrl-C will stop without a checkpoint: {cause}");
    }
}

/// Whether Ctrl-C came.
pub(super) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
