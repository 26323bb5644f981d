//! Functions of the user's on each element, lane or position, called as ndarray calls them. `mapv` of what is lazy or
//! large goes to the workers; all else runs in this process.
//!
//! Must not know what the functions do.

use super::kind::choice::dtype_of;
use super::kind::source::{Source, is_lazy};
use super::kinds::{on_all, on_writable};
use super::write::here;
use super::{Array, ArrayBase, ArrayView, ArrayViewMut, Data, DataMut, lazily};
use crate::closures;
use crate::error::{Error, Result, or_panic};
use crate::library::scan::scanned;
use crate::session::Session;
use ndarray::{Axis, Dimension, Ix1, RemoveAxis};
use std::ops::{Mul, MulAssign};
use std::panic::Location;
use tilework_expr::Expr;
use tilework_kernels::library::scan::Scan;

on_all!({ A } {
    /// The array of what `f` gives for a reference to each element. Runs in this process: a lazy array is computed and
    /// brought here, with one warning for the line where there are workers elsewhere. [`Array::mapv`] runs on them.
    #[track_caller]
    pub fn map<'r, B, F>(&'r self, f: F) -> Array<B, D>
    where
        F: FnMut(&'r A) -> B,
        A: 'r,
    {
        Array::local(brought(self, "map").map(f))
    }

    /// The array of what `f` gives for each element.
    ///
    /// Where the array is lazy or large, a function that captures nothing runs on the workers, which must be processes
    /// of this program (`tilework worker --program`); one that captures variables makes the array be computed and runs in this process, after
    /// one warning for the line. `mapv_with` takes such values as parameters.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = Array::from_vec_chunked(vec![1.0, 4.0, 9.0], 2);
    /// let y = x.mapv(f64::sqrt).mapv(|x| x > 1.5);
    /// assert!(y.is_lazy());
    /// assert_eq!(y, array![false, true, true]);
    /// ```
    #[track_caller]
    pub fn mapv<B, F>(&self, f: F) -> Array<B, D>
    where
        F: FnMut(A) -> B,
        A: Clone,
    {
        mapped(self, f)
    }

    /// The array of what `f` gives for a view of each lane of an axis, which the result does not have.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn map_axis<'r, B, F>(&'r self, axis: Axis, mut mapping: F) -> Array<B, D::Smaller>
    where
        D: RemoveAxis,
        F: FnMut(ArrayView<'r, A, Ix1>) -> B,
        A: 'r,
    {
        Array::local(brought(self, "map_axis").map_axis(axis, |lane| mapping(ArrayView::local(lane))))
    }

    /// Folds along an axis, which the result does not have. Runs where [`Array::mapv`] would.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn fold_axis<B, F>(&self, axis: Axis, init: B, fold: F) -> Array<B, D::Smaller>
    where
        D: RemoveAxis,
        F: FnMut(&B, &A) -> B,
        B: Clone,
    {
        folded(self, axis, init, fold)
    }

    /// The products of each element and all before it along an axis. Lazy arrays multiply floats of 32 bits in 64.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[must_use]
    #[track_caller]
    pub fn cumprod(&self, axis: Axis) -> Array<A, D>
    where
        A: Clone + Mul<Output = A> + MulAssign,
        D: RemoveAxis,
    {
        let (got, ndim) = (axis.index(), self.ndim());
        // In ndarray's words, which programs written for it may look for.
        assert!(got < ndim, "axis is out of bounds for array of dimension {ndim}: got {got}");
        lazily::array(self, |expr| scanned(expr, Scan::Prod, axis), |a| a.cumprod(axis))
    }

    /// The lanes of an axis with their elements arranged so that the `kth` is where sorting would put it, smaller ones
    /// before it and greater ones behind it.
    ///
    /// # Panics
    /// If the axis or the position is out of range.
    #[must_use]
    #[track_caller]
    pub fn partition(&self, kth: usize, axis: Axis) -> Array<A, D>
    where
        A: Clone + Ord + num_traits::Zero,
    {
        Array::local(self.here().partition(kth, axis))
    }
});

on_writable!({ A } {
    /// The array of what `f` gives for a writable reference to each element.
    #[track_caller]
    pub fn map_mut<'r, B, F>(&'r mut self, f: F) -> Array<B, D>
    where
        F: FnMut(&'r mut A) -> B,
        A: 'r,
    {
        Array::local(here(self).map_mut(f))
    }

    /// The array of what `f` gives for a writable view of each lane of an axis, which the result does not have.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn map_axis_mut<'r, B, F>(&'r mut self, axis: Axis, mut mapping: F) -> Array<B, D::Smaller>
    where
        D: RemoveAxis,
        F: FnMut(ArrayViewMut<'r, A, Ix1>) -> B,
        A: 'r,
    {
        Array::local(here(self).map_axis_mut(axis, |lane| mapping(ArrayViewMut::local(lane))))
    }
});

/// # In the memory of the array
///
/// A lazy array has no memory to be reused, and stays lazy: see [`Array::mapv`].
impl<A: Clone, S: Data<Elem = A>, D: Dimension> ArrayBase<S, D, A> {
    /// The array with what `f` gives for each element in its place.
    #[must_use]
    #[track_caller]
    pub fn mapv_into<F: FnMut(A) -> A>(mut self, f: F) -> Self
    where
        S: DataMut,
    {
        self.mapv_inplace(f);
        self
    }

    /// The array of what `f` gives for each element, in the memory of this one where the type is the same.
    #[must_use]
    #[track_caller]
    pub fn mapv_into_any<B: 'static, F: FnMut(A) -> B>(self, f: F) -> Array<B, D>
    where
        S: DataMut,
        A: 'static,
    {
        if self.is_lazy() {
            mapped(&self, f)
        } else {
            Array::local(self.into_owned().into_ndarray().mapv_into_any(f))
        }
    }

    /// Makes every element what `f` gives for it.
    #[track_caller]
    pub fn mapv_inplace<F: FnMut(A) -> A>(&mut self, f: F)
    where
        S: DataMut,
    {
        if S::IS_REPLACED && self.is_lazy() {
            let mapped = mapped(self, f);
            S::replace(self, mapped);
        } else {
            here(self).mapv_inplace(f);
        }
    }
}

/// The elements in this process, for a method that calls its function here.
#[track_caller]
fn brought<'a, A, D: Dimension>(
    source: &'a (impl Source<A, D> + ?Sized),
    method: &str,
) -> &'a ndarray::ArrayRef<A, D> {
    if source.is_unknown() && Session::started().is_some_and(|session| session.is_elsewhere()) {
        closures::warn_of_method(Location::caller(), method);
    }
    source.here()
}

