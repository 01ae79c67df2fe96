//! The integration tests: one binary, one module per area.

#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
#![allow(clippy::disallowed_methods, reason = "tests read their cases and run the program")]

mod acceptance;
mod accumulating;
mod activations;
mod agreement;
mod api;
mod authoring;
mod blocks;
mod bounds;
mod broken;
mod checkpoints;
mod cli;
mod codes;
mod convolutions;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod damage;
mod data;
mod decoupled;
mod definitions;
#[cfg(unix)]
mod directories;
mod docs;
mod draws;
mod dumps;
mod emulate;
mod engines;
mod events;
mod exact;
mod exporting;
#[cfg(unix)]
mod faults;
mod features;
mod fetch;
mod fusion;
mod gate;
mod golden;
mod golden_layers;
mod golden_nets;
mod golden_ops;
mod golden_recipe;
mod gradients;
mod groups;
mod hazards;
mod heads;
mod hygiene;
mod images;
mod keeping;
#[cfg(unix)]
mod kill;
mod layers;
mod library;
mod losses;
mod lower;
mod machine;
#[cfg(target_os = "linux")]
mod memory;
mod mixing;
mod moments;
mod movement;
mod movement_nets;
mod names;
mod namespaces;
mod near_one;
mod normalised;
mod operators;
mod penalties;
mod plan_files;
mod plans;
mod predicting;
mod products;
mod random;
mod runs;
mod schedules;
mod sequences;
mod signs;
mod splits;
mod starting;
pub(crate) mod steps;
mod storage;
mod streaming;
mod suite;
mod syntax;
mod targets;
mod told;
mod unpack;
mod updates;
mod verify;
mod views;
mod whitening;
mod zoo;
