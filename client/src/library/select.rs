//! Quantiles, and the greatest and least elements.
//!
//! Knows of which stages they are made. Must not know how lanes are looked through.

use super::{added_up, axis_of, cut, flat, same, stage, with_axis};
use crate::array::kinds::on_arrays;
use crate::array::{Array, Array0};
use crate::error::{Result, or_panic};
use ndarray::{Axis, RemoveAxis};
use tilework_expr::{Along, Chunks, Element, Expr, ExprError, Read, SliceArg};
use tilework_kernels::library::rank;
use tilework_kernels::library::select::{Top, quantiles};
use tilework_plan::{AxisGrid, Grid};

pub use tilework_kernels::library::select::Interpolation;

/// Elements that have quantiles, and the type of those.
pub trait Quantiles: Element {
    /// `f32` of `f32`, else `f64`.
    type Output: Element;
}

macro_rules! of_f64 {
    ($($t:ty)*) => { $(impl Quantiles for $t { type Output = f64; })* };
}
of_f64! { i8 i16 i32 i64 u8 u16 u32 u64 f64 }
impl Quantiles for f32 {
    type Output = f32;
}

/// What is asked for of each lane.
#[derive(Clone, Copy)]
struct Asked<'a> {
    qs: &'a [f64],
    rule: Interpolation,
    skip_nan: bool,
}

impl Asked<'_> {
    fn check(&self) -> Result<()> {
        match self.qs.iter().find(|q| !(0.0..=1.0).contains(*q)) {
            None => Ok(()),
            Some(q) => {
                let (what, got) = ("a quantile", q.to_string());
                Err(ExprError::Parameter { what, got, expected: "from 0 to 1" }.into())
            }
        }
    }

    /// Along an axis, which has an element for each quantile then.
    fn along(&self, expr: &Expr, axis: Axis) -> Result<Expr> {
        self.check()?;
        let axis = axis_of(expr, axis)?;
        not_empty(expr, axis)?;
        let input = expr.whole_along(axis)?;
        let own = quantiles(axis, expr.dtype(), (self.qs, self.rule, self.skip_nan));
        let out = with_axis(input.grid(), axis, AxisGrid::whole(self.qs.len()));
        stage(own, &[(&input, same(expr.ndim()))], input.grid(), &out)
    }
}

fn not_empty(expr: &Expr, axis: usize) -> Result<()> {
    if expr.shape()[axis] > 0 {
        return Ok(());
    }
    let expected = "at least one";
    Err(ExprError::Parameter { what: "elements of a quantile", got: "none".into(), expected }.into())
}

/// The medians of the lanes along an axis, which the result does not have.
pub(super) fn median_along(expr: &Expr, axis: usize) -> Result<Expr> {
    let asked = Asked { qs: &[0.5], rule: Interpolation::Linear, skip_nan: false };
    only(&asked.along(expr, Axis(axis))?, axis)
}

/// The only position of an axis of one.
fn only(expr: &Expr, axis: usize) -> Result<Expr> {
    cut(expr, axis, SliceArg::At(0))
}

/// Elements of a chunk from which on a round finds out so many bits: there are counts of all values of them.
const BITS_BY_LEN: [(usize, u32); 3] = [(1 << 19, 16), (1 << 14, 11), (0, 8)];

/// Bytes of elements that one task finds a quantile of, all together: to count them in rounds would take longer.
const ONE_TASK_BYTES: usize = 1 << 20;

/// A quantile of all elements.
fn of_all(expr: &Expr, asked: Asked<'_>) -> Result<Expr> {
    asked.check()?;
    if expr.grid().n_chunks() == 1 || expr.len() * expr.dtype().size() <= ONE_TASK_BYTES {
        return only(&asked.along(&flat(expr)?.rechunk(&Chunks::from(-1))?, Axis(0))?, 0);
    }
    in_rounds(expr, asked)
}

