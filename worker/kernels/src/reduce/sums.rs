//! The folds that add: sums and products, means, variances; and the types in which they do it. Floats of 32 bits are
//! added up in 64, integers whose mean is asked for in 128; variances are of 64 bits about a mean that is carried with
//! its rounding error.
//!
//! Owns what these folds mean element by element. Must not know chunks or threads.

use super::fold::{Finish, FoldOf, LANES, fold_rows, fold_rows_twice};
use super::kinds::{Operation, Sum, fold_row};
use std::marker::PhantomData;
use tilework_expr::Complex;

/// Elements that are added up in a type of at least their own precision.
pub(crate) trait Summed: Copy {
    /// That type.
    type Sum: Copy;
    /// The element in it, exactly.
    fn widen(self) -> Self::Sum;
    /// The nearest element.
    fn narrow(sum: Self::Sum) -> Self;
    /// A sum of so many elements divided by their number, for floats.
    fn divide(sum: Self::Sum, n: u64) -> Self::Sum;
}

macro_rules! summed_ints { ($($t:ident)*) => { $(
    impl Summed for $t {
        type Sum = $t;
        #[inline(always)]
        fn widen(self) -> $t { self }
        #[inline(always)]
        fn narrow(sum: $t) -> $t { sum }
        /// Means of integers are another fold.
        fn divide(sum: $t, _: u64) -> $t { sum }
    }
)* }; }
summed_ints!(i8 i16 i32 i64 u8 u16 u32 u64);

macro_rules! summed_floats { ($($t:ident)*) => { $(
    impl Summed for $t {
        type Sum = f64;
        #[inline(always)]
        fn widen(self) -> f64 { self.into() }
        #[inline(always)]
        fn narrow(sum: f64) -> $t { sum as $t }
        #[inline(always)]
        fn divide(sum: f64, n: u64) -> f64 { sum / n as f64 }
    }
    impl Summed for Complex<$t> {
        type Sum = Complex<f64>;
        #[inline(always)]
        fn widen(self) -> Complex<f64> { Complex::new(self.re.into(), self.im.into()) }
        #[inline(always)]
        fn narrow(sum: Complex<f64>) -> Complex<$t> { Complex::new(sum.re as $t, sum.im as $t) }
        #[inline(always)]
        fn divide(sum: Complex<f64>, n: u64) -> Complex<f64> { Complex::new(sum.re / n as f64, sum.im / n as f64) }
    }
)* }; }
summed_floats!(f32 f64);

/// A sum or product.
pub(crate) struct Total<O>(PhantomData<O>);

impl<T: Summed, O: Operation<T::Sum>> FoldOf<T> for Total<O> {
    type State = T::Sum;
    #[inline(always)]
    fn identity() -> T::Sum {
        O::IDENTITY
    }
    #[inline(always)]
    fn row(row: &[T]) -> T::Sum {
        fold_row(row, O::IDENTITY, |s, x| O::of(s, x.widen()), O::of)
    }
    #[inline(always)]
    fn with(state: T::Sum, x: T, _: u64) -> T::Sum {
        O::of(state, x.widen())
    }
    #[inline(always)]
    fn merge(x: T::Sum, y: T::Sum, _: u64, _: u64) -> T::Sum {
        O::of(x, y)
    }
}

impl<T: Summed, O: Operation<T::Sum>> Finish<T> for Total<O> {
    type Out = T;
    #[inline(always)]
    fn finish(state: T::Sum, _: u64, _: f64) -> Option<T> {
        Some(T::narrow(state))
    }
}

/// A sum of floats divided by their number.
pub(crate) struct Mean;

impl<T: Summed> FoldOf<T> for Mean
where
    Sum: Operation<T::Sum>,
{
    type State = T::Sum;
    #[inline(always)]
    fn identity() -> T::Sum {
        <Total<Sum> as FoldOf<T>>::identity()
    }
    #[inline(always)]
    fn row(row: &[T]) -> T::Sum {
        Total::<Sum>::row(row)
    }
    #[inline(always)]
    fn with(state: T::Sum, x: T, position: u64) -> T::Sum {
        Total::<Sum>::with(state, x, position)
    }
    #[inline(always)]
    fn merge(x: T::Sum, y: T::Sum, a: u64, b: u64) -> T::Sum {
        <Total<Sum> as FoldOf<T>>::merge(x, y, a, b)
    }
}

