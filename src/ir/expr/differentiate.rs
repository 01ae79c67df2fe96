//! Symbolic derivatives.
