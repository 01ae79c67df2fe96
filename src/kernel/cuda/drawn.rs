//! How an expression draws its random numbers.

use super::text::{Text, file};
use crate::kernel::{Draws, MapInput, MapKernel};

/// Whether a map draws; then its functions have a seed.
pub(super) fn draws(map: &MapKernel) -> bool {
    map.inputs.iter().any(|it| it.draws.is_some())
}

/// Adds what a map draws with, if it does.
pub(super) fn add(map: &MapKernel, text: &mut Text) {
    if draws(map) {
        text.once(file!("philox.cu"));
    }
}

/// The number at a place, as an expression; operand `counter` holds the step's.
pub(super) fn number(draws: &Draws, arguments: &str, counter: &str, place: &str) -> String {
    format!("uniform({})", which(draws, arguments, counter, place))
}

/// So many numbers side by side, from a place on: the type of what holds them, and how they are drawn into it.
pub(super) fn side(draws: &Draws, input: &MapInput, width: &str, side: usize) -> String {
    let (own, rest) = input.strides.split_last().expect("a map has axes");
    let aligned = *own == 1 && 1 < side && rest.iter().chain([&draws.first]).all(|it| it.is_multiple_of(side));
    format!("Drawn<{width}, {aligned}>")
}

/// What follows the name of what holds numbers: draws them.
pub(super) fn into(draws: &Draws, arguments: &str, counter: &str, place: &str) -> String {
    format!("draw({})", which(draws, arguments, counter, place))
}

fn which(Draws { stream, first }: &Draws, arguments: &str, counter: &str, place: &str) -> String {
    format!("{arguments}.seed, {stream}ull, (u64)*{arguments}.{counter}, {first}ull + ({place})")
}