impl<T: Summed> Finish<T> for Mean
where
    Sum: Operation<T::Sum>,
{
    type Out = T;
    #[inline(always)]
    fn finish(state: T::Sum, n: u64, _: f64) -> Option<T> {
        Some(T::narrow(T::divide(state, n)))
    }
}

/// Integers that are added up exactly: a leaf's in a type of twice their size; or, of 64 bits, modulo 2^64 and their
/// high halves besides, which tell the multiple of 2^64.
pub(crate) trait Counted: Copy {
    /// Holds the sum of as many elements as a lane of a leaf has.
    type Part: Copy;
    /// The sum of no elements.
    const ZERO: Self::Part;
    /// Whether high halves are added up by themselves.
    const IN_HALVES: bool;
    /// What each element is made larger by before it is added.
    const BIAS: i128;
    /// A sum and an element.
    fn add(part: Self::Part, x: Self) -> Self::Part;
    /// A sum of high halves and that of an element.
    fn add_high(part: Self::Part, x: Self) -> Self::Part;
    /// What sums of fewer than 2^32 elements make, and those of their high halves.
    fn total(sums: &[Self::Part], high: &[Self::Part]) -> i128;
}

macro_rules! counted { ($($t:ident $part:ident)*) => { $(
    impl Counted for $t {
        type Part = $part;
        const ZERO: $part = 0;
        const IN_HALVES: bool = false;
        const BIAS: i128 = 0;
        #[inline(always)]
        fn add(part: $part, x: $t) -> $part { part.wrapping_add($part::from(x)) }
        #[inline(always)]
        fn add_high(part: $part, _: $t) -> $part { part }
        #[inline(always)]
        fn total(sums: &[$part], _: &[$part]) -> i128 {
            sums.iter().fold(0i64, |all, &s| all.wrapping_add(s as i64)).into()
        }
    }
)* }; }
counted!(i8 i16 i16 i32 i32 i64 u8 u16 u16 u32 u32 u64);

macro_rules! counted_in_halves { ($($t:ident $bias:expr;)*) => { $(
    impl Counted for $t {
        type Part = u64;
        const ZERO: u64 = 0;
        const IN_HALVES: bool = true;
        const BIAS: i128 = $bias;
        // Without a sign, whose shift to the right few processors have in vector registers.
        #[inline(always)]
        fn add(part: u64, x: $t) -> u64 { part.wrapping_add(x as u64 ^ Self::BIAS as u64) }
        #[inline(always)]
        fn add_high(part: u64, x: $t) -> u64 { part.wrapping_add((x as u64 ^ Self::BIAS as u64) >> 32) }
        #[inline(always)]
        fn total(sums: &[u64], high: &[u64]) -> i128 {
            let all = |parts: &[u64]| parts.iter().fold(0u64, |all, &p| all.wrapping_add(p));
            // The sum is not below this, and above it by less than 2^64: by less than 2^32 for each element.
            let least = i128::from(all(high)) << 32;
            least + i128::from(all(sums).wrapping_sub(least as u64))
        }
    }
)* }; }
counted_in_halves!(i64 1 << 63; u64 0;);

/// A sum of integers that does not overflow, in halves that travel.
#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(C)]
pub(crate) struct Count {
    pub low: u64,
    pub high: i64,
}

impl Count {
    #[inline(always)]
    fn new(sum: i128) -> Count {
        Count { low: sum as u64, high: (sum >> 64) as i64 }
    }
    #[inline(always)]
    fn sum(self) -> i128 {
        (i128::from(self.high) << 64) | i128::from(self.low)
    }
}

/// The mean of integers: their exact sum, divided as integers are.
pub(crate) struct IntMean;

