//! Expressions as text, and as plain numbers.

impl std::fmt::Display for super::ScalarFn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.nodes)
    }
}
