//! The primitives: what a block can do besides arithmetic.
//!
//! - `axes`: names of axes, and the reductions over them;
//! - `convolve`: the contractions of images;
//! - `draws`: random numbers;
//! - `einsum`: sums of products;
//! - `labels`: what looks a class up by its number;
//! - `leaves`: constants;
//! - `lists`: lists of numbers beside tensors;
//! - `parts`: tensors joined, cut, padded and mirrored;
//! - `picks`: rows of a table by their numbers, and numbers that count;
//! - `shapes`: what moves numbers without changing them;
//! - `windows`: what is made of each window of an image.

pub(in crate::lower) mod axes;
pub(in crate::lower) mod convolve;
pub(in crate::lower) mod draws;
pub(in crate::lower) mod einsum;
pub(in crate::lower) mod labels;
pub(in crate::lower) mod leaves;
pub(in crate::lower) mod lists;
pub(in crate::lower) mod parts;
pub(in crate::lower) mod picks;
pub(in crate::lower) mod shapes;
pub(in crate::lower) mod windows;
