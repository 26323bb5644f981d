//! Affine views: which element of an input each element of an output reads, when that is a slice, a
//! permutation, a flip, a broadcast or any sequence of these.
//!
//! Knows index arithmetic and chunk intersections. Must not know dtypes or operations.

use crate::grid::{AxisGrid, Region};
use std::ops::Range;

/// Where one axis of the input gets its index from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AxisMap {
    /// `start + step * i`, where `i` is the output's index along `axis`. `start` wraps: the second part of a
    /// concatenation starts below 0, at an output index that is not its own.
    Along {
        /// The output axis.
        axis: usize,
        /// The input index of output index 0.
        start: usize,
        /// Input positions per output position; negative where the axis runs backwards; never 0.
        step: isize,
    },
    /// Always this index.
    At(usize),
}

impl AxisMap {
    /// `i` of output axis `axis` itself.
    #[must_use]
    pub fn same(axis: usize) -> AxisMap {
        AxisMap::Along { axis, start: 0, step: 1 }
    }

    /// The input index for an output index.
    #[must_use]
    pub fn apply(&self, out: &[usize]) -> usize {
        match *self {
            AxisMap::Along { axis, start, step } => start.wrapping_add_signed(step * out[axis] as isize),
            AxisMap::At(p) => p,
        }
    }
}

/// An affine map from output indices to input indices, axis by axis. Each output axis feeds at most one input
/// axis; output axes that feed none repeat the input (broadcasting).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct View {
    /// One entry per input axis.
    pub axes: Vec<AxisMap>,
}

impl View {
    /// The view that changes nothing.
    #[must_use]
    pub fn identity(ndim: usize) -> View {
        View { axes: (0..ndim).map(AxisMap::same).collect() }
    }

    /// Whether this is [`View::identity`] for an output of `ndim` axes.
    #[must_use]
    pub fn is_identity(&self, ndim: usize) -> bool {
        self.axes.len() == ndim && self.axes.iter().enumerate().all(|(i, a)| *a == AxisMap::same(i))
    }

    /// ndarray's (NumPy's) broadcasting of `from` to `to`: trailing axes align, length 1 repeats.
    #[must_use]
    pub fn broadcast(from: &[usize], to: &[usize]) -> View {
        let shift = to.len() - from.len();
        let axes = from.iter().enumerate();
        View {
            axes: axes
                .map(
                    |(i, &l)| {
                        if l == 1 && to[i + shift] != 1 { AxisMap::At(0) } else { AxisMap::same(i + shift) }
                    },
                )
                .collect(),
        }
    }

    /// The view that first goes through `outer` (output to middle), then through `self` (middle to input).
    #[must_use]
    pub fn after(&self, outer: &View) -> View {
        let axes = self.axes.iter().map(|m| match *m {
            AxisMap::At(p) => AxisMap::At(p),
            AxisMap::Along { axis, start, step } => match outer.axes[axis] {
                AxisMap::At(p) => AxisMap::At(start.wrapping_add_signed(step * p as isize)),
                AxisMap::Along { axis, start: s, step: t } => AxisMap::Along {
                    axis,
                    start: start.wrapping_add_signed(step * s as isize),
                    step: step * t,
                },
            },
        });
        View { axes: axes.collect() }
    }

    /// The input box that holds every element which an output box reads (steps leave holes in it).
    #[must_use]
    pub fn image(&self, out: &[Range<usize>]) -> Region {
        self.axes.iter().map(|m| image_of(*m, out)).collect()
    }
}

fn image_of(map: AxisMap, out: &[Range<usize>]) -> Range<usize> {
    match map {
        AxisMap::At(p) => p..p + 1,
        AxisMap::Along { axis, start, step } => {
            let r = &out[axis];
            if r.is_empty() {
                return 0..0;
            }
            let first = start.wrapping_add_signed(step * r.start as isize);
            let last = start.wrapping_add_signed(step * (r.end - 1) as isize);
            first.min(last)..first.max(last) + 1
        }
    }
}

/// The input chunks along one axis that hold an element which output range `out` reads through
/// `start + step * i`, in rising order.
pub fn chunks_read(grid: &AxisGrid, start: usize, step: isize, out: Range<usize>) -> Vec<usize> {
    let hull = image_of(AxisMap::Along { axis: 0, start, step }, std::slice::from_ref(&out));
    let touched = grid.chunks_touching(hull);
    if step.unsigned_abs() <= 1 {
        return touched.filter(|&c| !grid.range(c).is_empty()).collect();
    }
    touched.filter(|&c| !outputs_within(grid.range(c), start, step, out.clone()).is_empty()).collect()
}

/// The output positions within `out` whose input position `start + step * i` lies in `input`.
#[must_use]
pub fn outputs_within(input: Range<usize>, start: usize, step: isize, out: Range<usize>) -> Range<usize> {
    if input.is_empty() || out.is_empty() {
        return 0..0;
    }
    let (a, b, s) = (input.start as i128, input.end as i128 - 1, start as isize as i128);
    let t = step as i128;
    let (lo, hi) = if t > 0 {
        ((a - s).div_euclid(t) + i128::from((a - s).rem_euclid(t) != 0), (b - s).div_euclid(t))
    } else {
        let t = -t;
        ((s - b).div_euclid(t) + i128::from((s - b).rem_euclid(t) != 0), (s - a).div_euclid(t))
    };
    let lo = lo.max(out.start as i128);
    let hi = (hi + 1).min(out.end as i128);
    if lo < hi { lo as usize..hi as usize } else { 0..0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forward_and_backward_agree_with_brute_force() {
        let grid = AxisGrid::regular(23, 4);
        for (start, step, n) in [(0, 1, 23), (3, 2, 9), (22, -1, 23), (20, -7, 3), (1, 9, 3), (5, 1, 10)] {
            for (lo, hi) in [(0, n), (1, n), (n / 2, n), (0, 1), (2, 2)] {
                let at = |i: usize| (start as isize + step * i as isize) as usize;
                let mut want: Vec<usize> = (lo..hi).map(|i| grid.chunk_of(at(i))).collect();
                want.sort_unstable();
                want.dedup();
                assert_eq!(chunks_read(&grid, start, step, lo..hi), want, "{start} {step} {lo}..{hi}");
                for c in 0..grid.n_chunks() {
                    let got = outputs_within(grid.range(c), start, step, lo..hi);
                    let want: Vec<usize> = (lo..hi).filter(|&i| grid.range(c).contains(&at(i))).collect();
                    assert_eq!(got.collect::<Vec<_>>(), want);
                }
            }
        }
    }

    #[test]
    fn composition_is_application_in_turn() {
        let flip = View { axes: vec![AxisMap::Along { axis: 0, start: 9, step: -1 }] };
        let slice = View { axes: vec![AxisMap::Along { axis: 0, start: 2, step: 3 }] };
        let both = flip.after(&slice);
        for i in 0..3 {
            assert_eq!(both.axes[0].apply(&[i]), flip.axes[0].apply(&[slice.axes[0].apply(&[i])]));
        }
    }

    #[test]
    fn broadcasting_repeats_axes_of_length_one() {
        let v = View::broadcast(&[3, 1], &[2, 3, 4]);
        assert_eq!(v.axes, [AxisMap::same(1), AxisMap::At(0)]);
        assert_eq!(v.image(&[0..2, 1..3, 0..4]), vec![1..3, 0..1]);
    }
}
