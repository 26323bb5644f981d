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
    /// Positions before it.
    pub before: usize,
    /// Positions behind it.
    pub after: usize,
    /// What they are beyond the ends.
    pub edge: Edge,
}

impl Reach {
    /// No further than the box.
    pub const NONE: Reach = Reach { before: 0, after: 0, edge: Edge::Cut };

    /// The positions of an axis of `len` that are within reach of `range`, which is not empty: those around it,
    /// and where the axis is a ring those at the other end. The ranges may overlap, and some may be empty.
    #[must_use]
    pub fn within(&self, range: &Range<usize>, len: usize) -> [Range<usize>; 3] {
        let around = range.start.saturating_sub(self.before)..range.end.saturating_add(self.after).min(len);
        if self.edge != Edge::Wrapped {
            return [around, 0..0, 0..0];
        }
        let before = self.before.saturating_sub(range.start).min(len);
        let behind = range.end.saturating_add(self.after).saturating_sub(len).min(len);
        [around, len - before..len, 0..behind]
    }

    /// As far in the other direction: what is within reach of a position is what has that position within this reach.
    #[must_use]
    pub fn mirrored(&self) -> Reach {
        Reach { before: self.after, after: self.before, edge: self.edge }
    }

    /// The length of a block over `range` of an axis of `len`, with its margin.
    #[must_use]
    pub fn padded_len(&self, range: &Range<usize>, len: usize) -> usize {
        match self.edge {
            Edge::Cut => {
                range.end.saturating_add(self.after).min(len) - range.start.saturating_sub(self.before)
            }
            _ => range.len().saturating_add(self.before).saturating_add(self.after),
        }
    }

    /// How many positions of a block over `range` come before the range's own.
    #[must_use]
    pub fn before(&self, range: &Range<usize>) -> usize {
        match self.edge {
            Edge::Cut => self.before.min(range.start),
            _ => self.before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_brute_force_says_and_so_is_its_mirror() {
        for edge in [Edge::Cut, Edge::Wrapped, Edge::Filled] {
            for (len, before, after) in
                [(1, 1, 1), (5, 0, 0), (5, 2, 2), (7, 7, 7), (9, 4, 4), (9, 0, 3), (8, 8, 1)]
            {
                let reach = Reach { before, after, edge };
                // Whether `q` is read for the sake of `p`.
                let near = |p: usize, q: usize| {
                    let straight = q <= p + after && p <= q + before;
                    straight || edge == Edge::Wrapped && (q + len <= p + after || p + len <= q + before)
                };
                for start in 0..len {
                    for end in start + 1..=len {
                        let within = reach.within(&(start..end), len);
                        let mirrored = reach.mirrored().within(&(start..end), len);
                        for q in 0..len {
                            let got = within.iter().any(|r| r.contains(&q));
                            assert_eq!(got, (start..end).any(|p| near(p, q)), "{reach:?} {start}..{end} {q}");
                            let got = mirrored.iter().any(|r| r.contains(&q));
                            assert_eq!(got, (start..end).any(|p| near(q, p)), "{reach:?} {start}..{end} {q}");
                        }
                    }
                }
            }
        }
    }
}
