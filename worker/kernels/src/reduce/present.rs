//! The folds that leave NaN out: means and variances of the numbers that are there, which are counted in the same pass.
//!
//! Owns what these folds mean element by element. Must not know chunks or threads.

use super::fold::{Finish, FoldOf, LANES, fold_rows_twice};
use super::sums::{STRIP, Spread, Summed, distances, fold_row_twice, split, strips, sum_by_halves};

/// A sum of the numbers that are there, and how many they are: exactly, up to 2^53.
#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(C)]
pub(crate) struct Present {
    pub sum: f64,
    pub count: f64,
}

impl Present {
    /// Of no elements.
    pub(crate) const NONE: Present = Present { sum: 0.0, count: 0.0 };
}

/// A sum and a count with one more element.
#[inline(always)]
fn added<T: Summed<Sum = f64>>((sum, count): (f64, f64), x: T) -> (f64, f64) {
    let x = x.widen();
    let there = !x.is_nan();
    (sum + if there { x } else { 0.0 }, count + if there { 1.0 } else { 0.0 })
}

/// The mean of the numbers.
pub(crate) struct PresentMean;

impl<T: Summed<Sum = f64>> FoldOf<T> for PresentMean {
    type State = Present;
    #[inline(always)]
    fn identity() -> Present {
        Present::NONE
    }
    #[inline(always)]
    fn row(row: &[T]) -> Present {
        if row.len() < LANES {
            let (sum, count) = row.iter().fold((0.0, 0.0), |s, &x| added(s, x));
            return Present { sum, count };
        }
        let (sums, counts) = fold_row_twice(row, 0.0, added);
        Present { sum: sum_by_halves(sums), count: sum_by_halves(counts) }
    }
    /// Never called: rows of a leaf are folded at once.
    fn with(state: Present, _: T, _: u64) -> Present {
        state
    }
    #[inline(always)]
    fn merge(x: Present, y: Present, _: u64, _: u64) -> Present {
        Present { sum: x.sum + y.sum, count: x.count + y.count }
    }
}

impl<T: Summed<Sum = f64>> Finish<T> for PresentMean {
    type Out = T;
    /// NaN of none.
    #[inline(always)]
    fn finish(state: Present, _: u64, _: f64) -> Option<T> {
        Some(T::narrow(state.sum / state.count))
    }
}

/// Folds the rows of a leaf elementwise, all at once.
///
/// # Safety
/// As for [`Columns::Leaf`](super::fold::Columns::Leaf).
#[inline(always)]
pub(crate) unsafe fn present_body<T: Summed<Sum = f64>>(
    rows: &[*const u8],
    n: usize,
    last: usize,
    dst: *mut u8,
) {
    let (whole, short) = split(rows, n, last);
    for (from, len, last) in strips(n, last) {
        let (mut sums, mut counts) = ([0.0; STRIP], [0.0; STRIP]);
        let add = |s, x: T, _: usize| added(s, x);
        // SAFETY: promised by the caller.
        let states = unsafe {
            fold_rows_twice((&mut sums[..len], &mut counts[..len]), whole, from, add);
            fold_rows_twice((&mut sums[..last], &mut counts[..last]), short, from, add);
            std::slice::from_raw_parts_mut(dst.cast::<Present>().add(from), len)
        };
        for (state, (&sum, &count)) in states.iter_mut().zip(sums.iter().zip(&counts)) {
            *state = Present { sum, count };
        }
    }
}

/// The spread of the numbers that are there, and how many they are.
#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(C)]
pub(crate) struct PresentSpread {
    pub spread: Spread,
    pub count: f64,
}

impl PresentSpread {
    /// Of no elements.
    pub(crate) const NONE: PresentSpread = PresentSpread { spread: Spread::NONE, count: 0.0 };

