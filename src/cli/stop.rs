//! Ctrl-C, and the termination signal of schedulers: the first asks to finish the step, the second ends
//! the process at once.

use super::say;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicI32, Ordering};

/// The signal that came; 0 before.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Listens for the signals.
pub(super) fn listen() {
    // Without a handler a signal ends the process as ever.
    if let Err(cause) = handle() {
        let _ = writeln!(say::err(), "warning: Ctrl-C will stop without a checkpoint: {cause}");
    }
}

/// Has a write beyond the limit for sizes of files (`ulimit -f`) fail as one on a full disk does: by itself the signal of it ends the
/// process without a word.
pub(super) fn outlive_limits() {
    #[cfg(unix)]
    {
        // Where it cannot be listened to, it ends the process as ever.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
    }
}

#[cfg(unix)]
fn handle() -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    // Lives as long as the process.
    std::thread::Builder::new().name("signals".into()).spawn(move || signals.forever().for_each(take))?;
    Ok(())
}

#[cfg(not(unix))]
fn handle() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // SAFETY: on Windows, the only other system, handlers run on a thread of their own.
        let registered = unsafe { signal_hook::low_level::register(signal, move || take(signal)) };
        registered?;
    }
    Ok(())
}

/// Leaves it to another process to stop this one: a launcher passes signals on to all, and the first rank ends them in order.
pub(super) fn ignore() {
    for signal in [SIGINT, SIGTERM] {
        // Where it cannot be listened to, it ends the process as ever.
        let _ = signal_hook::flag::register(signal, std::sync::Arc::default());
    }
}

fn take(signal: i32) {
    if SIGNAL.swap(signal, Ordering::SeqCst) != 0 {
        std::process::exit(code(signal));
    }
    let _ = writeln!(say::err(), "\nstopping after this step; once more stops at once");
}

/// As shells have it: 130 after Ctrl-C, 143 after the termination signal.
fn code(signal: i32) -> i32 {
    128 + signal
}

/// Whether a signal came.
pub(super) fn asked() -> bool {
    SIGNAL.load(Ordering::SeqCst) != 0
}

/// The exit status of a command that a signal stopped.
pub(super) fn status() -> ExitCode {
    // The two signals are small numbers.
    ExitCode::from(code(SIGNAL.load(Ordering::SeqCst)) as u8)
}
