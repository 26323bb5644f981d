//! Windows that go along an axis, and boxes beside one another.
//!
//! Knows which positions a task reads for them. Must not know what is made of a window.

use super::select::Quantiles;
use super::{axis_of, reductions, same, stage};
use crate::array::Array;
use crate::array::kinds::on_arrays;
use crate::array::twins::twins;
use crate::error::Result;
use ndarray::{Axis, Dimension};
use std::marker::PhantomData;
use tilework_expr::{Along, Boundary, Element, Expr, ExprError, Halo, Read};
use tilework_kernels::library::places;
use tilework_kernels::library::windowed::Windowed;
use tilework_plan::{AxisGrid, Grid};

/// What a chunk of windows should have at most, unless a chunk of the array has more bytes.
const CHUNK_BYTES: usize = 16 << 20;

/// How windows of so many positions lie along an axis of an array.
pub(super) struct Windows {
    pub axis: usize,
    pub window: usize,
    /// The positions at which tasks have windows begin, and all behind the last.
    space: AxisGrid,
    /// How many windows each task has.
    out: AxisGrid,
}

impl Windows {
    /// Those of an array, of which each gives so many elements.
    pub(super) fn of(expr: &Expr, axis: Axis, window: usize, gives: usize) -> Result<Windows> {
        let axis = axis_of(expr, axis)?;
        let len = expr.shape()[axis];
        if window == 0 || window > len {
            let got = format!("{window} along an axis of length {len}");
            let expected = "at least 1, at most the length";
            return Err(ExprError::Parameter { what: "positions of a window", got, expected }.into());
        }
        let own = &expr.grid().axes()[axis];
        let beside = (expr.grid().chunk_len_max() / own.chunk_max().max(1)).max(1);
        let bytes = (expr.grid().chunk_len_max() * expr.dtype().size()).max(CHUNK_BYTES);
        let most = bytes / beside.saturating_mul(gives).saturating_mul(expr.dtype().size()).max(1);
        let own =
            if own.chunk_max() > most.max(1) { AxisGrid::regular(len, most.max(1)) } else { own.clone() };
        let n = len - window + 1;
        let mut lens: Vec<usize> = Vec::new();
        let mut at = 0;
        for chunk in own.chunk_lens() {
            if at < n && chunk > 0 {
                lens.push(chunk.min(n - at));
            }
            at += chunk;
        }
        let out = AxisGrid::explicit(&lens);
        if let Some(last) = lens.last_mut() {
            *last += window - 1;
        }
        Ok(Windows { axis, window, space: AxisGrid::explicit(&lens), out })
    }

    /// The space of the tasks, and the grid of what they give, of one element for each window.
    pub(super) fn grids(&self, expr: &Expr) -> (Grid, Grid) {
        let grid = |axis: &AxisGrid| super::with_axis(expr.grid(), self.axis, axis.clone());
        (grid(&self.space), grid(&self.out))
    }

    /// What a task reads: its own positions, and those of windows that begin there.
    pub(super) fn read(&self, ndim: usize) -> Read {
        let halo = Halo { before: 0, after: self.window - 1, boundary: Boundary::None };
        super::same_but(ndim, self.axis, Along::Near { axis: self.axis, halo })
    }
}

fn windows(expr: &Expr, axis: Axis, window: usize) -> Result<Expr> {
    let windows = Windows::of(expr, axis, window, window)?;
    let (space, out) = windows.grids(expr);
    let with = |grid: Grid, last: AxisGrid| {
        let mut axes = grid.axes().to_vec();
        axes.push(last);
        Grid::new(axes)
    };
    let (space, out) = (with(space, AxisGrid::whole(1)), with(out, AxisGrid::whole(window)));
    let own = places::windows(expr.dtype(), windows.axis, window);
    stage(own, &[(expr, windows.read(expr.ndim()))], &space, &out)
}

on_arrays!({ A: Element } {
    twins! {
        /// The windows of so many neighbouring positions of an axis: a lazy array with one position along the axis for each
        /// of the `len - window + 1` places at which one begins, and with the elements of each along a last axis, as
        /// NumPy's `sliding_window_view`. It is no view: its chunks have each element once for each window that it is in, so
        /// that they are cut smaller than the array's where they would be large. Reductions of windows, which make none,
        /// are [`rolling`](Self::rolling).
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = Array::from_vec_chunked(vec![1, 2, 3, 4], 2);
        /// assert_eq!(x.sliding_window_view(Axis(0), 3).compute(), ndarray::arr2(&[[1, 2, 3], [2, 3, 4]]));
        /// ```
        sliding_window_view, try_sliding_window_view [] (&self, axis: Axis, window: usize) -> Array<A, D::Larger>,
        errors "An axis out of range; a window without positions, or of more than the axis has.",
        { Ok(Array::of_expr(windows(&self.leaf()?, axis, window)?)) }
    }
});

/// The windows of an axis: [`Array::rolling`] makes it.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until a reduction is asked for"]
pub struct Rolling<A, D> {
    expr: Expr,
    axis: usize,
    window: usize,
    of: PhantomData<(A, D)>,
}

