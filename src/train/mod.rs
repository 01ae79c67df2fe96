//! Trains: runs a plan's phases over a data set, and keeps metrics, checkpoints and curves in a run
//! directory from which a killed training goes on bit for bit.

pub mod curves;
mod error;
pub mod metrics;
mod run_dir;

pub use error::TrainError;
