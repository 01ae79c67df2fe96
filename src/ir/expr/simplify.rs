//! Simplification: constants, identities, and the rewrites that keep operators safe.
