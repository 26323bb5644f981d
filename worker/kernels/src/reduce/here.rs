//! Folds of arrays in row-major order in this process' memory, by the loops of tasks but without one: what a client
//! computes at once. The bits are those of a task that folds the array in one chunk, but for columns in narrow arrays,
//! which tasks fold in several lanes.
//!
//! Must not know chunks, programs or threads.

use super::fold::{Columns, Finish, FoldFns, LANES, fold_fns};
use super::kinds::{Product, Sum};
use super::states::{Counter, States};
use super::sums::{IntMean, Mean, Moments, Total};
use crate::map::even;
use crate::ops::{UnaryFn, cast};
use crate::program::BLOCK;
use tilework_expr::{Complex, DType, Element, Fold};

/// Rows of a leaf.
const LEAF_ROWS: usize = 32;
/// Elements of a box whose columns are made rows.
const FEW: usize = 64;
/// Columns that are folded side by side where they are converted first.
const CAST_STRIP: usize = 128;

/// Whether [`whole`] and [`lanes`] take this fold of this dtype; sums of integers, which wrap, are left to `ndarray`.
#[must_use]
#[inline]
pub fn takes(fold: Fold, dtype: DType) -> bool {
    match fold {
        Fold::Sum | Fold::Prod => dtype.is_float() || dtype.is_complex(),
        Fold::Mean => dtype != DType::Bool,
        Fold::Var { .. } | Fold::Std { .. } => dtype.is_float(),
        _ => false,
    }
}

/// The fold of all elements of an array of this shape, or `None` where no elements have no result.
///
/// # Panics
/// Where [`takes`] says no.
#[must_use]
#[inline]
pub fn whole<T: Element>(fold: Fold, elements: &[T], shape: &[usize]) -> Option<T> {
    if elements.len() <= BLOCK {
        return short(fold, elements);
    }
    let line = Line::new::<T, T>(fold);
    line.finished(&line.all(elements.as_ptr().cast(), shape), elements.len() as u64)
}

/// The folds along the middle one of three axes of these lengths; nothing where no elements have no result.
///
/// # Panics
/// Where [`takes`] says no, or if there are not as many elements.
#[must_use]
pub fn lanes<T: Element>(fold: Fold, elements: &[T], (outer, n, inner): (usize, usize, usize)) -> Vec<T> {
    Line::new::<T, T>(fold).lanes(elements, (outer, n, inner))
}

/// As [`whole`], of elements that are converted to `B` first, in pieces.
///
/// # Panics
/// If the fold does not take elements of `B`, or does not give them.
#[must_use]
pub fn whole_as<T: Element, B: Element>(fold: Fold, elements: &[T], shape: &[usize]) -> Option<B> {
    let line = Line::new::<T, B>(fold);
    line.finished(&line.all(elements.as_ptr().cast(), shape), elements.len() as u64)
}

/// As [`lanes`], of elements that are converted to `B` first, in pieces.
///
/// # Panics
/// As [`whole_as`] and [`lanes`].
#[must_use]
pub fn lanes_as<T: Element, B: Element>(
    fold: Fold,
    elements: &[T],
    (outer, n, inner): (usize, usize, usize),
) -> Vec<B> {
    Line::new::<T, B>(fold).lanes(elements, (outer, n, inner))
}