impl<A: Element, D: Dimension> Rolling<A, D> {
    fn reduced<B: Element>(&self, what: Windowed) -> Result<Array<B, D>> {
        let windows = Windows::of(&self.expr, Axis(self.axis), self.window, 1)?;
        let (space, out) = windows.grids(&self.expr);
        let own = what.rolling(self.expr.dtype(), self.axis, self.window);
        let found = stage(own, &[(&self.expr, windows.read(self.expr.ndim()))], &space, &out)?;
        Ok(Array::of_expr(found))
    }
}

/// The boxes of an array: [`Array::coarsen`] makes it.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until a reduction is asked for"]
pub struct Coarsen<A, D> {
    expr: Expr,
    /// How long the boxes are along each axis.
    lens: Vec<usize>,
    of: PhantomData<(A, D)>,
}

impl<A: Element, D: Dimension> Coarsen<A, D> {
    fn reduced<B: Element>(&self, what: Windowed) -> Result<Array<B, D>> {
        let (mut space, mut out) = (Vec::new(), Vec::new());
        for (axis, &len) in self.expr.grid().axes().iter().zip(&self.lens) {
            // Chunks end where boxes do.
            let (mut end, mut last, mut own) = (0, 0, Vec::new());
            for chunk in axis.chunk_lens() {
                end += chunk;
                if end / len * len > last {
                    own.push(end / len * len - last);
                    last = end / len * len;
                }
            }
            if own.is_empty() {
                own.push(0);
            }
            out.push(AxisGrid::explicit(&own.iter().map(|n| n / len).collect::<Vec<_>>()));
            space.push(AxisGrid::explicit(&own));
        }
        let own = what.coarsen(self.expr.dtype(), &self.lens);
        let found = stage(own, &[(&self.expr, same(self.lens.len()))], &Grid::new(space), &Grid::new(out))?;
        Ok(Array::of_expr(found))
    }
}

macro_rules! reductions_of {
    ($($kind:ident $of:literal;)*) => { $(
        #[doc = concat!("Lazy arrays with one element for each ", $of, ".")]
        impl<A: Quantiles, D: Dimension> $kind<A, D> {
            reductions! { "None in practice.";
                /// The sums. Floats of 32 bits are added up in 64; integers wrap.
                sum try_sum() -> A: Windowed::Sum;
                /// The least elements; NaN if any is.
                min try_min() -> A: Windowed::Min;
                /// The greatest elements; NaN if any is.
                max try_max() -> A: Windowed::Max;
                /// The means.
                mean try_mean() -> A::Output: Windowed::Mean;
                /// The variances about the mean, divided by the number of elements less `ddof`; NaN of no more than that.
                var try_var(ddof: f64) -> A::Output: Windowed::Var(ddof);
                /// The standard deviations: the square roots of the variances.
                std try_std(ddof: f64) -> A::Output: Windowed::Std(ddof);
            }
        }
    )* };
}
reductions_of! {
    Rolling "window";
    Coarsen "box";
}

on_arrays!({ A: Quantiles } {
    twins! {
        /// The windows of so many neighbouring positions of an axis, of which `sum`, `mean`, `min`, `max`, `var` and `std`
        /// give lazy arrays of `len - window + 1` positions along the axis: the first is of the first `window` elements.
        /// [`pad`](Self::pad) beforehand says what lies beyond the ends. An element costs the same for any window, a window
        /// never loses digits to what was in another, and a result does not depend on the array's chunks.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = Array::from_vec_chunked(vec![1.0, 2.0, 6.0, 4.0], 3);
        /// assert_eq!(x.rolling(Axis(0), 2).mean().compute(), ndarray::arr1(&[1.5, 4.0, 5.0]));
        /// assert_eq!(x.rolling(Axis(0), 3).max().compute(), ndarray::arr1(&[6.0, 6.0]));
        /// ```
        rolling, try_rolling [] (&self, axis: Axis, window: usize) -> Rolling<A, D>,
        errors "An axis out of range; a window without positions, or of more than the axis has.",
        {
            let expr = self.leaf()?;
            let axis = Windows::of(&expr, axis, window, 1)?.axis;
            Ok(Rolling { expr, axis, window, of: PhantomData })
        }

        /// The boxes that an array is made of which are so long along the axes named, and 1 along the others; `sum`, `mean`,
        /// `min`, `max`, `var` and `std` give lazy arrays with one element for each. The lengths of the axes are multiples:
        /// a slice leaves out what is over.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr2(&[[1, 2, 3, 4], [5, 6, 7, 8]]);
        /// let means = x.coarsen(&[(Axis(0), 2), (Axis(1), 2)]).mean();
        /// assert_eq!(means.compute(), ndarray::arr2(&[[3.5, 5.5]]));
        /// ```
        coarsen, try_coarsen [] (&self, lens: &[(Axis, usize)]) -> Coarsen<A, D>,
        errors "An axis out of range; boxes of no length, or that an axis is no multiple of.",
        {
            let expr = self.leaf()?;
            let mut of = vec![1; expr.ndim()];
            for (axis, len) in lens {
                let axis = axis_of(&expr, *axis)?;
                let n = expr.shape()[axis];
                if *len == 0 || n % len > 0 {
                    let got = format!("{len} along an axis of length {n}");
                    let expected = "one that the length is a multiple of";
                    return Err(ExprError::Parameter { what: "length of a box", got, expected }.into());
                }
                of[axis] = *len;
            }
            Ok(Coarsen { expr, lens: of, of: PhantomData })
        }
    }
});
