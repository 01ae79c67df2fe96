//! What a program that embeds the compiler uses: a [`Model`] is opened, checked, compiled, trained, evaluated and asked.
//!
//! The command `sphc` is made of the same calls. Nothing here writes to the terminal, reads the environment, listens for
//! signals or ends the process: what is worth telling comes as a value, an event or a [`Notice`].

mod answer;
mod device;
mod emit;
mod error;
mod inputs;
mod known;
mod model;
mod options;
mod predictor;
mod ranks;
mod ready;
mod text;
mod trained;
mod weights;

pub use answer::{Answer, Form};
pub use device::{Device, DeviceOptions};
pub use emit::cuda_files;
pub use error::{Error, Faults, Notice};
pub use inputs::{Inputs, listed};
pub use known::{Read, find_data, info, read_data};
pub use model::{Compilation, Model};
pub use options::{Fetch, Options, Shown, Split, TrainOptions};
pub use predictor::{Prediction, Predictor};
pub use ready::Ready;
pub use text::{is_plan, read_text};
pub use trained::{Trained, class_names};
pub use weights::{fitting_weights, meaning};
