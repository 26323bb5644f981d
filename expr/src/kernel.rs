//! Functions of the user's program as data: where a compiled function stands in the executable, and what blocks see
//! of their neighbours.
//!
//! Knows names, offsets and geometry. Must not know how a function is found again or called.

use crate::dtype::{DType, Element, Scalar};
use std::ops::Range;

/// The most bytes of parameters that travel with a function.
pub const PARAMS_BYTES_MAX: usize = 64 << 10;

/// The most inputs of such a function: an index of as many axes as an array may have.
pub const ARGUMENTS_MAX: usize = crate::check::NDIM_MAX;

/// A function of the user's program, compiled for the types that it is used with. It can be called by every process
/// of the same executable.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Kernel {
    /// Where its descriptor is: bytes from a fixed place of the same image.
    pub offset: i64,
    /// Which executable it was compiled into, as hexadecimal digits.
    pub build: String,
    /// The type of the function, as the compiler names it.
    pub name: String,
    /// Values that travel with it.
    pub params: Vec<u8>,
    /// The dtypes of the inputs.
    pub inputs: Vec<DType>,
    /// The result's dtype.
    pub output: DType,
}

/// What lies beyond an edge of an array, for blocks that see their neighbours. For an axis with elements `a b c d` and
/// a depth of 2:
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Boundary {
    /// Nothing: blocks at the edge are smaller there.
    None,
    /// The other end: `c d | a b c d | a b`.
    Periodic,
    /// The mirror image: `b a | a b c d | d c`.
    Reflect,
    /// The last element: `a a | a b c d | d d`.
    Nearest,
    /// This value: `x x | a b c d | x x`.
    Constant(Scalar),
}

impl Boundary {
    /// This value beyond the edges.
    #[must_use]
    pub fn constant<A: Element>(value: A) -> Boundary {
        Boundary::Constant(Scalar::new(value))
    }
}

/// What blocks see of their neighbours along one axis.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Halo {
    /// Positions on either side.
    pub depth: usize,
    /// What they see beyond the edges.
    pub boundary: Boundary,
}

impl Halo {
    /// The positions of an axis of `len` that are within this halo of `range`, which is not empty: those around it,
    /// and where the boundary is periodic those at the other end. The ranges may overlap, and some may be empty.
    ///
    /// The relation is symmetric: these are also the positions whose halo meets the range.
    #[must_use]
    pub fn reach(&self, range: &Range<usize>, len: usize) -> [Range<usize>; 3] {
        let d = self.depth;
        let around = range.start.saturating_sub(d)..(range.end + d).min(len);
        if !matches!(self.boundary, Boundary::Periodic) {
            return [around, 0..0, 0..0];
        }
        let before = d.saturating_sub(range.start).min(len);
        let behind = (range.end + d).saturating_sub(len).min(len);
        [around, len - before..len, 0..behind]
    }

    /// The length of a block over `range` of an axis of `len`, with its halo.
    #[must_use]
    pub fn padded_len(&self, range: &Range<usize>, len: usize) -> usize {
        match self.boundary {
            Boundary::None => (range.end + self.depth).min(len) - range.start.saturating_sub(self.depth),
            _ => range.len() + 2 * self.depth,
        }
    }

    /// How many positions of a block over `range` come before the range's own.
    #[must_use]
    pub fn before(&self, range: &Range<usize>) -> usize {
        match self.boundary {
            Boundary::None => self.depth.min(range.start),
            _ => self.depth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reach_is_symmetric_and_what_brute_force_says() {
        for boundary in [Boundary::None, Boundary::Periodic, Boundary::Reflect] {
            for (len, depth) in [(1, 1), (5, 0), (5, 2), (7, 7), (9, 4)] {
                let halo = Halo { depth, boundary };
                let near = |p: usize, q: usize| {
                    let wraps = matches!(boundary, Boundary::Periodic) && p.abs_diff(q) + depth >= len;
                    p.abs_diff(q) <= depth || wraps
                };
                for start in 0..len {
                    for end in start + 1..=len {
                        let reach = halo.reach(&(start..end), len);
                        for q in 0..len {
                            let got = reach.iter().any(|r| r.contains(&q));
                            assert_eq!(got, (start..end).any(|p| near(p, q)), "{halo:?} {start}..{end} {q}");
                        }
                    }
                }
            }
        }
    }
}
