//! In place of HTTP, in a build without the feature `fetch`.

use super::{Event, Patience, Stopped};
use crate::data::manifest::Remote;
use std::path::Path;

/// Says that this build cannot.
pub(super) fn attempt(_: &Remote, _: &Path, _: Patience, _: &mut dyn FnMut(Event)) -> Result<(), Stopped> {
    let cause = "this build of sphc has no downloads (the feature `fetch`)".to_owned();
    Err(Stopped::Network { cause, again: false })
}