/// The fold of at most [`BLOCK`] elements: no longer than a loop over them.
#[inline]
fn short<T: Element>(fold: Fold, elements: &[T]) -> Option<T> {
    /// `T` is `U` by another name.
    #[inline(always)]
    fn of<T: Element, U: Element, F: Finish<U, Out = U>>(elements: &[T], ddof: f64) -> Option<T> {
        assert!(T::DTYPE == U::DTYPE, "elements of one type");
        // SAFETY: there is one type for each dtype.
        let row = unsafe { std::slice::from_raw_parts(elements.as_ptr().cast::<U>(), elements.len()) };
        let state = if row.is_empty() { F::identity() } else { F::row(row) };
        F::finish(state, row.len() as u64, ddof).map(|r| T::from_bits(r.to_bits()))
    }
    macro_rules! pick {
        ($f:ty, $ddof:expr, $($d:ident $t:ty),*) => {
            match T::DTYPE {
                $(DType::$d => of::<T, $t, $f>(elements, $ddof),)*
                d => unreachable!("a fold that is not taken of {d}"),
            }
        };
    }
    macro_rules! floats {
        ($f:ty) => { pick!($f, 0.0, F32 f32, F64 f64, C32 Complex<f32>, C64 Complex<f64>) };
    }
    match fold {
        Fold::Sum => floats!(Total<Sum>),
        Fold::Prod => floats!(Total<Product>),
        Fold::Mean if T::DTYPE.is_int() => {
            pick!(IntMean, 0.0, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
        }
        Fold::Mean => floats!(Mean),
        Fold::Var { ddof } => pick!(Moments<false>, ddof, F32 f32, F64 f64),
        Fold::Std { ddof } => pick!(Moments<true>, ddof, F32 f32, F64 f64),
        _ => unreachable!("a fold that is not taken"),
    }
}

/// A fold over elements as they lie, or converted.
struct Line<B> {
    fns: FoldFns,
    ddof: f64,
    /// How elements become those that are folded, if they are others.
    cast: Option<UnaryFn>,
    /// Bytes of an element before and after that.
    sizes: (usize, usize),
    of: std::marker::PhantomData<B>,
}

impl<B: Element> Line<B> {
    fn new<T: Element, U: Element>(fold: Fold) -> Line<B> {
        let fns = fold_fns(fold, U::DTYPE).filter(|_| fold.result(U::DTYPE) == Some(B::DTYPE));
        let ddof = fold.ddof().unwrap_or(0.0);
        Line {
            fns: fns.expect("a fold that takes these elements and gives such"),
            ddof,
            cast: (T::DTYPE != U::DTYPE).then(|| cast(T::DTYPE, U::DTYPE)),
            sizes: (T::DTYPE.size(), U::DTYPE.size()),
            of: std::marker::PhantomData,
        }
    }

    fn room(&self) -> Room<'_> {
        Room { counter: Counter::new(&self.fns), rows: Vec::new(), converted: Vec::new() }
    }

    /// `n` elements as those that are folded: where they lie, or converted, as the `place`-th so many in the room.
    ///
    /// # Safety
    /// There are as many at `src`.
    unsafe fn read(&self, src: *const u8, n: usize, place: usize, room: &mut [u128]) -> *const u8 {
        let Some(cast) = self.cast else { return src };
        let words = (n * self.sizes.1).div_ceil(16);
        debug_assert!(room.len() >= (place + 1) * words);
        let to = room[place * words..].as_mut_ptr().cast();
        // SAFETY: promised by the caller; there is room.
        unsafe { cast(n, to, src) };
        to
    }

    /// Makes room for so many times `n` converted elements.
    fn make_room(&self, times: usize, n: usize, room: &mut Vec<u128>) {
        let words = if self.cast.is_some() { times * (n * self.sizes.1).div_ceil(16) } else { 0 };
        if room.len() < words {
            room.resize(words, 0);
        }
    }

    /// The state of all elements of an array of this shape, in the order of a task: the last axes as rows, until a row
    /// is as long as a block.
    fn all(&self, src: *const u8, shape: &[usize]) -> States {
        let len: usize = shape.iter().product();
        let mut row = 1;
        for l in shape.iter().rev() {
            if row >= BLOCK {
                break;
            }
            row *= l;
        }
        let mut room = self.room();
        let mut counter = Counter::new(&self.fns);
        for i in 0..len.checked_div(row).unwrap_or(0) {
            // SAFETY: the row lies within the array.
            counter.push(unsafe { self.row(src.add(i * row * self.sizes.0), row, &mut room) });
        }
        counter.finish().unwrap_or_else(|| States::identity(&self.fns, 1))
    }

    /// The state of `n` neighbours.
    ///
    /// # Safety
    /// There are as many at `src`.
    unsafe fn row(&self, src: *const u8, n: usize, room: &mut Room<'_>) -> States {
        let leaf = if n > BLOCK { even(n, BLOCK, LANES) } else { n.max(1) };
        self.make_room(1, leaf, &mut room.converted);
        for start in (0..n).step_by(leaf) {
            let len = leaf.min(n - start);
            let mut states = room.counter.fresh(1);
            states.count = len as u64;
            // SAFETY: promised by the caller; the leaf is one block.
            unsafe {
                let elements = self.read(src.add(start * self.sizes.0), len, 0, &mut room.converted);
                (self.fns.rows)(elements, 1, len, states.at(&self.fns, 0));
            }
            room.counter.push(states);
        }
        room.counter.take().unwrap_or_else(|| States::identity(&self.fns, 1))
    }

    /// The states of `width` columns of `n` rows that are `step` elements apart.
    ///
    /// # Safety
    /// There are as many elements there, and `width` is at most [`BLOCK`].
    unsafe fn columns(
        &self,
        src: *const u8,
        (n, step): (usize, usize),
        width: usize,
        room: &mut Room<'_>,
    ) -> States {
        let Room { counter, rows, converted } = room;
        self.make_room(LEAF_ROWS, width, converted);
        for start in (0..n).step_by(LEAF_ROWS) {
            rows.clear();
            for row in start..(start + LEAF_ROWS).min(n) {
                // SAFETY: promised by the caller.
                rows.push(unsafe {
                    self.read(src.add(row * step * self.sizes.0), width, row - start, converted)
                });
            }
            let mut states = counter.fresh(width);
            states.count = rows.len() as u64;
            let at = states.at(&self.fns, 0);
            // SAFETY: `width` elements in each of the rows, and a state for each.
            unsafe {
                match self.fns.columns {
                    Columns::Each(f) => f(at, rows, width, start as u64, 1),
                    Columns::Leaf(f) => f(rows, width, width, at),
                }
            }
            counter.push(states);
        }
        counter.take().unwrap_or_else(|| States::identity(&self.fns, width))
    }

    fn lanes<T: Element>(&self, elements: &[T], (outer, n, inner): (usize, usize, usize)) -> Vec<B> {
        assert_eq!(elements.len(), outer * n * inner, "the elements of an array of three axes");
        let src: *const u8 = elements.as_ptr().cast();
        let mut results = Vec::with_capacity(outer * inner);
        if inner == 1 && (1..=BLOCK).contains(&n) && self.cast.is_none() {
            let mut states = States::identity(&self.fns, outer);
            // SAFETY: as many rows of at most a block, and a state for each.
            unsafe { (self.fns.rows)(src, outer, n, states.at(&self.fns, 0)) };
            self.finish(&states, n as u64, &mut results);
            return results;
        }
        if inner > 1 && (1..=FEW).contains(&(n * inner)) && self.cast.is_none() {
            self.few(src, (outer, n, inner), &mut results);
            return results;
        }
        let strip = even(inner.max(1), if self.cast.is_some() { CAST_STRIP } else { BLOCK }, 16);
        let mut room = self.room();
        for at in 0..outer {
            for col in (0..inner).step_by(strip) {
                let width = strip.min(inner - col);
                let src = src.wrapping_add((at * n * inner + col) * self.sizes.0);
                // SAFETY: the columns lie within the array.
                let states = unsafe {
                    if inner == 1 {
                        self.row(src, n, &mut room)
                    } else {
                        self.columns(src, (n, inner), width, &mut room)
                    }
                };
                self.finish(&states, n as u64, &mut results);
                room.counter.give_back(states);
            }
        }
        results
    }

    /// Adds the folds along the middle one of three axes, of which the latter two have few positions: of columns that are
    /// made rows, for each costs less so than what the loops over columns prepare.
    fn few(&self, src: *const u8, (outer, n, inner): (usize, usize, usize), results: &mut Vec<B>) {
        let size = self.sizes.0;
        let mut rows = [0u128; FEW];
        let rows = rows.as_mut_ptr().cast::<u8>();
        let mut states = States::identity(&self.fns, outer * inner);
        for at in 0..outer {
            for (i, col) in (0..n).flat_map(|i| (0..inner).map(move |col| (i, col))) {
                // SAFETY: an element of the array, and its place among as few.
                unsafe {
                    let from = src.add(((at * n + i) * inner + col) * size);
                    std::ptr::copy_nonoverlapping(from, rows.add((col * n + i) * size), size);
                }
            }
            // SAFETY: as many rows, and a state for each.
            unsafe { (self.fns.rows)(rows, inner, n, states.at(&self.fns, at * inner)) };
        }
        self.finish(&states, n as u64, results);
    }

    /// Adds the results of states over `count` elements each; none where no elements have none.
    fn finish(&self, states: &States, count: u64, results: &mut Vec<B>) {
        let n = states.len();
        results.reserve(n);
        let end = results.len();
        // SAFETY: as many states, and room for as many results, which are there if it says so.
        unsafe {
            let place = results.as_mut_ptr().add(end).cast();
            if (self.fns.finish)(states.ptr(), n, count, self.ddof, place) {
                results.set_len(end + n);
            }
        }
    }

    /// The one result of a state.
    fn finished(&self, states: &States, count: u64) -> Option<B> {
        let mut results = Vec::with_capacity(1);
        self.finish(states, count, &mut results);
        results.pop()
    }
}

