//! The iteration space of a task as rows and columns, and affine functions of it: where an operand's element lies,
//! the value of an index, the counter of a random number.
//!
//! Knows index arithmetic. Must not know dtypes, memory or operations.

use std::ops::Range;

/// Length and stride of one axis.
pub(crate) type Dim = (usize, i64);

/// A function of (row, column) that is affine in the coordinates behind both. Rows run over the outer axes in
/// row-major order, columns over the inner axes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Affine {
    base: i64,
    outer: Vec<Dim>,
    inner: Vec<Dim>,
}

/// A part of an affine function whose positions form a box.
#[derive(Debug)]
pub(crate) struct BoxPart {
    /// The function's value at the box's first position, less the base.
    pub value: i64,
    /// Positions before the box in the range that was cut into boxes.
    pub first: usize,
    /// The box's axes.
    pub dims: Vec<Dim>,
}

/// Two neighbouring axes as one, where the outer one continues the inner.
fn collapse(dims: impl Iterator<Item = Dim>) -> Vec<Dim> {
    let mut out: Vec<Dim> = Vec::new();
    for (len, stride) in dims.filter(|d| d.0 != 1) {
        match out.last_mut() {
            Some(last) if last.1 == stride * len as i64 => *last = (last.0 * len, stride),
            _ => out.push((len, stride)),
        }
    }
    out
}

/// The value at row-major position `i` of some axes, and how many positions from there on lie along the last axis.
fn locate(dims: &[Dim], i: usize) -> (i64, usize) {
    let (mut rest, mut value) = (i, 0);
    let Some((&(last, stride), outer)) = dims.split_last() else { return (0, 1) };
    if outer.is_empty() {
        return (i as i64 * stride, last - i);
    }
    let within = rest % last;
    value += within as i64 * stride;
    rest /= last;
    for (k, &(len, stride)) in outer.iter().enumerate().rev() {
        let at = if k == 0 { rest } else { rest % len };
        value += at as i64 * stride;
        rest /= len;
    }
    (value, last - within)
}

/// Cuts a range of row-major positions into boxes.
fn boxes(dims: &[Dim], range: Range<usize>, value: i64, first: usize, out: &mut Vec<BoxPart>) {
    if range.is_empty() {
        return;
    }
    match dims {
        [] => out.push(BoxPart { value, first, dims: Vec::new() }),
        [(_, stride)] => {
            let dims = vec![(range.len(), *stride)];
            out.push(BoxPart { value: value + range.start as i64 * stride, first, dims });
        }
        [(_, stride), rest @ ..] => {
            let size: usize = rest.iter().map(|d| d.0).product();
            let (head, tail) = (range.start.div_ceil(size), range.end / size);
            let at = |i: usize| value + i as i64 * stride;
            if head > tail {
                let i = range.start / size;
                return boxes(rest, range.start - i * size..range.end - i * size, at(i), first, out);
            }
            if range.start < head * size {
                let i = head - 1;
                boxes(rest, range.start - i * size..size, at(i), first, out);
            }
            if head < tail {
                let mut dims = vec![(tail - head, *stride)];
                dims.extend_from_slice(rest);
                out.push(BoxPart { value: at(head), first: first + head * size - range.start, dims });
            }
            boxes(rest, 0..range.end - tail * size, at(tail), first + tail * size - range.start, out);
        }
    }
}

impl Affine {
    /// The function with value `base` at the origin and `strides[a]` along axis `a` of a box of these lengths, whose
    /// axes are arranged as rows and columns.
    pub(crate) fn new(
        base: i64,
        strides: &[i64],
        lens: &[usize],
        (rows, cols): (&[usize], &[usize]),
    ) -> Affine {
        let pick = |axes: &[usize]| collapse(axes.iter().map(|&a| (lens[a], strides[a])));
        Affine { base, outer: pick(rows), inner: pick(cols) }
    }

    /// The value at one position.
    pub(crate) fn at(&self, row: usize, col: usize) -> i64 {
        self.base + locate(&self.outer, row).0 + locate(&self.inner, col).0
    }

    /// The one step from each position of a block to the next, if there is one.
    pub(crate) fn step(&self, rows: &Range<usize>, cols: &Range<usize>) -> Option<i64> {
        let step = match self.inner.as_slice() {
            [] => None,
            [(_, s)] => Some(*s),
            dims => {
                let (_, along) = locate(dims, cols.start);
                if along < cols.len() {
                    return None;
                }
                dims.last().map(|d| d.1)
            }
        };
        if rows.len() <= 1 {
            return Some(step.unwrap_or(0));
        }
        let (_, along) = locate(&self.outer, rows.start);
        let row_step = self.outer.last().map_or(0, |d| d.1);
        match step {
            _ if along < rows.len() && !self.outer.is_empty() => None,
            None => Some(row_step),
            Some(s) if row_step == s * cols.len() as i64 => Some(s),
            Some(_) => None,
        }
    }