impl<T: Counted> FoldOf<T> for IntMean {
    type State = Count;
    #[inline(always)]
    fn identity() -> Count {
        Count::new(0)
    }
    #[inline(always)]
    fn row(row: &[T]) -> Count {
        let sum = if row.len() < LANES {
            let add = |(sum, high), &x: &T| (T::add(sum, x), T::add_high(high, x));
            let (sum, high) = row.iter().fold((T::ZERO, T::ZERO), add);
            T::total(&[sum], &[high])
        } else {
            let (sums, high) =
                fold_row_twice(row, T::ZERO, |(sum, high), x| (T::add(sum, x), T::add_high(high, x)));
            T::total(&sums, &high)
        };
        Count::new(sum - T::BIAS * row.len() as i128)
    }
    /// Never called: rows of a leaf are folded at once.
    fn with(state: Count, _: T, _: u64) -> Count {
        state
    }
    #[inline(always)]
    fn merge(x: Count, y: Count, _: u64, _: u64) -> Count {
        Count::new(x.sum() + y.sum())
    }
}

macro_rules! int_mean { ($($t:ident)*) => { $(
    impl Finish<$t> for IntMean {
        type Out = $t;
        /// Rounded towards 0, as integer division is; of no elements there is none.
        #[inline(always)]
        fn finish(state: Count, n: u64, _: f64) -> Option<$t> {
            state.sum().checked_div(i128::from(n)).map(|q| q as $t)
        }
    }
)* }; }
int_mean!(i8 i16 i32 i64 u8 u16 u32 u64);

/// Columns of a leaf whose sums are held at a time: they stay in the L1 cache.
pub(super) const STRIP: usize = 1024;

/// Strips of columns of the rows of a leaf: the first of them, how many there are, and of those how many the last row has.
pub(super) fn strips(n: usize, last: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..n).step_by(STRIP).map(move |from| {
        let len = STRIP.min(n - from);
        (from, len, last.saturating_sub(from).min(len))
    })
}

/// The rows of a leaf that have all columns, and that which has fewer.
pub(super) fn split(rows: &[*const u8], n: usize, last: usize) -> (&[*const u8], &[*const u8]) {
    rows.split_at(if last == n { rows.len() } else { rows.len().saturating_sub(1) })
}

/// Folds the rows of a leaf elementwise, all at once.
///
/// # Safety
/// As for [`Columns::Leaf`](super::fold::Columns::Leaf).
#[inline(always)]
pub(crate) unsafe fn counts_body<T: Counted>(rows: &[*const u8], n: usize, last: usize, dst: *mut u8) {
    let (whole, short) = split(rows, n, last);
    for (from, len, last) in strips(n, last) {
        let (mut sums, mut high) = ([T::ZERO; STRIP], [T::ZERO; STRIP]);
        let add = |(sum, high), x: T, _: usize| (T::add(sum, x), T::add_high(high, x));
        // SAFETY: promised by the caller.
        unsafe {
            if T::IN_HALVES {
                fold_rows_twice((&mut sums[..len], &mut high[..len]), whole, from, add);
                fold_rows_twice((&mut sums[..last], &mut high[..last]), short, from, add);
            } else {
                fold_rows(&mut sums[..len], whole, from, |s, x: T, _, _| T::add(s, x));
                fold_rows(&mut sums[..last], short, from, |s, x: T, _, _| T::add(s, x));
            }
            let states = dst.cast::<Count>().add(from);
            for i in 0..len {
                let count = whole.len() + if i < last { short.len() } else { 0 };
                let sum = T::total(&sums[i..=i], &high[i..=i]);
                states.add(i).write(Count::new(sum - T::BIAS * count as i128));
            }
        }
    }
}

/// A mean and a sum of squared distances from it. The mean is `mean + rest`, the nearest `f64` and what it is off by:
/// of numbers that are large against their distances, a mean of 53 bits would be the greatest error of the variance.
#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(C)]
pub(crate) struct Spread {
    pub mean: f64,
    pub rest: f64,
    pub squares: f64,
}

impl Spread {
    /// Of no elements.
    pub(crate) const NONE: Spread = Spread { mean: 0.0, rest: 0.0, squares: 0.0 };

