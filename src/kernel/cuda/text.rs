//! Joining generated lines and kernel files into one translation unit.

use crate::ir::DType;
use std::fmt::{Display, Write};

/// The files, by name.
macro_rules! file {
    ($name:literal) => {
        ($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/kernels/", $name)))
    };
}
pub(super) use file;

/// A translation unit under construction.
pub(super) struct Text {
    text: String,
    /// Where the text so far ends: in generated lines or in a file.
    generated: bool,
    lines: usize,
}

impl Text {
    /// Starts a unit.
    pub(super) fn new() -> Self {
        let mut text = Self { text: "#define SPHC_GENERATED\n".into(), generated: false, lines: 1 };
        text.file(file!("kinds.cu"));
        text
    }

    /// Adds generated lines.
    pub(super) fn code(&mut self, code: impl Display) {
        if !self.generated {
            self.generated = true;
            self.put(&format!("#line {} \"generated\"\n", self.lines));
        }
        let code = code.to_string();
        self.lines += code.lines().count();
        self.put(code.trim_end());
        self.put("\n");
    }

    /// Adds a number that a kernel file asks for.
    pub(super) fn constant(&mut self, kind: &str, name: &str, value: impl Display) {
        self.code(format_args!("constexpr {kind} {name} = {value};"));
    }

    /// Adds a constant of one of the enums of `kinds.cu`.
    pub(super) fn kind(&mut self, of: &str, name: &str, value: &str) {
        self.constant(of, name, format_args!("{of}::{value}"));
    }

    /// Adds several of type `int`.
    pub(super) fn ints<const N: usize>(&mut self, all: [(&str, usize); N]) {
        for (name, value) in all {
            assert!(i32::try_from(value).is_ok(), "{name} = {value} does not fit an int");
            self.constant("int", name, value);
        }
    }

    /// Adds a file of `kernels/`.
    pub(super) fn file(&mut self, (name, text): (&str, &str)) {
        self.generated = false;
        self.put(&format!("#line 1 \"kernels/{name}\"\n"));
        self.put(text);
    }

    /// The same of a file that is there once, and may be there already.
    pub(super) fn once(&mut self, file: (&str, &str)) {
        if !self.text.contains(&format!("\"kernels/{}\"\n", file.0)) {
            self.file(file);
        }
    }

    fn put(&mut self, text: &str) {
        self.text.write_str(text).expect("a string takes all");
    }

    /// The unit.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// An element type in CUDA.
pub(super) fn element(dtype: DType) -> &'static str {
    match dtype {
        DType::U8 => "u8",
        DType::U16 => "u16",
        DType::Int => "i64",
        DType::Real => "float",
        DType::Bf16 => "bf16",
    }
}
