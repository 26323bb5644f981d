//! What each fold keeps of the elements it has seen, and the loops that fold: rows of neighbours into one state each,
//! rows elementwise into a row of states, states into states.
//!
//! Owns the order of additions within a leaf. Must not know how leaves are cut and merged.

use super::kinds::{AllOf, AnyOf, Greatest, Least, Product, Sum};
use super::kinds::{ArgFold, Keep, Mean, Moments, Monoid, Position, SumOf};
use crate::ops::versions;
use crate::program::BLOCK;
use tilework_expr::{Complex, DType, Fold};

/// Independent sums within a leaf; fixed, so that the width of vector registers does not show in the result.
pub(crate) const LANES: usize = 32;

/// The loops of one fold over elements of one dtype. States are plain data of `state_size` bytes.
#[derive(Clone, Copy)]
pub(crate) struct FoldFns {
    /// Bytes of a state, at most 16.
    pub state_size: usize,
    /// Where the values of a state's planes lie in it.
    pub offsets: [usize; 2],
    /// Makes states of no elements: destination, count.
    pub identity: unsafe fn(*mut u8, usize),
    /// Folds dense rows of at most [`BLOCK`] elements: source, rows, row length, one state a row.
    pub rows: unsafe fn(*const u8, usize, usize, *mut u8),
    /// How rows are folded elementwise into a row of states.
    pub columns: Columns,
    /// Folds states into states: destination, source, count, elements behind each of the former and the latter.
    pub merge: unsafe fn(*mut u8, *const u8, usize, u64, u64),
    /// Moves the positions that states hold: states, count, distance.
    pub shift: Option<unsafe fn(*mut u8, usize, u64)>,
    /// Makes results: states, count, elements behind each, delta degrees of freedom, destination. `false` where no
    /// elements have no result.
    pub finish: unsafe fn(*const u8, usize, u64, f64, *mut u8) -> bool,
}

/// How rows are folded elementwise.
#[derive(Clone, Copy)]
pub(crate) enum Columns {
    /// One row after another: states, row, length, position.
    Each(unsafe fn(*mut u8, *const u8, usize, u64)),
    /// All rows of a leaf at once: rows, length, length of the last row, states (which are overwritten).
    Leaf(unsafe fn(&[*const u8], usize, usize, *mut u8)),
}

/// One fold over one type.
pub(crate) trait FoldOf<T: Copy> {
    /// What is kept.
    type State: Copy;
    /// The state of no elements.
    fn identity() -> Self::State;
    /// The state of a row of at most [`BLOCK`] elements.
    fn row(row: &[T]) -> Self::State;
    /// The state with one more element, at this position.
    fn with(state: Self::State, x: T, position: u64) -> Self::State;
    /// The state of `a` elements and then `b` others, neither 0.
    fn merge(x: Self::State, y: Self::State, a: u64, b: u64) -> Self::State;
}

/// A fold's results.
pub(crate) trait Finish<T: Copy>: FoldOf<T> {
    /// The result's type.
    type Out: Copy;
    /// The result over `n` elements.
    fn finish(state: Self::State, n: u64, ddof: f64) -> Option<Self::Out>;
}

/// # Safety
/// Room for `n` states.
unsafe fn identity<T: Copy, F: FoldOf<T>>(dst: *mut u8, n: usize) {
    for i in 0..n {
        // SAFETY: promised by the caller.
        unsafe { dst.cast::<F::State>().add(i).write(F::identity()) }
    }
}

/// # Safety
/// As for [`FoldFns::rows`].
#[inline(always)]
unsafe fn rows_body<T: Copy, F: FoldOf<T>>(src: *const u8, n: usize, len: usize, dst: *mut u8) {
    for i in 0..n {
        // SAFETY: promised by the caller.
        unsafe {
            let row = std::slice::from_raw_parts(src.cast::<T>().add(i * len), len);
            dst.cast::<F::State>().add(i).write(F::row(row));
        }
    }
}

/// # Safety
/// As for [`Columns::Each`].
#[inline(always)]
unsafe fn each_body<T: Copy, F: FoldOf<T>>(states: *mut u8, row: *const u8, n: usize, position: u64) {
    // SAFETY: promised by the caller.
    let (states, row) = unsafe {
        (
            std::slice::from_raw_parts_mut(states.cast::<F::State>(), n),
            std::slice::from_raw_parts(row.cast::<T>(), n),
        )
    };
    for (s, &x) in states.iter_mut().zip(row) {
        *s = F::with(*s, x, position);
    }
}

