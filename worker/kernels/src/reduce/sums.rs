//! The folds that add: sums and products, means, variances; and the types in which they do it. Floats of 32 bits are
//! added up in 64, integers whose mean is asked for in 128; variances are of 64 bits about a mean that is carried with
//! its rounding error.
//!
//! Owns what these folds mean element by element. Must not know chunks or threads.

use super::fold::{Finish, FoldOf, LANES, MOMENTS_STRIP, fold_rows};
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

/// Integers that are added up exactly: a leaf's in a type of twice their size, or, of 64 bits, in halves.
pub(crate) trait Counted: Copy {
    /// Holds the sum of as many elements as a lane of a leaf has, or of as many halves.
    type Part: Copy;
    /// The sum of no elements.
    const ZERO: Self::Part;
    /// Whether the high halves are added up by themselves.
    const IN_HALVES: bool;
    /// What each element is made larger by before it is added.
    const BIAS: i128;
    /// A sum and an element, or its low half.
    fn low(part: Self::Part, x: Self) -> Self::Part;
    /// A sum and the high half of an element.
    fn high(part: Self::Part, x: Self) -> Self::Part;
    /// The sum that both make.
    fn total(low: Self::Part, high: Self::Part) -> i128;
}

macro_rules! counted { ($($t:ident $part:ident)*) => { $(
    impl Counted for $t {
        type Part = $part;
        const ZERO: $part = 0;
        const IN_HALVES: bool = false;
        const BIAS: i128 = 0;
        #[inline(always)]
        fn low(part: $part, x: $t) -> $part { part.wrapping_add($part::from(x)) }
        #[inline(always)]
        fn high(part: $part, _: $t) -> $part { part }
        #[inline(always)]
        fn total(low: $part, _: $part) -> i128 { low.into() }
    }
)* }; }
counted!(i8 i16 i16 i32 i32 i64 u8 u16 u16 u32 u32 u64);

