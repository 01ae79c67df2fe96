//! `sphc` compiles declarative model descriptions (`.sph`) into executable training plans.
//!
//! Data flows one way, and the folders spell the way. Each arrow is one function; each noun is a
//! type that only its own stage can make.
//!
//! ```text
//! .sph text
//!   -> syntax    ast::File          parse, with recovery; fmt prints it back
//!   -> lower     ir::Graph          names, params, blocks, loops, imports, recipe; operators become expressions
//!   -> shape     shape::Typed       every shape and dtype, every user-facing check
//!   -> autodiff  shape::Typed       forward, loss, penalties, gradients and optimizer in one graph
//!   -> fuse      fuse::Fused        groups: one group becomes one kernel
//!   -> kernel    kernel::KernelSpec family, sizes, scalar expression
//!   -> plan      plan::Plan         schedule, arena offsets, launches: the executable plan
//!   -> runtime   runtime::Session   buffers on a device, phases to run
//!   -> train     train::Report      loop, metrics, checkpoints
//! ```
//!
//! [`pipeline`] lists every pass once, in order. A user's mistake is a [`diag::Diagnostic`]; a broken
//! invariant is a bug and panics with the IR's text; the environment's failures are error enums with
//! path, cause and remedy.

pub mod diag;
pub mod syntax;

pub mod ir;
pub mod lower;
pub mod shape;

pub mod autodiff;
pub mod interp;

pub mod export;

pub mod fuse;
pub mod kernel;
pub mod plan;

pub mod pipeline;
#[allow(clippy::disallowed_methods, reason = "devices have files and clocks")]
pub mod runtime;
pub mod verify;

#[allow(clippy::disallowed_methods, reason = "models are files")]
mod api;
#[allow(clippy::disallowed_methods, reason = "data sets are files")]
pub mod data;
#[allow(clippy::disallowed_methods, reason = "a run is a folder, and takes time")]
pub mod train;

pub use api::*;
pub use ir::Precision;
pub use pipeline::{Checked, Compiled};
pub use train::{End, Evaluation, Event, Init, Report, Resume};
