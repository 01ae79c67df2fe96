//! The functions of scalar expressions, each declared once.
//!
//! A declaration tells everything but what a function does. That is by hand, and matched without wildcards: its value in
//! `evaluate`, its derivative in `differentiate`, its code for devices in `kernels/scalar.cu` and `runtime/cpu/map/lanes`.
//! `interp` and `verify` have a value and a bound of their own, on purpose.

use super::range::{self, Interval};
use Domain::{All, Arc, InverseRoot, Logarithm, Root};
use Parity::{Even, Neither, Odd};
use Range::{By, Ends};
use Signed::{Any, NotNegative, Positive, Same, SameOrZero, Size};
use serde::{Deserialize, Serialize};

const INFINITE: f64 = f64::INFINITY;

/// What is declared of a function of one argument.
struct Facts {
    name: &'static str,
    /// Whether the language has it by that name.
    called: bool,
    /// `$` is the argument.
    cuda: &'static str,
    /// In additions.
    weight: u32,
    domain: Domain,
    range: Range,
    /// Two numbers between which it always is, rounded or not.
    bounds: (f64, f64),
    sign: Signed,
    parity: Parity,
}

/// What is declared of a function of two arguments.
struct BinaryFacts {
    name: &'static str,
    /// In additions.
    weight: u32,
}

/// Where a function is a number, and what happens at the end of that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Domain {
    /// Everywhere.
    All,
    /// From 0, where it is steep.
    Root,
    /// Above 0, where it is infinite.
    InverseRoot,
    /// Above this number, where it is infinite.
    Logarithm(f64),
    /// From -1 to 1, where it is steep; beyond, it is what it is there.
    Arc,
}

impl Domain {
    /// Below this the function is not a number.
    pub fn low(self) -> Option<f64> {
        match self {
            All | Arc => None,
            Root | InverseRoot => Some(0.0),
            Logarithm(pole) => Some(pole),
        }
    }
}

/// What values a function takes of an interval.
#[derive(Clone, Copy, Debug)]
pub(super) enum Range {
    /// Those between its values at the ends: it rises, or falls, all the way.
    Ends,
    /// As this says.
    By(fn(Interval) -> Interval),
}

/// What is known of a value's sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signed {
    Any,
    /// It is that of the argument.
    Same,
    /// That of the argument, or 0 instead.
    SameOrZero,
    /// Not negative, and 0 only of 0.
    Size,
    NotNegative,
    Positive,
}

/// What a minus before the argument does to the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parity {
    Neither,
    /// Nothing.
    Even,
    /// The same to the value.
    Odd,
}

