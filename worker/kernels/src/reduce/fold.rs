//! What each fold keeps of the elements it has seen, and the loops that fold: rows of neighbours into one state each,
//! rows elementwise into a row of states, states into states.
//!
//! Owns the order of additions within a leaf. Must not know how leaves are cut and merged.

use super::kinds::{AllOf, AnyOf, Greatest, Least, Product, Sum};
use super::kinds::{ArgFold, Keep, Mean, Moments, Monoid, Position, SumOf};
use crate::ops::versions;
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
    /// Folds dense rows of at most [`BLOCK`](crate::program::BLOCK) elements: source, rows, row length, one state a row.
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
    /// Some rows, first to last: states, rows, their length, position of the first, distance of positions.
    Each(unsafe fn(*mut u8, &[*const u8], usize, u64, u64)),
    /// All rows of a leaf at once: rows, length, length of the last row, states (which are overwritten).
    Leaf(unsafe fn(&[*const u8], usize, usize, *mut u8)),
}

/// One fold over one type.
pub(crate) trait FoldOf<T: Copy> {
    /// What is kept.
    type State: Copy;
    /// The state of no elements.
    fn identity() -> Self::State;
    /// The state of a row of at most [`BLOCK`](crate::program::BLOCK) elements.
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

/// Rows that are read side by side: the processor asks memory for more at a time than of one row after another.
const ABREAST: usize = 8;

/// Folds rows elementwise into states, first to last, from column `from` on: `with` is given a state, an element, and
/// the numbers of the row and of the state.
///
/// # Safety
/// As many elements as there are states in each of the rows from there on.
#[inline(always)]
unsafe fn fold_rows<T: Copy, S: Copy>(
    states: &mut [S],
    rows: &[*const u8],
    from: usize,
    with: impl Fn(S, T, usize, usize) -> S,
) {
    #[inline(always)]
    fn abreast<T: Copy, S: Copy, const K: usize>(
        states: &mut [S],
        rows: [&[T]; K],
        with: impl Fn(S, T, usize, usize) -> S,
    ) {
        let n = states.len();
        let rows = rows.map(|row| &row[..n]);
        for i in 0..n {
            let each = rows.iter().enumerate();
            states[i] = each.fold(states[i], |s, (k, row)| with(s, row[i], k, i));
        }
    }
    let n = states.len();
    // SAFETY: promised by the caller.
    let row = |&row: &*const u8| unsafe { std::slice::from_raw_parts(row.cast::<T>().add(from), n) };
    let (groups, rest) = rows.as_chunks::<ABREAST>();
    for (g, group) in groups.iter().enumerate() {
        abreast(states, group.each_ref().map(row), |s, x, k, i| with(s, x, g * ABREAST + k, i));
    }
    for (r, last) in rest.iter().enumerate() {
        abreast(states, [row(last)], |s, x, _, i| with(s, x, groups.len() * ABREAST + r, i));
    }
}

/// # Safety
/// As for [`Columns::Each`].
#[inline(always)]
unsafe fn each_body<T: Copy, F: FoldOf<T>>(
    states: *mut u8,
    rows: &[*const u8],
    n: usize,
    position: u64,
    step: u64,
) {
    // SAFETY: promised by the caller.
    unsafe {
        let states = std::slice::from_raw_parts_mut(states.cast::<F::State>(), n);
        fold_rows(states, rows, 0, |s, x: T, k, _| F::with(s, x, position + k as u64 * step));
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
versions! {
    wide fn each<T: Copy, F: FoldOf<T>>(states: *mut u8, rows: &[*const u8], n: usize, position: u64, step: u64)
        = each_body
}
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

/// Columns of a leaf of which mean and deviations are computed before the next ones: the elements of as many in all of
/// its rows stay in the L1 cache for the second pass.
const MOMENTS_STRIP: usize = 128;

/// # Safety
/// As for [`Columns::Leaf`].
#[inline(always)]
unsafe fn moments_body<T: SumOf>(rows: &[*const u8], n: usize, last: usize, dst: *mut u8) {
    let (whole, short) = rows.split_at(if last == n { rows.len() } else { rows.len().saturating_sub(1) });
    let (full, fewer) = (T::count(rows.len() as u64), T::count(whole.len() as u64));
    for from in (0..n).step_by(MOMENTS_STRIP) {
        let len = MOMENTS_STRIP.min(n - from);
        let last = last.saturating_sub(from).min(len);
        let (mut mean, mut square) = ([T::ZERO; MOMENTS_STRIP], [T::ZERO; MOMENTS_STRIP]);
        // SAFETY: promised by the caller.
        unsafe {
            fold_rows(&mut mean[..len], whole, from, |m, x: T, _, _| m.add(x));
            fold_rows(&mut mean[..last], short, from, |m, x: T, _, _| m.add(x));
        }
        mean[..last].iter_mut().for_each(|m| *m = m.div(full));
        if !whole.is_empty() {
            mean[last..len].iter_mut().for_each(|m| *m = m.div(fewer));
        }
        let add = |s: T, x: T, _: usize, i: usize| {
            let d = x.sub(mean[i]);
            s.add(d.mul(d))
        };
        // SAFETY: promised by the caller.
        unsafe {
            fold_rows(&mut square[..len], whole, from, add);
            fold_rows(&mut square[..last], short, from, add);
            let states = dst.cast::<(T, T)>().add(from);
            (0..len).for_each(|i| states.add(i).write((mean[i], square[i])));
        }
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
    use crate::program::BLOCK;

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
    fn rows_abreast_are_folded_in_order() {
        let elements: Vec<f64> = (0..40 * 300).map(|i| 1.0 / (f64::from(i) - 300.3)).collect();
        for (n_rows, n) in [(1, 300), (7, 300), (8, 1), (16, 129), (16, 300), (39, 7)] {
            let rows: Vec<*const u8> = elements.chunks(300).take(n_rows).map(|r| r.as_ptr().cast()).collect();
            let element = |row: usize, i: usize| elements[row * 300 + i];
            let element = &element;
            let column = |i: usize| (0..n_rows).map(move |r| element(r, i));
            let none = <ArgFold<Least> as FoldOf<f64>>::identity();
            let (mut sums, mut firsts, mut moments) = (vec![0f64; n], vec![none; n], vec![(0f64, 0f64); n]);
            let last = n.div_ceil(2);
            // SAFETY: rows of at least `n` elements, and a state for each.
            unsafe {
                each::<f64, Monoid<Sum>>()(sums.as_mut_ptr().cast(), &rows, n, 0, 1);
                each::<f64, ArgFold<Least>>()(firsts.as_mut_ptr().cast(), &rows, n, 5, 3);
                moments_leaf::<f64>()(&rows, n, last, moments.as_mut_ptr().cast());
            }
            for i in 0..n {
                assert_eq!(sums[i], column(i).fold(0.0, |s, x| s + x));
                let first =
                    column(i).zip((5..).step_by(3)).fold(none, |s, (x, p)| ArgFold::<Least>::with(s, x, p));
                assert!(firsts[i] == first);
                let count = n_rows - usize::from(i >= last);
                if count > 0 {
                    let mean = column(i).take(count).fold(0.0, |s, x| s + x) / count as f64;
                    let square = column(i).take(count).fold(0.0, |s, x| s + (x - mean) * (x - mean));
                    assert_eq!(moments[i], (mean, square));
                }
            }
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