    /// Of `count` elements, of which `all` gives those that are far.
    #[inline(always)]
    fn about(
        pivot: f64,
        (distances, squares): (f64, f64),
        count: f64,
        all: &mut dyn Iterator<Item = f64>,
    ) -> PresentSpread {
        if count == 0.0 {
            return PresentSpread::NONE;
        }
        let spread = match squares == f64::INFINITY || !pivot.is_finite() {
            true => Spread::of_far(&mut all.filter(|x| !x.is_nan()), count as usize),
            false => Spread::about(pivot, distances, squares, 1.0 / count),
        };
        PresentSpread { spread, count }
    }
}

/// Variances of the numbers, as [`Moments`](super::sums::Moments) has them of all elements.
pub(crate) struct PresentMoments<const ROOT: bool>;

impl<T: Summed<Sum = f64>, const ROOT: bool> FoldOf<T> for PresentMoments<ROOT> {
    type State = PresentSpread;
    #[inline(always)]
    fn identity() -> PresentSpread {
        PresentSpread::NONE
    }
    #[inline(always)]
    fn row(row: &[T]) -> PresentSpread {
        let Present { sum, count } = PresentMean::row(row);
        let pivot = sum / count;
        let add = |s: (f64, f64), x: T| distances(s, away(x, pivot));
        let found = if row.len() < LANES {
            row.iter().fold((0.0, 0.0), |s, &x| add(s, x))
        } else {
            let (distances, squares) = fold_row_twice(row, 0.0, add);
            (sum_by_halves(distances), sum_by_halves(squares))
        };
        PresentSpread::about(pivot, found, count, &mut row.iter().map(|x| x.widen()))
    }
    /// Never called: rows of a leaf are folded at once.
    fn with(state: PresentSpread, _: T, _: u64) -> PresentSpread {
        state
    }
    #[inline(always)]
    fn merge(x: PresentSpread, y: PresentSpread, _: u64, _: u64) -> PresentSpread {
        match (x.count == 0.0, y.count == 0.0) {
            (true, _) => y,
            (_, true) => x,
            _ => {
                PresentSpread { spread: x.spread.with(y.spread, x.count, y.count), count: x.count + y.count }
            }
        }
    }
}

impl<T: Summed<Sum = f64>, const ROOT: bool> Finish<T> for PresentMoments<ROOT> {
    type Out = T;
    /// NaN of no more than `ddof`.
    #[inline(always)]
    fn finish(state: PresentSpread, _: u64, ddof: f64) -> Option<T> {
        let n = state.count - ddof;
        let variance = if n > 0.0 { state.spread.squares / n } else { f64::NAN };
        Some(T::narrow(if ROOT { variance.sqrt() } else { variance }))
    }
}

/// How far an element is from a number; one that is not there is no distance from it.
#[inline(always)]
fn away<T: Summed<Sum = f64>>(x: T, pivot: f64) -> f64 {
    let x = x.widen();
    if x.is_nan() { 0.0 } else { x - pivot }
}

