//! Functions of what is around each element: weighted sums and medians of windows. A block comes with what its windows reach
//! beyond it, so that the place of an element in the array, and its chunk, change nothing.
//!
//! Must not know how far windows reach or what lies beyond the edges.

use super::elements::{Answer, Elements, plane};
use super::number::{Number, Ordered, with_bounded, with_number};
use crate::chunk::Plane;
use crate::native::BlockCall;
use tilework_expr::{DType, OwnFunction};
use tilework_plan::Temporaries;

/// The sum of each window, weighted by a second argument of the window's shape. Sums are in the wide type.
#[must_use]
pub fn correlate(dtype: DType) -> OwnFunction {
    let (inputs, temporaries) = (vec![dtype; 2], Temporaries::NONE);
    OwnFunction { name: "correlate".into(), params: Vec::new(), inputs, output: dtype, temporaries }
}

/// The median of each window; of an even number of elements the greater of the two in the middle.
#[must_use]
pub fn medians(dtype: DType) -> OwnFunction {
    let (inputs, temporaries) = (vec![dtype], Temporaries::NONE);
    OwnFunction { name: "median_filter".into(), params: Vec::new(), inputs, output: dtype, temporaries }
}

/// The positions of a box in row-major order, one axis after another.
fn positions(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let n: usize = shape.iter().product();
    let shape = shape.to_vec();
    (0..n).map(move |mut i| {
        let mut at = vec![0; shape.len()];
        for (at, len) in at.iter_mut().zip(&shape).rev() {
            (*at, i) = (i % len, i / len);
        }
        at
    })
}

/// Where a position is in memory, of a box that is within one of this shape.
fn place(at: &[usize], shape: &[usize]) -> usize {
    at.iter().zip(shape).fold(0, |n, (at, len)| n * len + at)
}

/// The rows of a result within the block that its windows are of: where the windows of each begin.
fn rows(out: &[usize], block: &[usize]) -> Vec<usize> {
    let Some((_, before)) = out.split_last() else { return vec![0] };
    let mut before = before.to_vec();
    before.push(1);
    positions(&before).map(|at| place(&at, block)).collect()
}

/// How far the elements of a window are from its first one, in a block of this shape.
fn reaches(window: &[usize], block: &[usize]) -> Vec<usize> {
    positions(window).map(|at| place(&at, block)).collect()
}

/// The shape of windows: what a block has more than its result, and one.
fn window_of(block: &[usize], out: &[usize]) -> Answer<Vec<usize>> {
    let lens = block.iter().zip(out).map(|(block, out)| (block + 1).checked_sub(*out));
    let lens: Option<Vec<usize>> = lens.collect();
    lens.filter(|lens| lens.len() == block.len())
        .ok_or_else(|| format!("a block {block:?} for a result {out:?}"))
}

pub(super) fn correlated(call: &BlockCall<'_>) -> Answer<Plane> {
    let (block, weights, out) = (call.block(0)?, call.block(1)?, call.shape());
    if out.contains(&0) {
        return with_number!(block.dtype(), A => plane::<A>(&out, Vec::new()));
    }
    let window = window_of(block.shape(), &out)?;
    if window != weights.shape() {
        return Err(format!("windows {window:?} with weights {:?}", weights.shape()));
    }
    let (rows, reaches) = (rows(&out, block.shape()), reaches(&window, block.shape()));
    let row = out.last().copied().unwrap_or(1);
    with_number!(block.dtype(), A => {
        let (x, w) = (Elements::<A>::of(block)?, Elements::<A>::of(weights)?);
        plane(&out, weighted::<A>(&x, (&rows, row), (&reaches, &w)))
    })
}

/// Row by row, one weight after another, so that neighbours are added up side by side.
fn weighted<A: Number>(x: &[A], (rows, row): (&[usize], usize), (reaches, w): (&[usize], &[A])) -> Vec<A> {
    let mut made = Vec::with_capacity(rows.len() * row);
    let mut sums = vec![A::ZERO; row];
    for first in rows {
        sums.fill(A::ZERO);
        for (reach, w) in reaches.iter().zip(w) {
            let w = w.widen();
            for (sum, x) in sums.iter_mut().zip(&x[first + reach..][..row]) {
                *sum = A::add(*sum, A::mul(w, x.widen()));
            }
        }
        made.extend(sums.iter().map(|sum| A::narrow(*sum)));
    }
    made
}

pub(super) fn median_of_windows(call: &BlockCall<'_>) -> Answer<Plane> {
    let (block, out) = (call.block(0)?, call.shape());
    if out.contains(&0) {
        return with_bounded!(block.dtype(), A => plane::<A>(&out, Vec::new()));
    }
    let window = window_of(block.shape(), &out)?;
    let (rows, reaches) = (rows(&out, block.shape()), reaches(&window, block.shape()));
    let row = out.last().copied().unwrap_or(1);
    with_bounded!(block.dtype(), A => {
        plane(&out, middles::<A>(&Elements::<A>::of(block)?, (&rows, row), &reaches))
    })
}

fn middles<A: Ordered>(x: &[A], (rows, row): (&[usize], usize), reaches: &[usize]) -> Vec<A> {
    let mut window = Vec::with_capacity(reaches.len());
    let firsts = rows.iter().flat_map(|first| *first..first + row);
    let middle = |first: usize| {
        window.clear();
        window.extend(reaches.iter().map(|reach| x[first + reach]));
        let at = window.len() / 2;
        *window.select_nth_unstable_by_key(at, |v| v.key()).1
    };
    firsts.map(middle).collect()
}
