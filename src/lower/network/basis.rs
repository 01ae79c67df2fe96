//! What the model must know of the recipe.

use crate::diag::Span;
use crate::ir::recipe::Mix;
use crate::ir::{Augment, Shard};
use crate::lower::settings::DataInfo;
use crate::syntax::ast;
use std::rc::Rc;

/// What the model must know.
#[derive(Clone, Debug)]
pub(in crate::lower) struct Basis {
    pub(in crate::lower) train: Rc<ast::Train>,
    /// `None` after a mistake.
    pub(in crate::lower) data: Option<DataInfo>,
    pub(in crate::lower) data_span: Span,
    /// Where it is, when the file names it by its path.
    pub(in crate::lower) data_path: Option<String>,
    /// The share of the training images that are kept for validation.
    pub(in crate::lower) validate: Option<f64>,
    /// Updates, as the file says.
    pub(in crate::lower) written: Option<u64>,
    pub(in crate::lower) batch: usize,
    /// Equal parts that a step takes it in.
    pub(in crate::lower) accumulate: usize,
    /// Shards of a part, 1 where there are none.
    pub(in crate::lower) shards: usize,
    /// The one that is unfolded.
    pub(in crate::lower) shard: Option<Shard>,
    pub(in crate::lower) augment: Vec<Augment>,
    /// Whether an image that is mirrored in one epoch is not in the next.
    pub(in crate::lower) alternate: bool,
    /// How they are mixed after that.
    pub(in crate::lower) mix: Option<Mix>,
    /// What is done to images that are evaluated.
    pub(in crate::lower) steady: Vec<Augment>,
    pub(in crate::lower) shuffle: bool,
}