/// Folds the rows of a leaf elementwise, all at once: about the first number of each column.
///
/// # Safety
/// As for [`Columns::Leaf`](super::fold::Columns::Leaf).
#[inline(always)]
pub(crate) unsafe fn present_moments_body<T: Summed<Sum = f64>>(
    rows: &[*const u8],
    n: usize,
    last: usize,
    dst: *mut u8,
) {
    let (whole, short) = split(rows, n, last);
    for (from, len, last) in strips(n, last) {
        let (mut pivots, mut counts) = ([f64::NAN; STRIP], [0.0; STRIP]);
        let (mut far, mut squares) = ([0.0; STRIP], [0.0; STRIP]);
        let first = |(pivot, count): (f64, f64), x: T, _: usize| {
            let x = x.widen();
            (if pivot.is_nan() { x } else { pivot }, count + if x.is_nan() { 0.0 } else { 1.0 })
        };
        // SAFETY: promised by the caller.
        let states = unsafe {
            fold_rows_twice((&mut pivots[..len], &mut counts[..len]), whole, from, first);
            fold_rows_twice((&mut pivots[..last], &mut counts[..last]), short, from, first);
            let add = |s: (f64, f64), x: T, i: usize| distances(s, away(x, pivots[i]));
            fold_rows_twice((&mut far[..len], &mut squares[..len]), whole, from, add);
            fold_rows_twice((&mut far[..last], &mut squares[..last]), short, from, add);
            std::slice::from_raw_parts_mut(dst.cast::<PresentSpread>().add(from), len)
        };
        for (i, state) in states.iter_mut().enumerate() {
            let n = if i < last { rows.len() } else { whole.len() };
            // SAFETY: as many rows have the column.
            let element = |row: &*const u8| unsafe { row.cast::<T>().add(from + i).read().widen() };
            let mut all = rows[..n].iter().map(element);
            *state = PresentSpread::about(pivots[i], (far[i], squares[i]), counts[i], &mut all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sums::Moments;
    use super::*;

    /// Of a row in which nothing is missing.
    fn complete(row: &[f64]) -> Spread {
        <Moments<false> as FoldOf<f64>>::row(row)
    }

    #[test]
    fn what_is_there_has_the_spread_that_it_has_alone() {
        let nan = f64::NAN;
        for n in [1usize, 5, 31, 32, 33, 300] {
            let there: Vec<f64> = (0..n).map(|i| 1e6 + 1.0 / (i as f64 - 30.3)).collect();
            let holes: Vec<f64> = there.iter().flat_map(|&x| [nan, x, nan]).collect();
            let state = <PresentMoments<false> as FoldOf<f64>>::row(&holes);
            let (alone, mean) = (complete(&there), <PresentMean as FoldOf<f64>>::row(&holes));
            assert_eq!((state.count, mean.count), (n as f64, n as f64));
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-12 * b.abs().max(1e-3);
            assert!(near(state.spread.mean, alone.mean) && near(state.spread.squares, alone.squares));
            assert!(near(mean.sum / mean.count, alone.mean));
            // Columns, with a last row of fewer, and one in which nothing is there.
            let rows: Vec<Vec<f64>> = holes.iter().take(30).map(|&x| vec![x, nan, x + 1.0]).collect();
            let rows: Vec<*const u8> = rows.iter().map(|row| row.as_ptr().cast()).collect();
            let mut states = [PresentSpread::NONE; 3];
            let mut means = [Present::NONE; 3];
            // SAFETY: rows of three elements, and a state for each.
            unsafe {
                present_moments_body::<f64>(&rows, 3, 2, states.as_mut_ptr().cast());
                present_body::<f64>(&rows, 3, 2, means.as_mut_ptr().cast());
            }
            let count = |of: &[f64]| of.iter().filter(|x| !x.is_nan()).count() as f64;
            let few = holes.len().min(30);
            assert_eq!(states.map(|s| s.count), [count(&holes[..few]), 0.0, count(&holes[..few - 1])]);
            assert_eq!(means.map(|m| m.count), states.map(|s| s.count));
            assert_eq!(states[1], PresentSpread::NONE);
            let whole = complete(&there[..count(&holes[..few]) as usize]);
            assert!(near(states[0].spread.squares, whole.squares));
        }
    }

    #[test]
    fn infinities_and_what_overflows_are_no_surprise() {
        let var = |row: &[f64]| {
            let state = <PresentMoments<false> as FoldOf<f64>>::row(row);
            <PresentMoments<false> as Finish<f64>>::finish(state, 0, 0.0).unwrap()
        };
        assert!(var(&[f64::NAN, f64::INFINITY, 1.0]).is_nan() && var(&[f64::NAN; 3]).is_nan());
        assert_eq!(var(&[1e300, f64::NAN, -1e300]), f64::INFINITY);
        assert_eq!(var(&[f64::NAN, 7.0]), 0.0);
    }
}
