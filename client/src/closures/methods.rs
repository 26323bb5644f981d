//! The methods of arrays that take functions: ndarray's, which call a function that does not travel in this process;
//! and ours, which refuse it.
//!
//! Must not know how a function travels.

use super::blocks::{self, Block, BlockWith, Boundaries, Depths, Fold, FoldWith};
use super::elements::{self, ByRef, ByValue, Call, With};
use super::here;
use super::params::Params;
use super::traced::{self, Traced};
use super::zip::each;
use crate::array::Array;
use crate::error::{Error, Result, or_panic};
use ndarray::{ArrayView, Axis, Dimension, RemoveAxis};
use std::panic::Location;
use tilework_expr::Element;

/// # Functions of your own
///
/// A function that captures nothing (a closure without captured variables, `f64::sqrt`, a function's name) runs on
/// the workers, if they are processes of this same program, as those of an embedded session, of
/// [`Session::processes`](crate::Session::processes), of `tilework worker --program ./my_program` and of the script for
/// Slurm are. Where workers of other programs are among them, it runs on those that have it; where there are only such, a
/// computation with it fails with an error that says how to start others. It should depend on its arguments alone: it runs on several threads and processes at once, in
/// any order, again where a chunk was lost, and statics have on each worker the values that they start with.
///
/// Of ndarray's methods, [`mapv`](Array::mapv) and its like run on the workers where the array is lazy or large.
/// They, [`Array::try_mapv`], [`Array::try_map`] and [`Array::try_fold_axis`] call a function that captures variables
/// in this process: they compute the array at once, and say so on stderr, once for each line of the program. The other
/// methods refuse it; they take values as parameters that travel with the function: see [`Params`].
impl<A: Element, D: Dimension> Array<A, D> {
    /// [`Array::mapv`] as an expression, also of an array that is here; returns what goes wrong.
    ///
    /// # Errors
    /// A failed computation, where the function is called in this process.
    #[track_caller]
    pub fn try_mapv<B: Element, F: FnMut(A) -> B>(&self, f: F) -> Result<Array<B, D>> {
        self.one_by_one::<ByValue, F, B>(f, Location::caller())
    }

    /// What `f` gives for a reference to each element, on the workers.
    ///
    /// # Errors
    /// A failed computation, where the function is called in this process.
    #[track_caller]
    pub fn try_map<B: Element, F: FnMut(&A) -> B>(&self, f: F) -> Result<Array<B, D>> {
        self.one_by_one::<ByRef, F, B>(f, Location::caller())
    }

    fn one_by_one<S, F, B>(&self, f: F, at: &'static Location<'static>) -> Result<Array<B, D>>
    where
        S: Call<F, (A,), (), B>,
        B: Element,
    {
        Ok(Array::of_expr(each::<S, (A,), F, B>(std::slice::from_ref(&self.leaf()?), f, at)?))
    }

    /// [`Array::fold_axis`] on the workers, which returns what goes wrong: from `init`, in the order of the positions,
    /// `f` makes a value and an element the next value. An axis in several chunks is put into one first.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let digits = arr2(&[[1, 2, 3], [4, 5, 6]]);
    /// let numbers = digits.try_fold_axis(Axis(1), 0, |number, digit| number * 10 + digit)?;
    /// assert_eq!(numbers.compute(), ndarray::arr1(&[123, 456]));
    /// # Ok::<(), tilework::Error>(())
    /// ```
    ///
    /// # Errors
    /// An axis out of range; a failed computation, where the function is called in this process.
    #[track_caller]
    pub fn try_fold_axis<B: Element, F: FnMut(&B, &A) -> B>(
        &self,
        axis: Axis,
        init: B,
        f: F,
    ) -> Result<Array<B, D::Smaller>>
    where
        D: RemoveAxis,
    {
        match blocks::fold_axis::<Fold, F, A, (), B>(&self.leaf()?, axis.index(), &f, (&init, ())) {
            Err(Error::Function(why)) => {
                here::warn(Location::caller(), &why);
                Ok(Array::from(self.try_compute()?.fold_axis(axis, init, f)))
            }
            result => Ok(Array::of_expr(result?)),
        }
    }
}

/// Stops the build of a program whose function captures variables.
macro_rules! captures_nothing {
    ($f:ty, $with:literal) => {
        const {
            assert!(
                size_of::<$f>() == 0,
                concat!("this function captures variables, which stay in this process: pass the values as parameters, with `", $with, "`")
            )
        }
    };
}

