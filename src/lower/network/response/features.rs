//! What an evaluation can tell of a layer's filters and of the patches that they meet (`sphc inspect`).

use crate::ir::{Geometric, ScalarFn, Unary};
use crate::lower::network::Network;
use crate::lower::network::response::Patch;
use crate::lower::network::response::monomial::{COS, FIRST_FREE};

impl Network<'_> {
    /// Tells what was asked for.
    pub(in crate::lower) fn tell_geometry(&mut self, patch: &Patch) {
        for kind in Geometric::ALL {
            let name = kind.under(&patch.path);
            if !self.settings.features.contains(&name) {
                continue;
            }
            let tensor = match kind {
                Geometric::Filters => patch.filter.clone(),
                Geometric::PatchSquares => self.patch_squares(patch),
                Geometric::Angles => {
                    let angle = ScalarFn::build(FIRST_FREE, |pool, it| pool.unary(Unary::Acos, it[COS as usize]));
                    self.respond(&angle, &[], patch, true)
                }
            };
            self.tell(&name, &tensor);
        }
    }
}
