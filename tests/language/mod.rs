//! What a text means and what is said of one that means nothing: parsing, layout, names, diagnostics, bounds.

pub(crate) mod authoring;
pub(crate) mod book;
pub(crate) mod bounds;
pub(crate) mod codes;
pub(crate) mod definitions;
pub(crate) mod docs;
pub(crate) mod hazards;
pub(crate) mod hygiene;
pub(crate) mod layout;
pub(crate) mod library;
pub(crate) mod lower;
pub(crate) mod names;
pub(crate) mod namespaces;
pub(crate) mod signs;
pub(crate) mod suite;
pub(crate) mod syntax;
pub(crate) mod told;
pub(crate) mod unpack;
