//! What each fold keeps of the elements it has seen, and the loops that fold: rows of neighbours into one state each,
//! rows elementwise into a row of states, states into states.
//!
//! Owns the order of additions within a leaf. Must not know how leaves are cut and merged.

use super::kinds::{AllOf, AnyOf, Greatest, Least, Product, Sum};
use super::kinds::{ArgFold, Keep, Monoid, Position};
use super::present::{
    Present, PresentMean, PresentMoments, PresentSpread, present_body, present_moments_body,
};
use super::sums::{Count, Counted, IntMean, Mean, Moments, Spread, Summed, Total, counts_body, moments_body};
use crate::ops::versions;
use tilework_expr::{Complex, DType, Fold};

/// Independent sums within a leaf; fixed, so that the width of vector registers does not show in the result.
pub(crate) const LANES: usize = 32;

/// The loops of one fold over elements of one dtype. States are plain data of `state_size` bytes.
#[derive(Clone, Copy)]
pub(crate) struct FoldFns {
    /// Bytes of a state, at most 32.
    pub state_size: usize,
    /// Where the values of a state's planes lie in it.
    pub offsets: [usize; 4],
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
pub(crate) unsafe fn fold_rows<T: Copy, S: Copy>(
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

/// As [`fold_rows`], into two values for each column: `with` is given both, an element, and the number of the column.
///
/// # Safety
/// As for [`fold_rows`].
#[inline(always)]
pub(crate) unsafe fn fold_rows_twice<T: Copy, A: Copy, B: Copy>(
    (first, second): (&mut [A], &mut [B]),
    rows: &[*const u8],
    from: usize,
    with: impl Fn((A, B), T, usize) -> (A, B),
) {
    #[inline(always)]
    fn abreast<T: Copy, A: Copy, B: Copy, const K: usize>(
        (first, second): (&mut [A], &mut [B]),
        rows: [&[T]; K],
        with: impl Fn((A, B), T, usize) -> (A, B),
    ) {
        let n = first.len();
        let (second, rows) = (&mut second[..n], rows.map(|row| &row[..n]));
        for i in 0..n {
            (first[i], second[i]) = rows.iter().fold((first[i], second[i]), |s, row| with(s, row[i], i));
        }
    }
    let n = first.len();
    // SAFETY: promised by the caller.
    let row = |&row: &*const u8| unsafe { std::slice::from_raw_parts(row.cast::<T>().add(from), n) };
    let (groups, rest) = rows.as_chunks::<ABREAST>();
    for group in groups {
        abreast((&mut *first, &mut *second), group.each_ref().map(row), &with);
    }
    for last in rest {
        abreast((&mut *first, &mut *second), [row(last)], &with);
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
        offsets: [0; 4],
        identity: identity::<T, F>,
        rows: rows::<T, F>(),
        columns: Columns::Each(each::<T, F>()),
        merge: merge::<T, F>(),
        shift: None,
        finish: finish::<T, F>,
    }
}

versions! {
    wide fn moments_leaf<T: Real>(rows: &[*const u8], n: usize, last: usize, dst: *mut u8) = moments_body
}
versions! {
    wide fn counts_leaf<T: Counted>(rows: &[*const u8], n: usize, last: usize, dst: *mut u8) = counts_body
}

versions! {
    wide fn present_leaf<T: Real>(rows: &[*const u8], n: usize, last: usize, dst: *mut u8) = present_body
}
versions! {
    wide fn present_moments_leaf<T: Real>(rows: &[*const u8], n: usize, last: usize, dst: *mut u8)
        = present_moments_body
}

/// Floats whose variance there is.
trait Real: Summed<Sum = f64> {}
impl<T: Summed<Sum = f64>> Real for T {}

fn moments<T: Real, F: Finish<T>>() -> FoldFns {
    let offsets = [
        std::mem::offset_of!(Spread, mean),
        std::mem::offset_of!(Spread, rest),
        std::mem::offset_of!(Spread, squares),
        0,
    ];
    FoldFns { columns: Columns::Leaf(moments_leaf::<T>()), offsets, ..fns::<T, F>() }
}

fn counts<T: Counted, F: Finish<T>>() -> FoldFns {
    let offsets = [std::mem::offset_of!(Count, low), std::mem::offset_of!(Count, high), 0, 0];
    FoldFns { columns: Columns::Leaf(counts_leaf::<T>()), offsets, ..fns::<T, F>() }
}

fn present<T: Real>() -> FoldFns {
    let offsets = [std::mem::offset_of!(Present, sum), std::mem::offset_of!(Present, count), 0, 0];
    FoldFns { columns: Columns::Leaf(present_leaf::<T>()), offsets, ..fns::<T, PresentMean>() }
}

fn present_moments<T: Real, F: Finish<T>>() -> FoldFns {
    let offsets = [
        std::mem::offset_of!(PresentSpread, spread.mean),
        std::mem::offset_of!(PresentSpread, spread.rest),
        std::mem::offset_of!(PresentSpread, spread.squares),
        std::mem::offset_of!(PresentSpread, count),
    ];
    FoldFns { columns: Columns::Leaf(present_moments_leaf::<T>()), offsets, ..fns::<T, F>() }
}

fn arg<T: Copy, F: Finish<T>>() -> FoldFns {
    let offsets = [std::mem::offset_of!((T, Position), 0), std::mem::offset_of!((T, Position), 1), 0, 0];
    FoldFns { shift: Some(shift::<T>), offsets, ..fns::<T, F>() }
}

macro_rules! over {
    (integers $d:expr, $f:ident) => {
        over!(@ $d, $f, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
    };
    (floats $d:expr, $f:ident) => {
        over!(@ $d, $f, F32 f32, F64 f64, C32 Complex<f32>, C64 Complex<f64>)
    };
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
            fns::<$t, Total<Sum>>()
        };
    }
    macro_rules! prod {
        ($t:ty) => {
            fns::<$t, Total<Product>>()
        };
    }
    macro_rules! mean {
        ($t:ty) => {
            fns::<$t, Mean>()
        };
    }
    macro_rules! int_mean {
        ($t:ty) => {
            counts::<$t, IntMean>()
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
        Fold::Mean if d.is_int() => over!(integers d, int_mean),
        Fold::Mean => over!(floats d, mean),
        Fold::Min => over!(ordered d, min),
        Fold::Max => over!(ordered d, max),
        Fold::ArgMin => over!(ordered d, argmin),
        Fold::ArgMax => over!(ordered d, argmax),
        Fold::Any => (d == DType::Bool).then(fns::<bool, Keep<Monoid<AnyOf>>>),
        Fold::All => (d == DType::Bool).then(fns::<bool, Keep<Monoid<AllOf>>>),
        Fold::NanMean | Fold::NanVar { .. } | Fold::NanStd { .. } | Fold::Var { .. } | Fold::Std { .. } => {
            match d {
                DType::F32 => of_floats::<f32>(fold),
                DType::F64 => of_floats::<f64>(fold),
                _ => None,
            }
        }
    }
}

/// The loops of variances, and of the folds that leave NaN out.
fn of_floats<T: Real>(fold: Fold) -> Option<FoldFns>
where
    Moments<false>: Finish<T>,
    Moments<true>: Finish<T>,
{
    Some(match fold {
        Fold::Var { .. } => moments::<T, Moments<false>>(),
        Fold::Std { .. } => moments::<T, Moments<true>>(),
        Fold::NanMean => present::<T>(),
        Fold::NanVar { .. } => present_moments::<T, PresentMoments<false>>(),
        Fold::NanStd { .. } => present_moments::<T, PresentMoments<true>>(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::BLOCK;

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let row: Vec<f64> = (0..BLOCK).map(|i| 1.0 / (i as f64 - 300.3)).collect();
        for n in [3, 31, 32, 33, 500, BLOCK] {
            let none = Spread::NONE;
            let (mut least, mut best) = (none, none);
            // SAFETY: a row of `n` elements, room for a state.
            unsafe {
                rows_body::<f64, Moments<false>>(row.as_ptr().cast(), 1, n, (&raw mut least).cast());
                rows::<f64, Moments<false>>()(row.as_ptr().cast(), 1, n, (&raw mut best).cast());
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
            let (mut sums, mut firsts) = (vec![0f64; n], vec![none; n]);
            let mut moments = vec![Spread::NONE; n];
            let last = n.div_ceil(2);
            // SAFETY: rows of at least `n` elements, and a state for each.
            unsafe {
                each::<f64, Total<Sum>>()(sums.as_mut_ptr().cast(), &rows, n, 0, 1);
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
                    let from_first = || column(i).take(count).map(|x| x - element(0, i));
                    let distances = from_first().fold(0.0, |s, d| s + d);
                    let squares = from_first().fold(0.0, |s, d| s + d * d);
                    let off = distances * (1.0 / count as f64);
                    let left = squares - distances * off;
                    assert_eq!(moments[i].squares, if left < 0.0 { 0.0 } else { left });
                    assert_eq!(moments[i].mean, element(0, i) + off);
                } else {
                    assert_eq!(moments[i], Spread::NONE);
                }
            }
        }
    }

    /// Integers of every kind, at the ends of their types, in rows and in columns of a leaf.
    #[test]
    fn sums_of_integers_are_exact() {
        fn check<T: Counted + Into<i128>>(all: [T; 4]) {
            let elements: Vec<T> = (0..16 * 300).map(|i| all[(i * i + i / 7) % 4]).collect();
            let exact = |of: &mut dyn Iterator<Item = T>| of.map(Into::into).sum::<i128>();
            let sum = |c: Count| (i128::from(c.high) << 64) | i128::from(c.low);
            for n in [1, 31, 32, 33, 500, BLOCK] {
                for row in [&elements[..n], &vec![all[0]; n], &vec![all[1]; n]] {
                    assert_eq!(sum(IntMean::row(row)), exact(&mut row.iter().copied()));
                }
            }
            for (n_rows, n, last) in [(1, 300, 10), (16, 129, 129), (9, 300, 150)] {
                let rows: Vec<*const u8> =
                    elements.chunks(300).take(n_rows).map(|r| r.as_ptr().cast()).collect();
                let mut counts = vec![Count { low: 1, high: 1 }; n];
                // SAFETY: rows of at least `n` elements, and a state for each.
                unsafe { counts_leaf::<T>()(&rows, n, last, counts.as_mut_ptr().cast()) };
                for (i, &count) in counts.iter().enumerate() {
                    let n_here = n_rows - usize::from(i >= last);
                    let mut column = (0..n_here).map(|r| elements[r * 300 + i]);
                    assert_eq!(sum(count), exact(&mut column), "column {i} of {n_rows} rows");
                }
            }
        }
        check([i8::MIN, i8::MAX, -1, 3]);
        check([u8::MAX, 0, 1, 3]);
        check([i16::MIN, i16::MAX, -1, 3]);
        check([u16::MAX, 0, 1, 3]);
        check([i32::MIN, i32::MAX, -1, 3]);
        check([u32::MAX, 0, 1, 3]);
        check([i64::MIN, i64::MAX, -1, 3]);
        check([u64::MAX, 0, 1 << 63, 3]);
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
            Fold::NanMean,
            Fold::NanVar { ddof: 0.0 },
            Fold::NanStd { ddof: 1.0 },
        ];
        for fold in folds {
            for d in DType::ALL {
                assert_eq!(fold_fns(fold, d).is_some(), fold.result(d).is_some(), "{fold:?} {d}");
            }
        }
    }
}