    /// Calls `f(position in the block, value, step, count)` for runs of a block that follow one another.
    pub(crate) fn for_runs(
        &self,
        rows: Range<usize>,
        cols: Range<usize>,
        mut f: impl FnMut(usize, i64, i64, usize),
    ) {
        if let Some(step) = self.step(&rows, &cols) {
            return f(0, self.at(rows.start, cols.start), step, rows.len() * cols.len());
        }
        let mut place = 0;
        let mut row = rows.start;
        while row < rows.end {
            let (value, along) = locate(&self.outer, row);
            let n = along.min(rows.end - row);
            let step = self.outer.last().map_or(0, |d| d.1);
            if self.inner.is_empty() {
                f(place, self.base + value, step, n);
                place += n;
            } else {
                for i in 0..n as i64 {
                    self.row_runs(self.base + value + i * step, cols.clone(), place, &mut f);
                    place += cols.len();
                }
            }
            row += n;
        }
    }

    fn row_runs(
        &self,
        base: i64,
        cols: Range<usize>,
        mut place: usize,
        f: &mut impl FnMut(usize, i64, i64, usize),
    ) {
        let step = self.inner.last().map_or(0, |d| d.1);
        let mut col = cols.start;
        while col < cols.end {
            let (value, along) = locate(&self.inner, col);
            let n = along.min(cols.end - col);
            f(place, base + value, step, n);
            place += n;
            col += n;
        }
    }

    /// Whether neighbours along the columns are far apart while neighbours along another axis are near, so that
    /// reading row by row would use little of each cache line.
    pub(crate) fn is_crossed(&self, element_bytes: usize) -> bool {
        let mut dims = self.outer.iter().chain(&self.inner).rev().filter(|d| d.1 != 0);
        let Some(&(_, fast)) = dims.next() else { return false };
        fast.unsigned_abs() as usize * element_bytes >= 64
            && dims.any(|&(len, s)| len >= 4 && s.unsigned_abs() < fast.unsigned_abs())
    }

    /// The boxes that a block is made of: value and place of the first position, axes with their strides, and the
    /// strides of the block itself in row-major order.
    pub(crate) fn block_boxes(
        &self,
        rows: Range<usize>,
        cols: Range<usize>,
        mut f: impl FnMut(i64, usize, &[Dim], &[isize]),
    ) {
        let (mut outer, mut inner) = (Vec::new(), Vec::new());
        let width = cols.len();
        boxes(&self.outer, rows, 0, 0, &mut outer);
        boxes(&self.inner, cols, 0, 0, &mut inner);
        for o in &outer {
            for i in &inner {
                let dims: Vec<Dim> = o.dims.iter().chain(&i.dims).copied().collect();
                let mut strides = vec![0isize; dims.len()];
                let mut step = 1;
                for (k, d) in dims.iter().enumerate().rev() {
                    if k + 1 == o.dims.len() {
                        step = width;
                    }
                    strides[k] = step as isize;
                    step *= d.0;
                }
                f(self.base + o.value + i.value, o.first * width + i.first, &dims, &strides);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_and_boxes_agree_with_single_positions(
            lens in prop::collection::vec(1usize..5, 1..5),
            strides in prop::collection::vec(-30i64..30, 4),
            split in 0usize..5,
            a in 0usize..1000, b in 0usize..1000,
        ) {
            let split = split.min(lens.len());
            let rows: Vec<usize> = (0..split).collect();
            let cols: Vec<usize> = (split..lens.len()).collect();
            let f = Affine::new(7, &strides[..lens.len()], &lens, (&rows, &cols));
            let n_rows: usize = lens[..split].iter().product();
            let n_cols: usize = lens[split..].iter().product();
            let value = |row: usize, col: usize| {
                let (mut rest, mut value) = (row * n_cols + col, 7);
                for (&l, &s) in lens.iter().zip(&strides).rev() {
                    value += (rest % l) as i64 * s;
                    rest /= l;
                }
                value
            };
            let (r0, r1) = ((a % n_rows).min(b % n_rows), (a % n_rows).max(b % n_rows) + 1);
            let (c0, c1) = if r1 - r0 > 1 { (0, n_cols) } else { ((a % n_cols).min(b % n_cols), (a % n_cols).max(b % n_cols) + 1) };
            let want: Vec<i64> = (r0..r1).flat_map(|r| (c0..c1).map(move |c| (r, c))).map(|(r, c)| value(r, c)).collect();
            let mut got = Vec::new();
            f.for_runs(r0..r1, c0..c1, |at, v, step, n| {
                assert_eq!(at, got.len());
                got.extend((0..n as i64).map(|i| v + i * step));
            });
            prop_assert_eq!(&got, &want);
            if let Some(step) = f.step(&(r0..r1), &(c0..c1)) {
                let line: Vec<i64> = (0..want.len() as i64).map(|i| want[0] + i * step).collect();
                prop_assert_eq!(&line, &want);
            }
            let mut boxed = vec![None; want.len()];
            f.block_boxes(r0..r1, c0..c1, |v, at, dims, to| {
                let n: usize = dims.iter().map(|d| d.0).product();
                for i in 0..n {
                    let (mut rest, mut v, mut at) = (i, v, at as isize);
                    for (d, t) in dims.iter().zip(to).rev() {
                        v += (rest % d.0) as i64 * d.1;
                        at += (rest % d.0) as isize * t;
                        rest /= d.0;
                    }
                    assert!(boxed[at as usize].replace(v).is_none());
                }
            });
            prop_assert_eq!(boxed.into_iter().map(|v| v.unwrap()).collect::<Vec<_>>(), want);
        }
    }
}
