//! (Unstable.) Text to tree: the pest grammar (`grammar/sph.pest`), recovery after mistakes, and the formatter.
//!
//! ```text
//! text -> balance  every bracket has its partner (mistakes in brackets are reported here)
//!      -> grammar  pest; statements and items that do not parse are skipped as `bad_*`
//!      -> report   what was expected at the place of each mistake
//!      -> build    ast::File
//! ```

pub mod ast;

mod balance;
mod build;
mod divisions;
mod dump;
mod find;
mod fmt;
mod grammar;
mod hint;
mod line_ends;
mod parse;
mod report;
mod scan;
mod typography;
mod words;

pub use divisions::divisions;
pub use dump::{Line, dump, lines};
pub use fmt::format;
pub use parse::parse;
pub use scan::{Token, TokenKind, tokens};
pub use words::{ITEMS, RESERVED, STATEMENTS, is_keyword, within_expressions};
