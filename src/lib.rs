//! `sphc` compiles declarative model descriptions (`.sph`) into executable training plans.
//!
//! A program that embeds it uses what stands in this page's root: a [`Model`] is opened, checked, compiled, trained,
//! evaluated and asked about images.
//!
//! ```
//! use sphc::{DeviceOptions, Event, Model, Options, TrainOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let text = "
//! model Digits {
//!     input image: u8[8, 8, 1]
//!     x = sphere_conv((image - 8) / 8, 4, operator: cosine) |> relu |> max_pool(4)
//!     output conv(x, classes, kernel: 2, pad: valid)
//! }
//! train {
//!     data       digits
//!     batch      16
//!     iterations 1_000
//!     loss       softmax_cross_entropy
//!     optimizer  adam(rate: 1e-2)
//! }
//! ";
//! let model = Model::from_text("digits.sph", text).with(Options { iterations: Some(3), ..Options::default() });
//! assert!(model.check()?.diagnostics.is_empty());
//!
//! let folder = tempfile::tempdir()?;
//! let device = DeviceOptions::cpu();
//! let report = model.train(&TrainOptions::new(folder.path().join("run")), &device, &mut |event| {
//!     if let Event::Step { losses, .. } = event {
//!         assert!(losses.loss.is_finite());
//!     }
//! })?;
//! let weights = report.checkpoint.expect("a training ends with a checkpoint");
//! let found = model.evaluate(&weights, &device, &|| false, &mut |_, _| {})?;
//! assert_eq!(found.expect("nobody stops it").examples, 360);
//!
//! let mut predictor = model.predictor(&weights, 1, &device)?;
//! let answers = predictor.pixels(&[0; 8 * 8])?;
//! assert_eq!(answers[0].scores.len(), 10);
//! # Ok(())
//! # }
//! ```
//!
//! Images are bytes in the order example, row, column, channel (NHWC); scores are f64, one for each class. Errors are values
//! with cause and remedy ([`Error`]). Nothing is written to the terminal, no environment variable is read, no hook or handler
//! is installed, and threads are those of a session.
//!
//! The modules are the compiler. They are public for those who work on it, and for tests; **unstable**: they change from
//! version to version.
//!
//! Data flows one way, and the folders spell the way. Each arrow is one function; each noun is what
//! its own stage makes. What a later stage relies on is checked again where it would do harm: graphs by `ir::verify`, plans by
//! `Plan::validate`.
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
pub mod target;

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
pub mod changes;
#[allow(clippy::disallowed_methods, reason = "data sets are files")]
pub mod data;
#[cfg(feature = "lsp")]
#[allow(clippy::disallowed_methods, reason = "editors name files, and wait for a while")]
#[allow(clippy::mutable_key_type, reason = "addresses are compared by their texts")]
pub mod lsp;
#[allow(clippy::disallowed_methods, reason = "a run is a folder, and takes time")]
pub mod train;

pub use api::*;
pub use ir::Precision;
pub use pipeline::{Checked, Compiled, Named};
pub use train::{End, Evaluation, Event, Init, Report, Resume};
