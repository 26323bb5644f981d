//! How far a task reads beyond its box along one axis.
//!
//! Knows positions. Must not know what is found there.

use std::ops::Range;

/// What there is beyond the ends of an axis.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Edge {
    /// Nothing: what would lie beyond is left out.
    Cut,
    /// The other end of the axis.
    Wrapped,
    /// Something that is made of the positions near the end, or of none.
    Filled,
}

/// How far a task reads beyond its box along one axis.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Reach {
    /// Positions on either side.
    pub depth: usize,
    /// What they are beyond the ends.
    pub edge: Edge,
}

impl Reach {
    /// The positions of an axis of `len` that are within reach of `range`, which is not empty: those around it,
    /// and where the axis is a ring those at the other end. The ranges may overlap, and some may be empty.
    ///
    /// The relation is symmetric: these are also the positions that reach the range.
    #[must_use]
    pub fn within(&self, range: &Range<usize>, len: usize) -> [Range<usize>; 3] {
        let d = self.depth;
        let around = range.start.saturating_sub(d)..(range.end + d).min(len);
        if self.edge != Edge::Wrapped {
            return [around, 0..0, 0..0];
        }
        let before = d.saturating_sub(range.start).min(len);
        let behind = (range.end + d).saturating_sub(len).min(len);
        [around, len - before..len, 0..behind]
    }

    /// The length of a block over `range` of an axis of `len`, with its margin.
    #[must_use]
    pub fn padded_len(&self, range: &Range<usize>, len: usize) -> usize {
        match self.edge {
            Edge::Cut => (range.end + self.depth).min(len) - range.start.saturating_sub(self.depth),
            _ => range.len() + 2 * self.depth,
        }
    }

    /// How many positions of a block over `range` come before the range's own.
    #[must_use]
    pub fn before(&self, range: &Range<usize>) -> usize {
        match self.edge {
            Edge::Cut => self.depth.min(range.start),
            _ => self.depth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_symmetric_and_what_brute_force_says() {
        for edge in [Edge::Cut, Edge::Wrapped, Edge::Filled] {
            for (len, depth) in [(1, 1), (5, 0), (5, 2), (7, 7), (9, 4)] {
                let reach = Reach { depth, edge };
                let near = |p: usize, q: usize| {
                    let wraps = edge == Edge::Wrapped && p.abs_diff(q) + depth >= len;
                    p.abs_diff(q) <= depth || wraps
                };
                for start in 0..len {
                    for end in start + 1..=len {
                        let within = reach.within(&(start..end), len);
                        for q in 0..len {
                            let got = within.iter().any(|r| r.contains(&q));
                            assert_eq!(got, (start..end).any(|p| near(p, q)), "{reach:?} {start}..{end} {q}");
                        }
                    }
                }
            }
        }
    }
}
