//! What comes in and goes out: data sets, downloads, checkpoints, weights of others, exports, event files.

pub(crate) mod checkpoints;
pub(crate) mod damage;
pub(crate) mod data;
pub(crate) mod events;
pub(crate) mod exporting;
pub(crate) mod features;
pub(crate) mod fetch;
pub(crate) mod images;
pub(crate) mod inputs;
pub(crate) mod predicting;
pub(crate) mod sharded;
pub(crate) mod splits;
pub(crate) mod starting;
pub(crate) mod streaming;
pub(crate) mod tables;
