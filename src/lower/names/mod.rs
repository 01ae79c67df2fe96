//! What a text can name: definitions of the file, its imports and the prelude, options of entries, and words of other tools.

mod about;
pub(in crate::lower) mod collect;
pub(in crate::lower) mod index;
pub(in crate::lower) mod items;
pub(in crate::lower) mod measures;
pub(in crate::lower) mod options;
pub(in crate::lower) mod params;
pub(in crate::lower) mod reach;
pub(in crate::lower) mod synonyms;
pub(in crate::lower) mod words;