/// # Safety
/// As for [`FoldFns::merge`].
#[inline(always)]
unsafe fn merge_body<T: Copy, F: FoldOf<T>>(dst: *mut u8, src: *const u8, n: usize, a: u64, b: u64) {
    // SAFETY: promised by the caller.
    let (dst, src) = unsafe {
        (
            std::slice::from_raw_parts_mut(dst.cast::<F::State>(), n),
            std::slice::from_raw_parts(src.cast::<F::State>(), n),
        )
    };
    match (a, b) {
        (_, 0) => {}
        (0, _) => dst.copy_from_slice(src),
        _ => dst.iter_mut().zip(src).for_each(|(x, &y)| *x = F::merge(*x, y, a, b)),
    }
}

versions! { fn rows<T: Copy, F: FoldOf<T>>(src: *const u8, n: usize, len: usize, dst: *mut u8) = rows_body }
versions! { wide fn each<T: Copy, F: FoldOf<T>>(states: *mut u8, row: *const u8, n: usize, position: u64) = each_body }
versions! { fn merge<T: Copy, F: FoldOf<T>>(dst: *mut u8, src: *const u8, n: usize, a: u64, b: u64) = merge_body }

/// # Safety
/// As for [`FoldFns::finish`].
unsafe fn finish<T: Copy, F: Finish<T>>(
    states: *const u8,
    n: usize,
    count: u64,
    ddof: f64,
    out: *mut u8,
) -> bool {
    (0..n).all(|i| {
        // SAFETY: promised by the caller.
        unsafe {
            let result = F::finish(states.cast::<F::State>().add(i).read(), count, ddof);
            result.map(|r| out.cast::<F::Out>().add(i).write(r)).is_some()
        }
    })
}

/// # Safety
/// As for [`FoldFns::shift`].
unsafe fn shift<T: Copy>(states: *mut u8, n: usize, by: u64) {
    for i in 0..n {
        // SAFETY: promised by the caller.
        unsafe { (*states.cast::<(T, Position)>().add(i)).1.shift(by) }
    }
}

fn fns<T: Copy, F: Finish<T>>() -> FoldFns {
    FoldFns {
        state_size: std::mem::size_of::<F::State>(),
        offsets: [0, 0],
        identity: identity::<T, F>,
        rows: rows::<T, F>(),
        columns: Columns::Each(each::<T, F>()),
        merge: merge::<T, F>(),
        shift: None,
        finish: finish::<T, F>,
    }
}

/// # Safety
/// As for [`Columns::Leaf`], with at most [`BLOCK`] columns.
#[inline(always)]
unsafe fn moments_body<T: SumOf>(rows: &[*const u8], n: usize, last: usize, dst: *mut u8) {
    let (mut mean, mut square) = ([T::ZERO; BLOCK], [T::ZERO; BLOCK]);
    let (mean, square) = (&mut mean[..n], &mut square[..n]);
    let len = |i: usize| if i + 1 == rows.len() { last } else { n };
    for (i, &row) in rows.iter().enumerate() {
        // SAFETY: promised by the caller.
        let row = unsafe { std::slice::from_raw_parts(row.cast::<T>(), len(i)) };
        mean.iter_mut().zip(row).for_each(|(m, &x)| *m = m.add(x));
    }
    let full = T::count(rows.len() as u64);
    mean[..last].iter_mut().for_each(|m| *m = m.div(full));
    if rows.len() > 1 {
        let fewer = T::count(rows.len() as u64 - 1);
        mean[last..].iter_mut().for_each(|m| *m = m.div(fewer));
    }
    for (i, &row) in rows.iter().enumerate() {
        // SAFETY: promised by the caller.
        let row = unsafe { std::slice::from_raw_parts(row.cast::<T>(), len(i)) };
        for ((s, m), &x) in square.iter_mut().zip(mean.iter()).zip(row) {
            let d = x.sub(*m);
            *s = s.add(d.mul(d));
        }
    }
    for (i, (&m, &s)) in mean.iter().zip(square.iter()).enumerate() {
        // SAFETY: promised by the caller.
        unsafe { dst.cast::<(T, T)>().add(i).write((m, s)) }
    }
}

versions! { fn moments_leaf<T: SumOf>(rows: &[*const u8], n: usize, last: usize, dst: *mut u8) = moments_body }

