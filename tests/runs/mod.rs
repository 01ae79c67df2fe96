//! The program and the library from outside: commands, run directories, faults, kills, memory.

pub(crate) mod acceptance;
pub(crate) mod accumulating;
pub(crate) mod api;
pub(crate) mod cli;
pub(crate) mod diffing;
#[cfg(unix)]
pub(crate) mod directories;
#[cfg(unix)]
pub(crate) mod faults;
pub(crate) mod inspecting;
#[cfg(unix)]
pub(crate) mod jobs;
pub(crate) mod keeping;
#[cfg(unix)]
pub(crate) mod kill;
pub(crate) mod looking;
#[cfg(target_os = "linux")]
pub(crate) mod memory;
pub(crate) mod pages;
pub(crate) mod reproducing;
pub(crate) mod shards;
#[cfg(unix)]
pub(crate) mod streams;
pub(crate) mod sweeps;
#[cfg(unix)]
pub(crate) mod terminal;
#[cfg(unix)]
pub(crate) mod tutorial;
pub(crate) mod views;
