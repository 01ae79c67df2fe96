//! (Unstable.) From a graph that may hold mistakes to one that holds none.
//!
//! [`Typed`] can only be made here: by [`check`], which turns what the shape rules found into
//! diagnostics, or by a [`Builder`], through which later passes extend a checked graph.

mod builder;
mod check;
mod explain;

pub use builder::Builder;
pub use check::check;

use crate::ir::Graph;

/// A graph in which every fact is known and every rule holds.
#[derive(Clone, Debug)]
pub struct Typed {
    graph: Graph,
}

impl Typed {
    /// Gives up what was proved.
    pub(crate) fn into_graph(self) -> Graph {
        self.graph
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

impl std::ops::Deref for Typed {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        &self.graph
    }
}