/// An enum with what is declared of each variant.
macro_rules! declared {
    ($(#[$of_all:meta])* enum $all:ident with $facts:ident { $($(#[$of_one:meta])* $name:ident { $($fact:tt)* })* }) => {
        $(#[$of_all])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $all {
            $($(#[$of_one])* $name,)*
        }

        impl $all {
            /// Every one, in the order of their declaration.
            pub const ALL: [$all; [$(stringify!($name)),*].len()] = [$($all::$name),*];

            fn facts(self) -> $facts {
                match self {
                    $($all::$name => $facts { $($fact)* },)*
                }
            }
        }
    };
}

declared! {
/// One argument. Each is a plain function of a number; what is singular is made safe here, once.
enum Unary with Facts {
    /// `-a`.
    Neg {
        name: "-", called: false, cuda: "-$", weight: 1,
        domain: All, range: By(range::neg), bounds: (-INFINITE, INFINITE), sign: Any, parity: Odd,
    }
    /// `|a|`, derivative `sign(a)`.
    Abs {
        name: "abs", called: true, cuda: "sph_abs($)", weight: 1,
        domain: All, range: By(range::abs), bounds: (0.0, INFINITE), sign: Size, parity: Even,
    }
    /// -1, 0 or 1, and NaN of NaN; derivative 0.
    Sign {
        name: "sign", called: true, cuda: "sph_sign($)", weight: 1,
        domain: All, range: By(range::sign), bounds: (-1.0, 1.0), sign: Same, parity: Odd,
    }
    /// Root; NaN below 0.
    Sqrt {
        name: "sqrt", called: true, cuda: "sph_sqrt($)", weight: 4,
        domain: Root, range: Ends, bounds: (0.0, INFINITE), sign: Size, parity: Neither,
    }
    /// `1 / sqrt(a)`.
    Rsqrt {
        name: "rsqrt", called: false, cuda: "sph_rsqrt($)", weight: 4,
        domain: InverseRoot, range: Ends, bounds: (0.0, INFINITE), sign: Positive, parity: Neither,
    }
    /// `e^a`.
    Exp {
        name: "exp", called: true, cuda: "sph_exp($)", weight: 20,
        domain: All, range: Ends, bounds: (0.0, INFINITE), sign: Positive, parity: Neither,
    }
    /// `e^a - 1`, exact near 0.
    Expm1 {
        name: "expm1", called: true, cuda: "sph_expm1($)", weight: 20,
        domain: All, range: Ends, bounds: (-1.0, INFINITE), sign: Same, parity: Neither,
    }
    /// Natural logarithm.
    Log {
        name: "log", called: true, cuda: "sph_log($)", weight: 20,
        domain: Logarithm(0.0), range: Ends, bounds: (-INFINITE, INFINITE), sign: Any, parity: Neither,
    }
    /// `log(1 + a)`, exact near 0.
    Log1p {
        name: "log1p", called: true, cuda: "sph_log1p($)", weight: 20,
        domain: Logarithm(-1.0), range: Ends, bounds: (-INFINITE, INFINITE), sign: Same, parity: Neither,
    }
    /// Sine.
    Sin {
        name: "sin", called: true, cuda: "sph_sin($)", weight: 20,
        domain: All, range: By(range::sine), bounds: (-1.0, 1.0), sign: Any, parity: Odd,
    }
    /// Cosine.
    Cos {
        name: "cos", called: true, cuda: "sph_cos($)", weight: 20,
        domain: All, range: By(range::cosine), bounds: (-1.0, 1.0), sign: Any, parity: Even,
    }
    /// Hyperbolic tangent.
    Tanh {
        name: "tanh", called: true, cuda: "sph_tanh($)", weight: 20,
        domain: All, range: Ends, bounds: (-1.0, 1.0), sign: Same, parity: Odd,
    }
    /// `1 / (1 + e^-a)`.
    Logistic {
        name: "logistic", called: true, cuda: "sph_logistic($)", weight: 20,
        domain: All, range: Ends, bounds: (0.0, 1.0), sign: Positive, parity: Neither,
    }
    /// Error function: `2 / sqrt(pi)` times the integral of `e^(-t^2)` from 0 to `a`.
    Erf {
        name: "erf", called: true, cuda: "sph_erf($)", weight: 20,
        domain: All, range: Ends, bounds: (-1.0, 1.0), sign: Same, parity: Odd,
    }
    /// Arc sine of `a` clamped to [-1, 1]; NaN is not clamped.
    Asin {
        name: "asin", called: true, cuda: "sph_asin($)", weight: 20,
        domain: Arc, range: Ends, bounds: (-INFINITE, INFINITE), sign: Same, parity: Odd,
    }
    /// Arc cosine of `a` clamped to [-1, 1].
    Acos {
        name: "acos", called: true, cuda: "sph_acos($)", weight: 20,
        domain: Arc, range: Ends, bounds: (-INFINITE, INFINITE), sign: NotNegative, parity: Neither,
    }
    /// Derivative of `Asin`: `1 / sqrt(max(1 - a^2, d))`, `d` = 1e-6 in f32 and bf16 paths, 1e-12 in f64.
    AsinSlope {
        name: "asin_slope", called: false, cuda: "sph_asin_slope($)", weight: 4,
        domain: Arc, range: By(range::asin_slope), bounds: (1.0, INFINITE), sign: Positive, parity: Even,
    }
    /// Arc tangent.
    Atan {
        name: "atan", called: true, cuda: "sph_atan($)", weight: 20,
        domain: All, range: Ends, bounds: (-INFINITE, INFINITE), sign: Same, parity: Odd,
    }
    /// Largest integer not above `a`; derivative 0.
    Floor {
        name: "floor", called: true, cuda: "sph_floor($)", weight: 1,
        domain: All, range: By(range::floor), bounds: (-INFINITE, INFINITE), sign: SameOrZero, parity: Neither,
    }
    /// The value itself; its derivative is defined to be 0.
    Stop {
        name: "stop", called: true, cuda: "$", weight: 0,
        domain: All, range: By(range::same), bounds: (-INFINITE, INFINITE), sign: Same, parity: Odd,
    }
}
}

declared! {
/// Two arguments.
enum Binary with BinaryFacts {
    /// `a + b`.
    Add { name: "+", weight: 1 }
    /// `a - b`.
    Sub { name: "-", weight: 1 }
    /// `a * b`.
    Mul { name: "*", weight: 1 }
    /// `a / b`.
    Div { name: "/", weight: 4 }
    /// `a ^ b`.
    Pow { name: "^", weight: 40 }
    /// The smaller; NaN when either is NaN, as IEEE 754's `minimum`. Which of two zeros it is, is not told.
    Min { name: "min", weight: 1 }
    /// The larger; NaN when either is NaN, as IEEE 754's `maximum`. The derivative of a tie goes to `b`, so that
    /// relu'(0) = 0 for `max(x, 0)`.
    Max { name: "max", weight: 1 }
    /// 1 if `a < b`, else 0.
    Lt { name: "<", weight: 1 }
    /// 1 if `a <= b`, else 0.
    Le { name: "<=", weight: 1 }
    /// 1 if `a == b`, else 0.
    Eq { name: "==", weight: 1 }
}
}

impl Binary {
    /// The operator or function's name in text.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// What it weighs in additions.
    pub fn weight(self) -> u32 {
        self.facts().weight
    }
}

impl Unary {
    /// The function's name in text.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The function that the language has by a name.
    pub fn called(name: &str) -> Option<Unary> {
        Self::ALL.into_iter().find(|it| it.facts().called && it.name() == name)
    }

    /// As CUDA, of an argument.
    pub fn cuda(self, argument: &str) -> String {
        self.facts().cuda.replace('$', argument)
    }

    /// What it weighs in additions.
    pub fn weight(self) -> u32 {
        self.facts().weight
    }

    /// Where it is a number.
    pub fn domain(self) -> Domain {
        self.facts().domain
    }

    /// Between which two numbers it always is.
    pub(super) fn bounds(self) -> (f64, f64) {
        self.facts().bounds
    }

    pub(super) fn range(self) -> Range {
        self.facts().range
    }

    pub(super) fn sign(self) -> Signed {
        self.facts().sign
    }

    pub(super) fn parity(self) -> Parity {
        self.facts().parity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is declared, against values.
    #[test]
    fn declarations_say_what_the_values_are() {
        let points: Vec<f64> = (-40..40).map(|it| (f64::from(it) + 0.5) * 0.173).collect();
        for op in Unary::ALL {
            let (low, high) = op.bounds();
            for &a in &points {
                let value = op.apply(a);
                let inside = op.domain().low().is_none_or(|it| it < a);
                assert_eq!(value.is_nan(), !inside, "{op:?} at {a}");
                if !inside {
                    continue;
                }
                assert!(low <= value && value <= high, "{op:?} at {a} is {value}");
                let fits = match op.sign() {
                    Any => true,
                    Same => (0.0 < a) == (0.0 < value) && (a < 0.0) == (value < 0.0),
                    SameOrZero => a < 0.0 || 0.0 <= value,
                    Size => 0.0 <= value && (value == 0.0) == (a == 0.0),
                    NotNegative => 0.0 <= value,
                    Positive => 0.0 < value,
                };
                assert!(fits, "{op:?} at {a} is {value}, and declared {:?}", op.sign());
            }
            let everywhere =
                |near: fn(f64, f64) -> f64| points.iter().all(|it| near(op.apply(*it), op.apply(-it)).abs() < 1e-12);
            let found = match (everywhere(|a, b| a - b), everywhere(|a, b| a + b)) {
                (true, _) => Even,
                (false, true) => Odd,
                (false, false) => Neither,
            };
            assert_eq!(op.parity(), found, "{op:?}");
            if let Ends = op.range() {
                let values: Vec<f64> = points.iter().map(|it| op.apply(*it)).filter(|it| !it.is_nan()).collect();
                assert!(values.is_sorted() || values.iter().rev().is_sorted(), "{op:?} rises and falls");
            }
        }
    }

    #[test]
    fn names_are_of_one_function_each() {
        for op in Unary::ALL {
            assert_eq!(Unary::ALL.iter().filter(|it| it.name() == op.name()).count(), 1, "{op:?}");
            assert!(Unary::called(op.name()).is_none_or(|it| it == op));
        }
        assert_eq!(Unary::called("atan"), Some(Unary::Atan));
        assert_eq!(Unary::called("asin_slope"), None);
    }
}