/// Memory that is used again for one line after another.
struct Room<'f> {
    counter: Counter<'f>,
    rows: Vec<*const u8>,
    converted: Vec<u128>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_exact() {
        for n in [1, 2, 33, 1000, 1024, 1025, 30_000] {
            let line: Vec<f64> = (0..n).map(|i| 1e15 + (i % 3) as f64).collect();
            let (sum, squares) = (0..n).map(|i| i % 3).fold((0, 0), |(s, q), x| (s + x, q + x * x));
            let exact = (n * squares - sum * sum) as f64 / (n * n) as f64;
            let var = whole(Fold::Var { ddof: 0.0 }, &line, &[n]).unwrap();
            assert!((var - exact).abs() <= 1e-13 * exact, "{n}: {var}, expected {exact}");
            let tenth = vec![0.1f32; n];
            assert_eq!(whole(Fold::Sum, &tenth, &[n]), Some((f64::from(0.1f32) * n as f64) as f32));
            assert_eq!(whole(Fold::Mean, &vec![200u8; n], &[n]), Some(200));
            assert_eq!(whole_as::<u8, i64>(Fold::Sum, &vec![200; n], &[n]), Some(200 * n as i64));
            assert_eq!(whole_as::<bool, u16>(Fold::Sum, &vec![true; n], &[n]), Some(n as u16));
        }
        let none: [f64; 0] = [];
        assert_eq!(whole(Fold::Sum, &none, &[0]), Some(0.0));
        assert_eq!(whole(Fold::Mean, &[0u8; 0], &[0]), None);
    }

    #[test]
    fn lanes_are_folded_one_by_one() {
        for (outer, n, inner) in
            [(1, 5, 1), (3, 50, 1), (2, 33, 7), (5, 3, 3), (1, 32, 2), (1, 100, 1500), (2, 0, 3), (0, 4, 2)]
        {
            let elements: Vec<f32> = (0..outer * n * inner).map(|i| ((i * 37) % 101) as f32 + 0.1).collect();
            let means = lanes(Fold::Mean, &elements, (outer, n, inner));
            let widened = lanes_as::<f32, f64>(Fold::Mean, &elements, (outer, n, inner));
            assert_eq!(means.len(), outer * inner);
            for (i, (&mean, &wide)) in means.iter().zip(&widened).enumerate() {
                let at = |k: usize| f64::from(elements[((i / inner) * n + k) * inner + i % inner]);
                let exact = (0..n).map(at).sum::<f64>() / n as f64;
                assert!((wide - exact).abs() <= 1e-12 * exact.abs() || n == 0, "{wide} {exact}");
                assert!(
                    mean == exact as f32 || mean.to_bits().abs_diff((exact as f32).to_bits()) <= 1 || n == 0
                );
            }
        }
    }
}