macro_rules! counted_in_halves { ($($t:ident $bias:expr;)*) => { $(
    impl Counted for $t {
        type Part = u64;
        const ZERO: u64 = 0;
        const IN_HALVES: bool = true;
        const BIAS: i128 = $bias;
        #[inline(always)]
        fn low(part: u64, x: $t) -> u64 { part.wrapping_add(x as u64 & 0xffff_ffff) }
        // Without a sign, whose shift to the right few processors have in vector registers.
        #[inline(always)]
        fn high(part: u64, x: $t) -> u64 { part.wrapping_add((x as u64 ^ Self::BIAS as u64) >> 32) }
        #[inline(always)]
        fn total(low: u64, high: u64) -> i128 { (i128::from(high) << 32) + i128::from(low) }
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
        #[inline(always)]
        fn lanes<T: Copy, P: Copy>(row: &[T], zero: P, with: impl Fn(P, T) -> P) -> [P; LANES] {
            let mut lanes = [zero; LANES];
            let (groups, rest) = row.as_chunks::<LANES>();
            for group in groups {
                for l in 0..LANES {
                    lanes[l] = with(lanes[l], group[l]);
                }
            }
            for (l, &x) in lanes.iter_mut().zip(rest) {
                *l = with(*l, x);
            }
            lanes
        }
        let low = lanes(row, T::ZERO, T::low);
        let high = if T::IN_HALVES { lanes(row, T::ZERO, T::high) } else { [T::ZERO; LANES] };
        let sum: i128 = low.iter().zip(&high).map(|(&l, &h)| T::total(l, h)).sum();
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

/// Folds the rows of a leaf elementwise, all at once.
///
/// # Safety
/// As for [`Columns::Leaf`](super::fold::Columns::Leaf).
#[inline(always)]
pub(crate) unsafe fn counts_body<T: Counted>(rows: &[*const u8], n: usize, last: usize, dst: *mut u8) {
    let (whole, short) = rows.split_at(if last == n { rows.len() } else { rows.len().saturating_sub(1) });
    for from in (0..n).step_by(MOMENTS_STRIP) {
        let len = MOMENTS_STRIP.min(n - from);
        let last = last.saturating_sub(from).min(len);
        let (mut low, mut high) = ([T::ZERO; MOMENTS_STRIP], [T::ZERO; MOMENTS_STRIP]);
        // SAFETY: promised by the caller.
        unsafe {
            fold_rows(&mut low[..len], whole, from, |p, x: T, _, _| T::low(p, x));
            fold_rows(&mut low[..last], short, from, |p, x: T, _, _| T::low(p, x));
            if T::IN_HALVES {
                fold_rows(&mut high[..len], whole, from, |p, x: T, _, _| T::high(p, x));
                fold_rows(&mut high[..last], short, from, |p, x: T, _, _| T::high(p, x));
            }
            let states = dst.cast::<Count>().add(from);
            for i in 0..len {
                let count = whole.len() + if i < last { short.len() } else { 0 };
                states.add(i).write(Count::new(T::total(low[i], high[i]) - T::BIAS * count as i128));
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
    /// Of `n` elements, from a mean that is nearly theirs, and the sums of the distances from it and of their squares:
    /// Björck's correction of two passes, in Chan, Golub and LeVeque, "Algorithms for computing the sample variance:
    /// analysis and recommendations", The American Statistician 37, 1983.
    #[inline(always)]
    fn corrected(mean: f64, distances: f64, squares: f64, n: f64) -> Spread {
        let off = distances / n;
        let excess = distances * off;
        let (mean, rest) = sum_of_ordered(mean, off);
        let left = if squares < f64::INFINITY { 0.0 } else { squares };
        Spread { mean, rest, squares: if excess < squares { squares - excess } else { left } }
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

/// Variances: two passes over a leaf, leaves merged as by Chan, Golub and LeVeque ("Updating formulae and a pairwise
/// algorithm for computing sample variances", 1979), with means of twice the precision.
pub(crate) struct Moments<const ROOT: bool>;

impl<T: Summed<Sum = f64>, const ROOT: bool> FoldOf<T> for Moments<ROOT> {
    type State = Spread;
    #[inline(always)]
    fn identity() -> Spread {
        Spread { mean: 0.0, rest: 0.0, squares: 0.0 }
    }
    #[inline(always)]
    fn row(row: &[T]) -> Spread {
        let n = row.len() as f64;
        let mean = fold_row(row, 0.0, |s, x: T| s + x.widen(), |a, b| a + b) / n;
        let distances = fold_row(row, 0.0, |s, x: T| s + (x.widen() - mean), |a, b| a + b);
        let square = |s: f64, x: T| {
            let d = x.widen() - mean;
            s + d * d
        };
        Spread::corrected(mean, distances, fold_row(row, 0.0, square, |a, b| a + b), n)
    }
    /// Never called: rows of a leaf are folded at once.
    fn with(state: Spread, _: T, _: u64) -> Spread {
        state
    }
    #[inline(always)]
    fn merge(x: Spread, y: Spread, a: u64, b: u64) -> Spread {
        let (a, b) = (a as f64, b as f64);
        let part = b / (a + b);
        let (far, off) = sum_of(y.mean, -x.mean);
        let d = far + (off + (y.rest - x.rest));
        let (mean, rest) = sum_of(x.mean, d * part);
        let (mean, rest) = sum_of_ordered(mean, rest + x.rest);
        Spread { mean, rest, squares: x.squares + y.squares + d * d * (a * part) }
    }
}

impl<T: Summed<Sum = f64>, const ROOT: bool> Finish<T> for Moments<ROOT> {
    type Out = T;
    #[inline(always)]
    fn finish(state: Spread, n: u64, ddof: f64) -> Option<T> {
        let variance = state.squares / (n as f64 - ddof).max(0.0);
        Some(T::narrow(if ROOT { variance.sqrt() } else { variance }))
    }
}

/// Adds the distances of rows' elements from their means, and the squares of those, from column `from` on.
///
/// # Safety
/// As many elements as there are means in each of the rows from there on.
#[inline(always)]
unsafe fn distances<T: Summed<Sum = f64>>(
    mean: &[f64],
    (distances, squares): (&mut [f64], &mut [f64]),
    rows: &[*const u8],
    from: usize,
) {
    let n = mean.len();
    let (distances, squares) = (&mut distances[..n], &mut squares[..n]);
    // SAFETY: promised by the caller.
    let row = |&row: &*const u8| unsafe { std::slice::from_raw_parts(row.cast::<T>().add(from), n) };
    let (groups, rest) = rows.as_chunks::<4>();
    for group in groups {
        let [a, b, c, d] = group.each_ref().map(row);
        for i in 0..n {
            let of = [a[i], b[i], c[i], d[i]].map(|x| x.widen() - mean[i]);
            distances[i] = of.iter().fold(distances[i], |s, d| s + d);
            squares[i] = of.iter().fold(squares[i], |s, d| s + d * d);
        }
    }
    for last in rest {
        let last = row(last);
        for i in 0..n {
            let d = last[i].widen() - mean[i];
            distances[i] += d;
            squares[i] += d * d;
        }
    }
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
    let (whole, short) = rows.split_at(if last == n { rows.len() } else { rows.len().saturating_sub(1) });
    for from in (0..n).step_by(MOMENTS_STRIP) {
        let len = MOMENTS_STRIP.min(n - from);
        let last = last.saturating_sub(from).min(len);
        let mut mean = [0.0; MOMENTS_STRIP];
        let (mut off, mut squares) = ([0.0; MOMENTS_STRIP], [0.0; MOMENTS_STRIP]);
        let count = |i: usize| (whole.len() + if i < last { short.len() } else { 0 }) as f64;
        // SAFETY: promised by the caller.
        unsafe {
            fold_rows(&mut mean[..len], whole, from, |m, x: T, _, _| m + x.widen());
            fold_rows(&mut mean[..last], short, from, |m, x: T, _, _| m + x.widen());
            (0..len).for_each(|i| mean[i] /= count(i));
            distances::<T>(&mean[..len], (&mut off, &mut squares), whole, from);
            distances::<T>(&mean[..last], (&mut off, &mut squares), short, from);
            let states = dst.cast::<Spread>().add(from);
            for i in 0..len {
                let none = Spread { mean: 0.0, rest: 0.0, squares: 0.0 };
                let n = count(i);
                let of = if n > 0.0 { Spread::corrected(mean[i], off[i], squares[i], n) } else { none };
                states.add(i).write(of);
            }
        }
    }
}