/// The elements between which a quantile of all lies are found in rounds, a few bits in each.
fn in_rounds(expr: &Expr, asked: Asked<'_>) -> Result<Expr> {
    let (dtype, ndim) = (expr.dtype(), expr.ndim());
    let one = rank::Asked { q: asked.qs[0], rule: asked.rule, skip_nan: asked.skip_nan };
    let len = expr.grid().chunk_len_max();
    let bits = BITS_BY_LEN.iter().find(|(least, _)| len >= *least).map_or(8, |(_, bits)| *bits);
    let numbers = Grid::whole(&[rank::STATE_NUMBERS]);
    let all = || Read::Box(vec![Along::All]);
    let mut known: Option<Expr> = None;
    for round in rank::Round::all(dtype, bits) {
        let mut inputs = vec![(expr, same(ndim))];
        inputs.extend(known.as_ref().map(|known| (known, all())));
        let counts = added_up(rank::counts(dtype, round, known.is_none()), &inputs, round.n_counts())?;
        let mut inputs = vec![(&counts, all())];
        inputs.extend(known.as_ref().map(|known| (known, all())));
        known = Some(stage(rank::narrowed(round, known.is_none(), one), &inputs, &numbers, &numbers)?);
    }
    let known = known.expect("elements have bits");
    let one_number = Grid::whole(&[1]);
    only(&stage(rank::found(dtype, one), &[(&known, all())], &one_number, &one_number)?, 0)
}

/// The so many greatest of each chunk, and of those the greatest of all.
pub(crate) fn topped(expr: &Expr, axis: Axis, k: isize, positions: bool) -> Result<Expr> {
    let axis = axis_of(expr, axis)?;
    let top = Top { n: k.unsigned_abs(), greatest: k >= 0, axis };
    let (dtype, ndim, grid) = (expr.dtype(), expr.ndim(), expr.grid());
    let lens: Vec<usize> = grid.axes()[axis].chunk_lens().into_iter().map(|l| l.min(top.n)).collect();
    let some = with_axis(grid, axis, AxisGrid::explicit(&lens));
    if lens.len() == 1 {
        return topped_whole(expr, top, positions);
    }
    let values = stage(top.elements(dtype), &[(expr, same(ndim))], grid, &some)?.whole_along(axis)?;
    if !positions {
        return topped_whole(&values, top, false);
    }
    let at = stage(top.positions(dtype, false), &[(expr, same(ndim))], grid, &some)?;
    let at = at.on_grid(values.grid().clone())?;
    let out = with_axis(values.grid(), axis, AxisGrid::whole(top.n.min(values.shape()[axis])));
    let inputs = [(&values, same(ndim)), (&at, same(ndim))];
    stage(top.positions(dtype, true), &inputs, values.grid(), &out)
}

fn topped_whole(expr: &Expr, top: Top, positions: bool) -> Result<Expr> {
    let own = if positions { top.positions(expr.dtype(), false) } else { top.elements(expr.dtype()) };
    let out = with_axis(expr.grid(), top.axis, AxisGrid::whole(top.n.min(expr.shape()[top.axis])));
    stage(own, &[(expr, same(expr.ndim()))], expr.grid(), &out)
}

