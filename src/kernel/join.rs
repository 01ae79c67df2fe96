//! Kernels that follow each other and can be one, where a launch costs more than what some of them do.

use super::{KernelSpec, MapKernel, Store};
use crate::ir::Window;

/// How kernels are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// A kernel by itself.
    Alone,
    /// All at the same time, none of which reads what another writes.
    Side,
    /// A map and sums over windows of one of its results: a number of each pixel.
    Window {
        /// Which of the map's results.
        result: usize,
    },
    /// Sums over pixels, one for each channel, and a map over channels.
    Columns,
    /// Maps that can be done over some rows and then over the next.
    Rows {
        /// How many rows.
        rows: usize,
    },
}

impl Join {
    /// How kernels can be joined, as far as they themselves say; nothing where they cannot.
    pub fn of(specs: &[&KernelSpec]) -> Option<Join> {
        match specs {
            [_] => Some(Join::Alone),
            [KernelSpec::Loss { n, classes, .. }, rest @ ..] => {
                let alike = |it: &&KernelSpec| matches!(it, KernelSpec::Loss { n: of, classes: others, .. } if (n, classes) == (of, others));
                rest.iter().all(alike).then_some(Join::Side)
            }
            [KernelSpec::Map(map), KernelSpec::Window { kind, n, input, output, .. }] => {
                let read = match kind {
                    Window::Sum => n * input.iter().product::<usize>(),
                    Window::SumGrad { .. } => n * output.iter().product::<usize>(),
                    Window::Max | Window::MaxGrad => return None,
                };
                // A number of each row of the map, where rows are pixels.
                let of_rows = |store: &Store| match store {
                    Store::Full => false,
                    Store::Reduce { over, .. } => {
                        let kept = over.iter().take_while(|it| !**it).count();
                        over[kept..].iter().all(|it| *it) && map.dims[..kept].iter().product::<usize>() == read
                    }
                };
                let result = map.outputs.iter().position(|it| of_rows(&it.store))?;
                (input[2] == 1).then_some(Join::Window { result })
            }
            [KernelSpec::ConvMap { .. } | KernelSpec::Map(_), KernelSpec::Map(after)] => {
                let channels = match specs[0] {
                    KernelSpec::ConvMap { map, .. } | KernelSpec::Map(map) => map.dims.last(),
                    _ => None,
                };
                let whole = after.outputs.iter().all(|it| it.store == Store::Full)
                    && after.inputs.iter().all(|it| it.draws.is_none());
                if after.dims.len() == 1 && after.dims.first() == channels && whole {
                    return Some(Join::Columns);
                }
                Join::over_rows(specs)
            }
            _ => Join::over_rows(specs),
        }
    }

    fn over_rows(specs: &[&KernelSpec]) -> Option<Join> {
        let maps = specs.iter().map(|it| if let KernelSpec::Map(map) = it { Some(map) } else { None });
        let rows = MapKernel::common_rows(&maps.collect::<Option<Vec<&MapKernel>>>()?)?;
        Some(Join::Rows { rows })
    }
}
