//! Text to tree: the pest grammar (`grammar/sph.pest`), recovery after mistakes, and the formatter.

pub mod ast;
