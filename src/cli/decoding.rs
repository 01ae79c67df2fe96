//! Pictures of a data set take a while to decode: what is seen of it meanwhile.

use super::say;
use indicatif::ProgressBar;
use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// So long nothing is said: most data sets are read by then. Lines are so far apart at least.
const PAUSE: Duration = Duration::from_secs(3);

/// What is being decoded.
struct Decoding {
    said: Instant,
    /// On a terminal, once there is something to say.
    bar: Option<ProgressBar>,
}

static DECODING: Mutex<Option<Decoding>> = Mutex::new(None);

/// Takes that so many pictures of a part are decoded. A bar on a terminal, or else lines on standard error.
pub(super) fn seen(done: usize, all: usize) {
    let Ok(mut decoding) = DECODING.lock() else { return };
    if done == all {
        // A bar is gone when it is dropped.
        *decoding = None;
        return;
    }
    let now = Instant::now();
    let it = decoding.get_or_insert(Decoding { said: now, bar: None });
    if let Some(bar) = &it.bar {
        bar.set_position(done as u64);
        return;
    }
    if now.duration_since(it.said) < PAUSE {
        return;
    }
    it.said = now;
    if say::is_capable() {
        let bar = say::bar(all as u64, "decoding pictures {pos}/{len} {wide_bar}  {eta} left", None);
        bar.set_position(done as u64);
        bar.reset_eta();
        it.bar = Some(bar);
    } else {
        let _ = writeln!(say::err(), "decoding pictures: {done} of {all}");
    }
}