/// The forms of quantiles, with NaN and without.
macro_rules! quantile_forms {
    ($($skip:literal $nan:literal: $axis:ident $try_axis:ident $many:ident $try_many:ident
        $flat:ident $try_flat:ident $median:ident $try_median:ident $median_flat:ident $try_median_flat:ident)*) => { $(
        #[doc = concat!("The quantile `q`, from 0 to 1, of the elements along an axis, by NumPy's rule of that name: a lazy array ",
            "without the axis, `f64`, or `f32` of such elements. ", $nan)]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_axis), "`](Self::", stringify!($try_axis), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $axis(&self, axis: Axis, q: f64, rule: Interpolation) -> Array<A::Output, D::Smaller>
        where
            D: RemoveAxis,
        {
            or_panic(self.$try_axis(axis, q, rule))
        }

        #[doc = concat!("[`", stringify!($axis), "`](Self::", stringify!($axis), ") that returns what goes wrong.")]
        ///
        /// # Errors
        /// An axis out of range, or without elements; a quantile beyond 0 to 1.
        pub fn $try_axis(&self, axis: Axis, q: f64, rule: Interpolation) -> Result<Array<A::Output, D::Smaller>>
        where
            D: RemoveAxis,
        {
            let asked = Asked { qs: &[q], rule, skip_nan: $skip };
            Ok(Array::of_expr(only(&asked.along(&self.leaf()?, axis)?, axis.index())?))
        }

        #[doc = concat!("As [`", stringify!($axis), "`](Self::", stringify!($axis), ") for several quantiles, found together: ",
            "along the axis the result has one element for each.")]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_many), "`](Self::", stringify!($try_many), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $many(&self, axis: Axis, qs: &[f64], rule: Interpolation) -> Array<A::Output, D> {
            or_panic(self.$try_many(axis, qs, rule))
        }

        #[doc = concat!("[`", stringify!($many), "`](Self::", stringify!($many), ") that returns what goes wrong.")]
        ///
        /// # Errors
        /// An axis out of range, or without elements; a quantile beyond 0 to 1.
        pub fn $try_many(&self, axis: Axis, qs: &[f64], rule: Interpolation) -> Result<Array<A::Output, D>> {
            Ok(Array::of_expr(Asked { qs, rule, skip_nan: $skip }.along(&self.leaf()?, axis)?))
        }

        #[doc = concat!("The quantile `q` of all elements, exactly: found in rounds over all chunks, a few bits in each. A lazy array without dimensions. ", $nan)]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_flat), "`](Self::", stringify!($try_flat), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $flat(&self, q: f64, rule: Interpolation) -> Array0<A::Output> {
            or_panic(self.$try_flat(q, rule))
        }

        #[doc = concat!("[`", stringify!($flat), "`](Self::", stringify!($flat), ") that returns what goes wrong.")]
        ///
        /// # Errors
        /// No elements; a quantile beyond 0 to 1.
        pub fn $try_flat(&self, q: f64, rule: Interpolation) -> Result<Array0<A::Output>> {
            Ok(Array::of_expr(of_all(&self.leaf()?, Asked { qs: &[q], rule, skip_nan: $skip })?))
        }

        #[doc = concat!("The median of the elements along an axis: a lazy array without the axis, `f64`, or `f32` of such ",
            "elements. ", $nan)]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_median), "`](Self::", stringify!($try_median), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $median(&self, axis: Axis) -> Array<A::Output, D::Smaller>
        where
            D: RemoveAxis,
        {
            or_panic(self.$try_median(axis))
        }

        #[doc = concat!("[`", stringify!($median), "`](Self::", stringify!($median), ") that returns what goes wrong.")]
        ///
        /// # Errors
        /// An axis out of range, or without elements.
        pub fn $try_median(&self, axis: Axis) -> Result<Array<A::Output, D::Smaller>>
        where
            D: RemoveAxis,
        {
            self.$try_axis(axis, 0.5, Interpolation::Linear)
        }

        #[doc = concat!("The median of all elements, exactly: found in rounds over all chunks, a few bits in each. A lazy array without dimensions. ", $nan)]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_median_flat), "`](Self::", stringify!($try_median_flat), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $median_flat(&self) -> Array0<A::Output> {
            or_panic(self.$try_median_flat())
        }

        #[doc = concat!("[`", stringify!($median_flat), "`](Self::", stringify!($median_flat), ") that returns what goes wrong.")]
        ///
        /// # Errors
        /// No elements.
        pub fn $try_median_flat(&self) -> Result<Array0<A::Output>> {
            self.$try_flat(0.5, Interpolation::Linear)
        }
    )* };
}

on_arrays!({ A: Quantiles } {
    quantile_forms! {
        false "NaN, where any element is.":
        quantile_axis try_quantile_axis quantiles_axis try_quantiles_axis quantile_flat try_quantile_flat
        median_axis try_median_axis median_flat try_median_flat

        true "NaN is left out; NaN, where nothing else is there.":
        nanquantile_axis try_nanquantile_axis nanquantiles_axis try_nanquantiles_axis
        nanquantile_flat try_nanquantile_flat nanmedian_axis try_nanmedian_axis nanmedian_flat try_nanmedian_flat
    }
});

on_arrays!({ A: Element } {
    /// The `k` greatest elements along an axis, greatest first; of a negative `k` the `-k` least, least first. A lazy array
    /// of as many along the axis, of fewer where there are no more. NaN comes after all others.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = Array::from_vec_chunked(vec![3, 9, 2, 7, 5], 2);
    /// assert_eq!(x.topk(Axis(0), 2).compute(), ndarray::arr1(&[9, 7]));
    /// assert_eq!(x.argtopk(Axis(0), -2).compute(), ndarray::arr1(&[2, 0]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_topk`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn topk(&self, axis: Axis, k: isize) -> Array<A, D> {
        or_panic(self.try_topk(axis, k))
    }

    /// [`Array::topk`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range.
    pub fn try_topk(&self, axis: Axis, k: isize) -> Result<Array<A, D>> {
        Ok(Array::of_expr(topped(&self.leaf()?, axis, k, false)?))
    }

    /// The positions along an axis of what [`Array::topk`] gives; of equal elements the first comes first.
    ///
    /// # Panics
    /// Where [`Array::try_argtopk`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn argtopk(&self, axis: Axis, k: isize) -> Array<u64, D> {
        or_panic(self.try_argtopk(axis, k))
    }

    /// [`Array::argtopk`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range.
    pub fn try_argtopk(&self, axis: Axis, k: isize) -> Result<Array<u64, D>> {
        Ok(Array::of_expr(topped(&self.leaf()?, axis, k, true)?))
    }
});