    /// Of elements of which there are `1 / part`, from a number near their mean, and the sums of the distances from it
    /// and of their squares: see Chan, Golub and LeVeque, "Algorithms for computing the sample variance: analysis and
    /// recommendations", The American Statistician 37, 1983.
    #[inline(always)]
    pub(super) fn about(pivot: f64, distances: f64, squares: f64, part: f64) -> Spread {
        let off = distances * part;
        let (mean, rest) = sum_of(pivot, off);
        let squares = squares - distances * off;
        Spread { mean, rest, squares: if squares < 0.0 { 0.0 } else { squares } }
    }

    /// Of `a` elements and then `b` others, neither 0.
    #[inline(always)]
    pub(super) fn with(self, y: Spread, a: f64, b: f64) -> Spread {
        let x = self;
        let part = b / (a + b);
        let (far, off) = sum_of(y.mean, -x.mean);
        let d = far + (off + (y.rest - x.rest));
        let (mean, rest) = sum_of(x.mean, d * part);
        let (mean, rest) = sum_of_ordered(mean, rest + x.rest);
        Spread { mean, rest, squares: x.squares + y.squares + d * d * (a * part) }
    }

    /// Of `n` elements of which one is infinite, or whose squares an `f64` does not hold: no distance from their mean
    /// is where there is none.
    #[cold]
    #[inline(never)]
    pub(super) fn of_far(elements: &mut dyn Iterator<Item = f64>, n: usize) -> Spread {
        let elements: Vec<f64> = elements.collect();
        let mean = elements.iter().sum::<f64>() / n as f64;
        Spread { mean, rest: 0.0, squares: elements.iter().map(|x| (x - mean) * (x - mean)).sum() }
    }
}

