//! (Unstable.) The intermediate representation: tensors as a graph of few primitive ops, scalars as
//! expressions inside `Map`. Facts (shape and dtype) are computed when a node is built.
//!
//! `SphereConv` is not an op: it is what `Conv`, `Window`, `Reduce` and `Map` compose to.

pub mod assembly;
pub mod augment;
pub mod beta;
pub mod expr;
mod extremes;
pub mod fact;
pub mod graph;
pub mod infer;
pub mod op;
pub mod outline;
pub mod precision;
pub mod print;
pub mod random;
pub mod recipe;
pub mod response;
pub mod results;
pub mod size;
pub mod start;
pub mod target;
pub mod verify;
pub mod whitening;
mod words;
pub mod work;

pub use assembly::Along;
pub use augment::{Augment, Border};
pub use expr::{Binary, ExprNode, Scalar, ScalarFn, Unary};
pub use extremes::Extremes;
pub use fact::{DType, Fact, Shape};
pub use graph::{
    Frame, Graph, Init, Metric, Mode, NodeId, Origin, OriginId, Param, ParamId, ParamRole, Phase, State, StateId,
    StateRole,
};
pub use infer::{ShapeError, infer};
pub use op::{Across, Extern, Fill, Geometry, Loss, Op, Random, Reduction, Target, Window};
pub use outline::{Applied, Argument, Block, Callee, Layer};
pub use precision::Precision;
pub use recipe::{Average, Clip, Column, ImageStep, Optimizer, Penalty, Projection, Recipe, Shard, Taken, Term};
pub use response::Response;
pub use results::{Figure, Geometric, ResultKey, feature, gradient};
pub use target::TargetKind;
pub use whitening::Whitening;