/// What `f` gives for each element: see [`sent`]. Every `mapv` comes through here. What comes of an expression keeps its
/// chunks: whoever chose them wants them.
#[track_caller]
fn mapped<A: Clone, B, D: Dimension, F: FnMut(A) -> B>(
    source: &(impl Source<A, D> + ?Sized),
    f: F,
) -> Array<B, D> {
    let grid = source.node().map(|node| node.expr().grid().clone());
    if let Some(array) = sent(source, |leaf| closures::on_each::<A, B, F>(leaf, &f)) {
        return array;
    }
    let here: &ndarray::ArrayRef<A, D> = source.here();
    let result = Array::local(here.mapv(f));
    match grid {
        Some(grid) if dtype_of::<B>().is_some() => {
            let leaf = or_panic(result.leaf());
            Array::of_expr(or_panic(leaf.on_grid(grid).map_err(Error::from)))
        }
        _ => result,
    }
}

/// An axis folded by `f`: see [`sent`].
#[track_caller]
fn folded<A, B: Clone, D: RemoveAxis, F: FnMut(&B, &A) -> B>(
    source: &(impl Source<A, D> + ?Sized),
    axis: Axis,
    init: B,
    f: F,
) -> Array<B, D::Smaller> {
    if let Some(array) = sent(source, |leaf| closures::fold::<A, B, F>(leaf, axis.index(), &f, &init)) {
        return array;
    }
    let here: &ndarray::ArrayRef<A, D> = source.here();
    Array::local(here.fold_axis(axis, init, f))
}

/// What the workers make of an array by a function of the user's, where the array is lazy or large and the function
/// travels; `None` where it is to be called in this process, after a warning if the array must be brought here for it.
#[track_caller]
fn sent<A, D: Dimension, B, E: Dimension>(
    source: &(impl Source<A, D> + ?Sized),
    build: impl FnOnce(&Expr) -> Result<Expr>,
) -> Option<Array<B, E>> {
    if !is_lazy(source) || dtype_of::<B>().is_none() {
        return None;
    }
    match build(&or_panic(source.leaf())) {
        Ok(expr) => Some(Array::of_expr(expr)),
        Err(Error::Function(why)) => {
            if source.node().is_some_and(|node| !node.is_here()) {
                closures::warn(Location::caller(), &why);
            }
            None
        }
        Err(error) => or_panic(Err(error)),
    }
}