/// The sum of two numbers and its rounding error (Knuth, The Art of Computer Programming, volume 2, 4.2.2).
#[inline(always)]
fn sum_of(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

/// As [`sum_of`], where the second number is the smaller one (Dekker, 1971).
#[inline(always)]
fn sum_of_ordered(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    (s, b - (s - a))
}

/// Variances: a leaf's about the mean of a few of its elements, leaves merged as by Chan, Golub and LeVeque ("Updating
/// formulae and a pairwise algorithm for computing sample variances", 1979), with means of twice the precision. Squares
/// about the mean of `m` of `n` elements are at most `1 + n / m` times those about the mean of all (by Cauchy and
/// Schwarz), so that few bits cancel: `m` is at least a 32nd part of a leaf.
pub(crate) struct Moments<const ROOT: bool>;

impl<T: Summed<Sum = f64>, const ROOT: bool> FoldOf<T> for Moments<ROOT>
where
    Sum: Operation<T>,
{
    type State = Spread;
    #[inline(always)]
    fn identity() -> Spread {
        Spread::NONE
    }
    #[inline(always)]
    fn row(row: &[T]) -> Spread {
        let n = row.len() as f64;
        // In the elements' own type: it need not be exact.
        let pivot = fold_row(row, Sum::IDENTITY, Sum::of, Sum::of).widen() / n;
        let (distances, squares) = distances_of_row(row, pivot);
        if squares == f64::INFINITY || !pivot.is_finite() {
            return Spread::of_far(&mut row.iter().map(|x| x.widen()), row.len());
        }
        Spread::about(pivot, distances, squares, 1.0 / n)
    }
    /// Never called: rows of a leaf are folded at once.
    fn with(state: Spread, _: T, _: u64) -> Spread {
        state
    }
    #[inline(always)]
    fn merge(x: Spread, y: Spread, a: u64, b: u64) -> Spread {
        x.with(y, a as f64, b as f64)
    }
}

impl<T: Summed<Sum = f64>, const ROOT: bool> Finish<T> for Moments<ROOT>
where
    Sum: Operation<T>,
{
    type Out = T;
    #[inline(always)]
    fn finish(state: Spread, n: u64, ddof: f64) -> Option<T> {
        let variance = state.squares / (n as f64 - ddof).max(0.0);
        Some(T::narrow(if ROOT { variance.sqrt() } else { variance }))
    }
}

/// Adds up by halves.
#[inline(always)]
pub(super) fn sum_by_halves(mut lanes: [f64; LANES]) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            lanes[l] += lanes[l + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// Folds a row in [`LANES`] interleaved parts of two values each.
#[inline(always)]
pub(super) fn fold_row_twice<T: Copy, A: Copy>(
    row: &[T],
    zero: A,
    with: impl Fn((A, A), T) -> (A, A),
) -> ([A; LANES], [A; LANES]) {
    /// Groups for which a lane is held in a register.
    const ABREAST: usize = 8;
    let (mut first, mut second) = ([zero; LANES], [zero; LANES]);
    let (groups, rest) = row.as_chunks::<LANES>();
    let (many, few) = groups.as_chunks::<ABREAST>();
    for groups in many {
        for l in 0..LANES {
            (first[l], second[l]) = groups.iter().fold((first[l], second[l]), |s, group| with(s, group[l]));
        }
    }
    for group in few {
        for l in 0..LANES {
            (first[l], second[l]) = with((first[l], second[l]), group[l]);
        }
    }
    for (l, &x) in rest.iter().enumerate() {
        (first[l], second[l]) = with((first[l], second[l]), x);
    }
    (first, second)
}

/// Sums of distances and of their squares, with one more.
#[inline(always)]
pub(super) fn distances((distances, squares): (f64, f64), d: f64) -> (f64, f64) {
    (distances + d, squares + d * d)
}

/// The sums of the distances of a row's elements from a number, and of their squares.
#[inline(always)]
fn distances_of_row<T: Summed<Sum = f64>>(row: &[T], pivot: f64) -> (f64, f64) {
    let add = |s: (f64, f64), x: T| distances(s, x.widen() - pivot);
    if row.len() < LANES {
        return row.iter().fold((0.0, 0.0), |s, &x| add(s, x));
    }
    let (distances, squares) = fold_row_twice(row, 0.0, add);
    (sum_by_halves(distances), sum_by_halves(squares))
}

/// Folds the rows of a leaf elementwise, all at once.
///
/// # Safety
/// As for [`Columns::Leaf`](super::fold::Columns::Leaf).
#[inline(always)]
pub(crate) unsafe fn moments_body<T: Summed<Sum = f64>>(
    rows: &[*const u8],
    n: usize,
    last: usize,
    dst: *mut u8,
) {
    let (whole, short) = split(rows, n, last);
    let Some(&first) = rows.first() else { return };
    // Of elements of which there are none, the sums are 0.
    let part = |n: usize| 1.0 / n.max(1) as f64;
    for (from, len, last) in strips(n, last) {
        let (mut distances, mut squares) = ([0.0; STRIP], [0.0; STRIP]);
        // SAFETY: promised by the caller: there are as many, but in a first row that is the last one.
        let first = unsafe {
            std::slice::from_raw_parts(first.cast::<T>().add(from), if whole.is_empty() { last } else { len })
        };
        let add = |s: (f64, f64), x: T, i: usize| self::distances(s, x.widen() - first[i].widen());
        // SAFETY: promised by the caller.
        let states = unsafe {
            fold_rows_twice((&mut distances[..len], &mut squares[..len]), whole, from, add);
            fold_rows_twice((&mut distances[..last], &mut squares[..last]), short, from, add);
            std::slice::from_raw_parts_mut(dst.cast::<Spread>().add(from), len)
        };
        states[first.len()..].fill(Spread::NONE);
        for (range, n) in [(0..last, rows.len()), (last..first.len(), whole.len())] {
            for i in range {
                states[i] = Spread::about(first[i].widen(), distances[i], squares[i], part(n));
            }
        }
        if squares[..len].iter().fold(false, |far, &s| far | (s == f64::INFINITY)) {
            for i in (0..len).filter(|&i| squares[i] == f64::INFINITY) {
                let n = if i < last { rows.len() } else { whole.len() };
                // SAFETY: as many rows have the column.
                let element = |row: &*const u8| unsafe { row.cast::<T>().add(from + i).read().widen() };
                states[i] = Spread::of_far(&mut rows[..n].iter().map(element), n);
            }
        }
    }
}
