//! Sizes: the one arithmetic of extents and of numbers of elements. It never wraps and never panics.
//!
//! The bounds are far above any real network, and so far below the end of the machine's words that sums over a whole
//! graph with its gradients, and bytes, still fit. `infer` holds every tensor to them, so what comes after may multiply.

use super::Shape;

/// The longest axis: positions along it fit into 32 bits with a sign.
pub const MOST_EXTENT: usize = (1 << 31) - 1;

/// Numbers in one tensor.
pub const MOST_ELEMENTS: usize = 1 << 40;

/// Multiplications of one operation.
pub const MOST_WORK: u64 = 1 << 52;

/// Numbers in all tensors of a model together.
pub const MOST_ELEMENTS_IN_ALL: u64 = 1 << 46;

/// Multiplications of all operations of a model together.
pub const MOST_WORK_IN_ALL: u64 = 1 << 58;

/// The product of extents; `usize::MAX` where it does not fit.
pub fn product(extents: &[usize]) -> usize {
    // An extent of 0 ends it, whatever the others come to.
    if extents.contains(&0) { 0 } else { extents.iter().fold(1, |all, it| usize::saturating_mul(all, *it)) }
}

/// Whether a tensor may have this shape.
pub fn fits(shape: &Shape) -> bool {
    shape.dims().iter().all(|it| *it <= MOST_EXTENT) && product(shape.dims()) <= MOST_ELEMENTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_end_at_the_largest_number() {
        assert_eq!(product(&[3, 4, 5]), 60);
        assert_eq!(product(&[usize::MAX, 2, 3]), usize::MAX);
        assert_eq!(product(&[usize::MAX, usize::MAX, 0]), 0);
        assert_eq!(product(&[]), 1);
    }

    #[test]
    fn a_tensor_is_bounded_along_each_axis_and_in_all() {
        assert!(fits(&Shape::from([1 << 20, 1 << 20])));
        assert!(!fits(&Shape::from([1 << 20, (1 << 20) + 1])));
        assert!(!fits(&Shape::from([1 << 31, 0])));
    }
}
