//! Rows: what leads the axes of a map that are reduced.

use super::{MapInput, MapKernel, MapOutput, Store};

impl MapKernel {
    /// How many rows maps can be done in, all of them over some rows and then over the next: the fewest that any of them needs, as
    /// sums of a row are complete within it. None where none of them reduces within rows.
    pub(crate) fn common_rows(maps: &[&MapKernel]) -> Option<usize> {
        maps.iter().filter_map(|it| it.rows()).min().filter(|it| 1 < *it)
    }

    /// How many rows a map has at most: what leads the axes that it reduces. None where it reduces nothing, or over the rows.
    fn rows(&self) -> Option<usize> {
        let leading = |output: &MapOutput| match &output.store {
            Store::Full => None,
            Store::Reduce { over, .. } => {
                let kept = over.iter().zip(&self.dims).take_while(|(over, dim)| !**over || **dim == 1);
                let kept: Vec<usize> = kept.map(|it| *it.1).collect();
                (kept.len() < over.len()).then(|| kept.iter().product()).filter(|it| 1 < *it)
            }
        };
        self.outputs.iter().filter_map(leading).min()
    }

    /// The same map with so many rows as its first axes.
    pub(crate) fn with_rows(&self, rows: usize) -> Option<MapKernel> {
        let mut before = 1;
        for (axis, &extent) in self.dims.iter().enumerate() {
            if before == rows {
                return Some(self.clone());
            }
            let after = before * extent;
            if rows < after {
                let outer = rows / before;
                if !rows.is_multiple_of(before) || !extent.is_multiple_of(outer) {
                    return None;
                }
                let mut res = self.clone();
                res.dims.splice(axis..=axis, [outer, extent / outer]);
                for MapInput { strides, .. } in &mut res.inputs {
                    let step = strides[axis];
                    strides.insert(axis, step * (extent / outer));
                }
                for output in &mut res.outputs {
                    if let Store::Reduce { over, .. } = &mut output.store {
                        over.insert(axis, over[axis]);
                    }
                }
                return Some(res);
            }
            before = after;
        }
        (before == rows).then(|| self.clone())
    }
}
