//! How diagnostics look: for people (codespan-reporting) and for programs (JSON).