/// # Functions of your own, of elements and chunks
impl<A: Element, D: Dimension> Array<A, D> {
    /// What `f` gives for each element and the parameters, which travel with it: [`Array::mapv`] for a function that
    /// needs values of this process.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let (scale, offset) = (2.5, 1.0);
    /// let x = arr1(&[1.0, 2.0]);
    /// let y = x.mapv_with((scale, offset), |x, &(scale, offset)| x * scale + offset);
    /// assert_eq!(y.compute(), ndarray::arr1(&[3.5, 6.0]));
    /// ```
    ///
    /// A function that captures variables does not build:
    ///
    /// ```compile_fail
    /// use tilework::prelude::*;
    ///
    /// let scale = 2.5;
    /// let y = arr1(&[1.0, 2.0]).mapv_with((), move |x, ()| x * scale);
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_mapv_with`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn mapv_with<P: Params, B: Element, F>(&self, params: P, f: F) -> Array<B, D>
    where
        F: Fn(A, &P) -> B + Send + Sync + 'static,
    {
        captures_nothing!(F, "mapv_with(params, |x, params| ..)");
        or_panic(self.try_mapv_with(params, f))
    }

    /// [`Array::mapv_with`] that returns what goes wrong.
    ///
    /// # Errors
    /// [`Error::Function`] for a function that captures variables.
    pub fn try_mapv_with<P: Params, B: Element, F>(&self, params: P, f: F) -> Result<Array<B, D>>
    where
        F: Fn(A, &P) -> B + Send + Sync + 'static,
    {
        let arrays = [self.leaf()?];
        Ok(Array::of_expr(elements::apply::<With, F, (A,), P, B>(&arrays, &f, &params)?))
    }

    /// As [`Array::fold_axis`], with parameters that travel with the function.
    ///
    /// # Panics
    /// Where [`Array::try_fold_axis_with`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn fold_axis_with<P: Params, B: Element, F>(
        &self,
        axis: Axis,
        init: B,
        params: P,
        f: F,
    ) -> Array<B, D::Smaller>
    where
        D: RemoveAxis,
        F: Fn(&B, &A, &P) -> B + Send + Sync + 'static,
    {
        captures_nothing!(F, "fold_axis_with(axis, init, params, |value, x, params| ..)");
        or_panic(self.try_fold_axis_with(axis, init, params, f))
    }

    /// [`Array::fold_axis_with`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range; [`Error::Function`] for a function that captures variables.
    pub fn try_fold_axis_with<P: Params, B: Element, F>(
        &self,
        axis: Axis,
        init: B,
        params: P,
        f: F,
    ) -> Result<Array<B, D::Smaller>>
    where
        D: RemoveAxis,
        F: Fn(&B, &A, &P) -> B + Send + Sync + 'static,
    {
        let start = (&init, params);
        Ok(Array::of_expr(blocks::fold_axis::<FoldWith, F, A, P, B>(&self.leaf()?, axis.index(), &f, start)?))
    }

    /// The chunks that `f` gives for the chunks of this array, of the same shapes.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = Array::from_vec_chunked(vec![3, 1, 2, 9, 7, 8], 3);
    /// let sorted_chunks = x.map_blocks(|block| {
    ///     let mut values = block.to_vec();
    ///     values.sort();
    ///     values.into()
    /// });
    /// assert_eq!(sorted_chunks.compute(), ndarray::arr1(&[1, 2, 3, 7, 8, 9]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_map_blocks`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn map_blocks<B: Element, F>(&self, f: F) -> Array<B, D>
    where
        F: Fn(ArrayView<'_, A, D>) -> ndarray::Array<B, D> + Send + Sync + 'static,
    {
        captures_nothing!(F, "map_blocks_with(params, |block, params| ..)");
        or_panic(self.try_map_blocks(f))
    }

    /// [`Array::map_blocks`] that returns what goes wrong.
    ///
    /// # Errors
    /// [`Error::Function`] for a function that captures variables.
    pub fn try_map_blocks<B: Element, F>(&self, f: F) -> Result<Array<B, D>>
    where
        F: Fn(ArrayView<'_, A, D>) -> ndarray::Array<B, D> + Send + Sync + 'static,
    {
        Ok(Array::of_expr(blocks::map_blocks::<Block, F, A, D, (), B>(&self.leaf()?, &f, &())?))
    }

    /// As [`Array::map_blocks`], with parameters that travel with the function.
    ///
    /// # Panics
    /// Where [`Array::try_map_blocks_with`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn map_blocks_with<P: Params, B: Element, F>(&self, params: P, f: F) -> Array<B, D>
    where
        F: Fn(ArrayView<'_, A, D>, &P) -> ndarray::Array<B, D> + Send + Sync + 'static,
    {
        captures_nothing!(F, "map_blocks_with(params, |block, params| ..)");
        or_panic(self.try_map_blocks_with(params, f))
    }

    /// [`Array::map_blocks_with`] that returns what goes wrong.
    ///
    /// # Errors
    /// [`Error::Function`] for a function that captures variables.
    pub fn try_map_blocks_with<P: Params, B: Element, F>(&self, params: P, f: F) -> Result<Array<B, D>>
    where
        F: Fn(ArrayView<'_, A, D>, &P) -> ndarray::Array<B, D> + Send + Sync + 'static,
    {
        Ok(Array::of_expr(blocks::map_blocks::<BlockWith, F, A, D, P, B>(&self.leaf()?, &f, &params)?))
    }

    /// The chunks that `f` gives for the chunks of this array with the elements around them: `depth` positions of the
    /// neighbours on either side along each axis, and beyond the array's edges what `boundary` says. With
    /// [`Boundary::None`](crate::Boundary::None) a block at an edge is smaller there.
    ///
    /// `f` returns a block of the shape that it was given, of which the part around the chunk is left out, or the
    /// chunk alone. Only the elements around a chunk travel, and chunks may be smaller than the depth.
    ///
    /// ```
    /// use tilework::prelude::*;
    /// use tilework::Boundary;
    ///
    /// let x = Array::from_vec_chunked(vec![1.0, 2.0, 4.0, 8.0], 2);
    /// let steps = x.map_overlap(1, Boundary::Periodic, |x| &x.slice(s![2..]) - &x.slice(s![..-2]));
    /// assert_eq!(steps.compute(), ndarray::arr1(&[-6.0, 3.0, 6.0, -3.0]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_map_overlap`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn map_overlap<B: Element, F>(
        &self,
        depth: impl Into<Depths>,
        boundary: impl Into<Boundaries>,
        f: F,
    ) -> Array<B, D>
    where
        F: Fn(ArrayView<'_, A, D>) -> ndarray::Array<B, D> + Send + Sync + 'static,
    {
        captures_nothing!(F, "map_overlap_with(depth, boundary, params, |block, params| ..)");
        or_panic(self.try_map_overlap(depth, boundary, f))
    }

    /// [`Array::map_overlap`] that returns what goes wrong.
    ///
    /// # Errors
    /// A depth beyond the length of its axis; another number of depths or boundaries than of axes; a constant of
    /// another type; [`Error::Function`] for a function that captures variables.
    pub fn try_map_overlap<B: Element, F>(
        &self,
        depth: impl Into<Depths>,
        boundary: impl Into<Boundaries>,
        f: F,
    ) -> Result<Array<B, D>>
    where
        F: Fn(ArrayView<'_, A, D>) -> ndarray::Array<B, D> + Send + Sync + 'static,
    {
        let halo = (depth.into(), boundary.into());
        Ok(Array::of_expr(blocks::map_overlap::<Block, F, A, D, (), B>(&self.leaf()?, halo, &f, &())?))
    }

    /// As [`Array::map_overlap`], with parameters that travel with the function.
    ///
    /// # Panics
    /// Where [`Array::try_map_overlap_with`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn map_overlap_with<P: Params, B: Element, F>(
        &self,
        depth: impl Into<Depths>,
        boundary: impl Into<Boundaries>,
        params: P,
        f: F,
    ) -> Array<B, D>
    where
        F: Fn(ArrayView<'_, A, D>, &P) -> ndarray::Array<B, D> + Send + Sync + 'static,
    {
        captures_nothing!(F, "map_overlap_with(depth, boundary, params, |block, params| ..)");
        or_panic(self.try_map_overlap_with(depth, boundary, params, f))
    }

    /// [`Array::map_overlap_with`] that returns what goes wrong.
    ///
    /// # Errors
    /// As [`Array::try_map_overlap`].
    pub fn try_map_overlap_with<P: Params, B: Element, F>(
        &self,
        depth: impl Into<Depths>,
        boundary: impl Into<Boundaries>,
        params: P,
        f: F,
    ) -> Result<Array<B, D>>
    where
        F: Fn(ArrayView<'_, A, D>, &P) -> ndarray::Array<B, D> + Send + Sync + 'static,
    {
        let halo = (depth.into(), boundary.into());
        Ok(Array::of_expr(blocks::map_overlap::<BlockWith, F, A, D, P, B>(&self.leaf()?, halo, &f, &params)?))
    }

    /// What a traced function gives for each element: `f` is called once, here, with a value that stands for any
    /// element and records what is done with it; captured values become constants. What is recorded runs on any
    /// worker, also on those of another executable, together with the operations around it. See [`Traced`] for what
    /// can be done with the value.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let slope = 0.1;
    /// let x = arr1(&[-2.0, 3.0]);
    /// let y = x.map_expr(|x| x.gt(0.0).select(x, x * slope));
    /// assert_eq!(y.compute(), ndarray::arr1(&[-0.2, 3.0]));
    /// ```
    ///
    /// # Panics
    /// If `f` returns a value that another call of a traced function recorded.
    #[must_use]
    #[track_caller]
    pub fn map_expr<B: Element>(&self, f: impl FnOnce(Traced<A>) -> Traced<B>) -> Array<B, D> {
        Array::of_expr(or_panic(self.leaf().and_then(|expr| traced::trace(&expr, f))))
    }
}
