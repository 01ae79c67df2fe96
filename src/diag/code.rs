//! The stable codes and their explanations. Adding a code is one line here and one page in `codes/`.

use super::Severity;

macro_rules! codes {
    ($($name:ident $title:literal;)*) => {
        /// A kind of mistake. `E00xx` syntax, `E01xx` names, types and arguments, `E02xx` structure and
        /// recipe, `E03xx` shapes, `E04xx` and `W04xx` numeric hazards, other `W` lints.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "each code's page is its documentation")]
        pub enum Code { $($name,)* }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// `E0301`.
            pub fn name(self) -> &'static str {
                match self { $(Code::$name => stringify!($name),)* }
            }

            /// What this kind of mistake is called.
            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// The long form with an example, in Markdown.
            pub fn explanation(self) -> &'static str {
                match self { $(Code::$name => include_str!(concat!("codes/", stringify!($name), ".md")),)* }
            }
        }
    };
}

codes! {
    E0001 "syntax error";
    E0101 "unknown operator, block or function";
    E0102 "undefined name";
    E0103 "a name is used twice";
    E0104 "wrong type";
    E0105 "wrong, missing or unknown argument";
    E0106 "blocks contain each other without end";
    E0107 "unknown parameter in `--set`";
    E0108 "value out of range";
    E0109 "import problem";
    E0110 "assertion failed";
    E0111 "a value that is not used";
    E0112 "unfolding takes too much";
    E0201 "the model or its recipe is incomplete";
    E0202 "the recipe does not fit the model";
    E0203 "unknown entry or value in the recipe";
    E0204 "a selector matches nothing";
    E0301 "empty output";
    E0302 "shapes do not match";
    E0303 "a shape assertion does not hold";
    E0304 "too large";
    E0401 "an operator is not finite on its domain";
    W0104 "unused definition";
    W0105 "a layer that the output does not depend on";
    W0106 "a comment that looks like a division";
    W0202 "a step of the schedule is never reached";
    W0203 "something said has no effect";
    W0204 "a batch larger than the data set";
    W0205 "an image scaled for other bytes than the data set's";
    W0206 "running statistics too slow for the run";
    W0207 "a softmax before a loss that has one";
    W0208 "an optimizer of matrices that moves vectors";
    W0209 "a loss that training makes larger";
    W0210 "parameters that no gradient reaches";
    W0211 "a rate that moves numbers too far";
    W0303 "the orthogonality penalty can never reach zero";
    W0304 "a batch normalisation over one value";
    W0401 "the slope of an operator has no bound";
    W0402 "an operator jumps";
    W0403 "the angle of a value that is not a cosine";
}

impl Code {
    /// Errors start with `E`, lints with `W`.
    pub fn severity(self) -> Severity {
        if self.name().starts_with('E') { Severity::Error } else { Severity::Warning }
    }

    /// Every code with its page, as `docs/diagnostics.md` holds it.
    pub fn reference() -> String {
        let mut out = String::from(
            "# Diagnostics\n\nEvery code of `sphc check` with an example of the mistake and its correction; `sphc explain CODE` \
             prints the same.\nCodes with `E` are errors, those with `W` warnings, which `allow CODE` in the `train` section \
             silences.\n",
        );
        for code in Self::ALL {
            out += &format!("\n## {}: {}\n\n{}", code.name(), code.title(), code.explanation());
        }
        out
    }

    /// Finds `E0301` in any case.
    pub fn find(name: &str) -> Option<Code> {
        Self::ALL.iter().copied().find(|it| it.name().eq_ignore_ascii_case(name))
    }
}