#[cfg(test)]
mod tests {
    use super::super::draws::draws;
    use super::*;
    use crate::array::Array1;

    /// Floats of all kinds: NaN, both zeros, infinities, ties.
    fn floats(n: usize, seed: u64) -> Vec<f64> {
        let special = [f64::NAN, -0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY, -1.5];
        let of = |d: u64| special.get(d as usize).copied().unwrap_or_else(|| (d % 97) as f64 / 7.0 - 5.0);
        draws(n, 1000, seed).into_iter().map(of).collect()
    }

    fn found<A: Quantiles, D: ndarray::Dimension>(
        x: &Array<A, D>,
        q: f64,
        skip_nan: bool,
        rule: Interpolation,
    ) -> f64 {
        let asked = Asked { qs: &[q], rule, skip_nan };
        let one = in_rounds(&x.leaf().unwrap(), asked).unwrap().cast(tilework_expr::DType::F64).unwrap();
        Array0::<f64>::of_expr(one).compute().into_scalar()
    }

    #[test]
    fn rounds_find_the_quantiles_of_sorted_elements() {
        let rules = [Interpolation::Linear, Interpolation::Nearest, Interpolation::AveragedInvertedCdf];
        for (n, chunk) in [(1, 1), (2, 1), (200, 60)] {
            let x = floats(n, 1 + n as u64);
            let there: Vec<f64> = x.iter().copied().filter(|v| !v.is_nan()).collect();
            let a = Array1::from_vec_chunked(x.clone(), chunk);
            let whole = Array1::from_vec_chunked(there.clone(), n);
            let ints: Vec<i16> = draws(n, 1000, 7).iter().map(|d| *d as i16 - 500).collect();
            let i = Array1::from_vec_chunked(ints, chunk);
            for (rule, q) in rules.into_iter().zip([0.1, 0.77, 0.5]).chain([(rules[0], 0.0), (rules[0], 1.0)])
            {
                let got = found(&a, q, true, rule);
                let want = whole.quantile_axis(Axis(0), q, rule).sum();
                assert!(
                    got == want || got.is_nan() && want.is_nan(),
                    "{got} {want} {rule:?} {q} {n} {chunk}"
                );
                let want = i.rechunk(-1).quantile_axis(Axis(0), q, rule).sum();
                assert_eq!(found(&i, q, false, rule), want, "{rule:?} {q} {n} {chunk}");
            }
            assert_eq!(found(&a, 0.5, false, rules[0]).is_nan(), there.len() < n);
        }
    }

    #[test]
    fn rounds_find_elements_of_any_bits() {
        let median = |x: &Array1<f32>, skip_nan| found(x, 0.5, skip_nan, Interpolation::Linear);
        // Elements that differ in their lowest bits alone, of several axes; of one byte; none but NaN.
        let near: Vec<u64> = (0..60).map(|d| (1 << 40) + (d * 7) % 60).collect();
        let near = Array::from(ndarray::Array2::from_shape_vec((6, 10), near).unwrap()).rechunk(&[4, 3][..]);
        assert_eq!(found(&near, 0.5, false, Interpolation::Linear), (1u64 << 40) as f64 + 29.5);
        let bytes = Array1::from_vec_chunked((-60..60).collect::<Vec<i8>>(), 7);
        assert_eq!(found(&bytes, 0.25, false, Interpolation::Lower), -31.0);
        let none = Array1::from_vec_chunked(vec![f32::NAN; 9], 2);
        assert!(median(&none, true).is_nan() && median(&none, false).is_nan());
        // Chunks that are long enough for more bits in a round, and an array that is too large for one task.
        let long: Vec<f32> = draws(300_000, 1 << 30, 3).iter().map(|d| *d as f32 / 977.0 - 5e5).collect();
        let mut sorted = long.clone();
        sorted.sort_by(f32::total_cmp);
        let a = Array1::from_vec_chunked(long, 50_000);
        assert_eq!(a.quantile_flat(0.3, Interpolation::Higher).sum(), sorted[90_000]);
        assert_eq!(a.median_flat().sum(), (sorted[149_999] + sorted[150_000]) / 2.0);
    }
}
