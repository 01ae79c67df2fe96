//! The language server: a scripted client speaks with the program over standard input and output.

pub(crate) mod client;

mod answers;
mod broken;
mod changes;
mod renames;
mod writing;