fn moments<T: SumOf, F: Finish<T>>() -> FoldFns {
    let offsets = [std::mem::offset_of!((T, T), 0), std::mem::offset_of!((T, T), 1)];
    FoldFns { columns: Columns::Leaf(moments_leaf::<T>()), offsets, ..fns::<T, F>() }
}

fn arg<T: Copy, F: Finish<T>>() -> FoldFns {
    let offsets = [std::mem::offset_of!((T, Position), 0), std::mem::offset_of!((T, Position), 1)];
    FoldFns { shift: Some(shift::<T>), offsets, ..fns::<T, F>() }
}

macro_rules! over {
    (numbers $d:expr, $f:ident) => {
        over!(@ $d, $f, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, F32 f32, F64 f64,
            C32 Complex<f32>, C64 Complex<f64>)
    };
    (ordered $d:expr, $f:ident) => {
        over!(@ $d, $f, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, F32 f32, F64 f64, Bool bool)
    };
    (@ $d:expr, $f:ident, $($v:ident $t:ty),*) => { match $d { $(DType::$v => Some($f!($t)),)* _ => None } };
}

/// The loops of a fold over elements of dtype `d`, if it takes them.
pub(crate) fn fold_fns(fold: Fold, d: DType) -> Option<FoldFns> {
    macro_rules! sum {
        ($t:ty) => {
            fns::<$t, Keep<Monoid<Sum>>>()
        };
    }
    macro_rules! prod {
        ($t:ty) => {
            fns::<$t, Keep<Monoid<Product>>>()
        };
    }
    macro_rules! mean {
        ($t:ty) => {
            fns::<$t, Mean>()
        };
    }
    macro_rules! min {
        ($t:ty) => {
            fns::<$t, Keep<Monoid<Least>>>()
        };
    }
    macro_rules! max {
        ($t:ty) => {
            fns::<$t, Keep<Monoid<Greatest>>>()
        };
    }
    macro_rules! argmin {
        ($t:ty) => {
            arg::<$t, ArgFold<Least>>()
        };
    }
    macro_rules! argmax {
        ($t:ty) => {
            arg::<$t, ArgFold<Greatest>>()
        };
    }
    match fold {
        Fold::Sum => over!(numbers d, sum),
        Fold::Prod => over!(numbers d, prod),
        Fold::Mean => over!(numbers d, mean),
        Fold::Min => over!(ordered d, min),
        Fold::Max => over!(ordered d, max),
        Fold::ArgMin => over!(ordered d, argmin),
        Fold::ArgMax => over!(ordered d, argmax),
        Fold::Any => (d == DType::Bool).then(fns::<bool, Keep<Monoid<AnyOf>>>),
        Fold::All => (d == DType::Bool).then(fns::<bool, Keep<Monoid<AllOf>>>),
        Fold::Var { .. } | Fold::Std { .. } => {
            let root = matches!(fold, Fold::Std { .. });
            match (d, root) {
                (DType::F32, false) => Some(moments::<f32, Moments<false>>()),
                (DType::F32, true) => Some(moments::<f32, Moments<true>>()),
                (DType::F64, false) => Some(moments::<f64, Moments<false>>()),
                (DType::F64, true) => Some(moments::<f64, Moments<true>>()),
                _ => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let row: Vec<f64> = (0..BLOCK).map(|i| 1.0 / (i as f64 - 300.3)).collect();
        for n in [3, 31, 32, 33, 500, BLOCK] {
            let (mut least, mut best) = ([0f64; 2], [0f64; 2]);
            // SAFETY: a row of `n` elements, room for a state.
            unsafe {
                rows_body::<f64, Moments<false>>(row.as_ptr().cast(), 1, n, least.as_mut_ptr().cast());
                rows::<f64, Moments<false>>()(row.as_ptr().cast(), 1, n, best.as_mut_ptr().cast());
            }
            assert_eq!(least, best);
        }
    }

    #[test]
    fn loops_exist_exactly_where_expr_allows_the_fold() {
        let folds = [
            Fold::Sum,
            Fold::Prod,
            Fold::Min,
            Fold::Max,
            Fold::Any,
            Fold::All,
            Fold::Mean,
            Fold::Var { ddof: 0.0 },
            Fold::Std { ddof: 1.0 },
            Fold::ArgMin,
            Fold::ArgMax,
        ];
        for fold in folds {
            for d in DType::ALL {
                assert_eq!(fold_fns(fold, d).is_some(), fold.result(d).is_some(), "{fold:?} {d}");
            }
        }
    }
}
