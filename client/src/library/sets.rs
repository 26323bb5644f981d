//! Arrays as sets of their elements, first positions of distinct ones, and lanes with one element where it is in order.
//!
//! All of it is sorts and what masks choose of sorted elements. Must not know how arrays are sorted.

use super::count::{counted, extracted, is_first};
use super::order::whole;
use super::pick::compressed;
use super::{axis_of, cut, flat};
use crate::array::kinds::on_arrays;
use crate::array::twins::twins;
use crate::array::{Array, Array1, try_persist_all};
use crate::error::Result;
use ndarray::{Axis, Dimension};
use tilework_expr::{BinaryOp, Chunks, Element, Expr, Scalar, SliceArg, UnaryOp};

/// Which of the elements of two sets.
#[derive(Clone, Copy)]
enum Which {
    Both,
    OneAlone,
    FirstAlone,
}

/// The elements of two arrays, each without those that are there again, in order.
fn of_two<A: Element>(a: &Array1<A>, b: &Array1<A>, which: Which) -> Result<Array1<A>> {
    // Of what only the first has there is one element then, of what the other has two or three.
    let parts = match which {
        Which::FirstAlone => vec![a.leaf()?, b.leaf()?, b.leaf()?],
        _ => vec![a.leaf()?, b.leaf()?],
    };
    let all = Expr::concatenate(0, &parts)?;
    if all.is_empty() {
        return Ok(Array::of_expr(all));
    }
    let sorted = Array1::<A>::of_expr(whole(&all, false)?).try_persist()?.leaf()?;
    let first = is_first(&sorted)?;
    let mask = match which {
        Which::Both => first.unary(UnaryOp::Not)?,
        _ => {
            let last = Expr::full(&[1], &Chunks::Auto, Scalar::new(true))?;
            let next = cut(&first, 0, SliceArg::Range { start: 1, end: None, step: 1 })?;
            let next = if next.is_empty() { last } else { Expr::concatenate(0, &[next, last])? };
            first.binary(BinaryOp::And, &next.on_grid(first.grid().clone())?)?
        }
    };
    Ok(Array::of_expr(extracted(&sorted, &mask)?))
}

fn place<A: Element, D: Dimension>(x: &Array<A, D>, axis: Axis, place: isize) -> Result<()> {
    let expr = x.leaf()?;
    let axis = axis_of(&expr, axis)?;
    super::pick::resolved(place, axis, expr.shape()[axis]).map(drop)
}

on_arrays!({ A: Element } {
    twins! {
        /// The distinct elements of two arrays, in order: NumPy's `union1d`. NaN is there once. An array of one axis, lazy but
        /// for the run that finds out how many there are.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let (a, b) = (arr1(&[3, 1, 1]), arr1(&[2, 3]));
        /// assert_eq!(a.union1d(&b).compute(), ndarray::arr1(&[1, 2, 3]));
        /// assert_eq!(a.intersect1d(&b).compute(), ndarray::arr1(&[3]));
        /// assert_eq!(a.setdiff1d(&b).compute(), ndarray::arr1(&[1]));
        /// assert_eq!(a.setxor1d(&b).compute(), ndarray::arr1(&[1, 2]));
        /// ```
        union1d, try_union1d [E: Dimension] (&self, other: &Array<A, E>) -> Array1<A>,
        errors "A failed run.",
        {
            let all = Expr::concatenate(0, &[flat(&self.leaf()?)?, flat(&other.leaf()?)?])?;
            Array1::<A>::of_expr(all).try_unique()
        }

        /// The distinct elements that both arrays have, in order: NumPy's `intersect1d`, but that NaN is equal to itself.
        intersect1d, try_intersect1d [E: Dimension] (&self, other: &Array<A, E>) -> Array1<A>,
        errors "A failed run.",
        { of_two(&self.try_unique()?, &other.try_unique()?, Which::Both) }

        /// The distinct elements that `other` does not have, in order: NumPy's `setdiff1d`, but that NaN is equal to itself.
        setdiff1d, try_setdiff1d [E: Dimension] (&self, other: &Array<A, E>) -> Array1<A>,
        errors "A failed run.",
        { of_two(&self.try_unique()?, &other.try_unique()?, Which::FirstAlone) }

        /// The distinct elements that one of both arrays has alone, in order: NumPy's `setxor1d`, but that NaN is equal to
        /// itself.
        setxor1d, try_setxor1d [E: Dimension] (&self, other: &Array<A, E>) -> Array1<A>,
        errors "A failed run.",
        { of_two(&self.try_unique()?, &other.try_unique()?, Which::OneAlone) }

        /// The distinct elements as [`unique`](Self::unique) gives them, and the row-major position of the first of each:
        /// `np.unique(x, return_index=True)`.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let (values, first) = arr1(&[5, 3, 5, 3]).unique_index();
        /// assert_eq!(values.compute(), ndarray::arr1(&[3, 5]));
        /// assert_eq!(first.compute(), ndarray::arr1(&[1, 0]));
        /// ```
        unique_index, try_unique_index [] (&self) -> (Array1<A>, Array1<u64>),
        errors "A failed run.",
        {
            let all = flat(&self.leaf()?)?;
            let sorted = Array1::<A>::of_expr(whole(&all, false)?);
            let order = Array1::<u64>::of_expr(whole(&all, true)?);
            if all.is_empty() {
                return Ok((sorted, order));
            }
            let (sorted, order) = try_persist_all(&(&sorted, &order))?;
            let sorted = sorted.leaf()?;
            let order = order.leaf()?.on_grid(sorted.grid().clone())?;
            let first = is_first(&sorted)?;
            let lens = counted(&first)?;
            Ok((Array::of_expr(compressed(&sorted, 0, &first, &lens)?), Array::of_expr(compressed(&order, 0, &first, &lens)?)))
        }

        /// Positions along an axis of which the one at place `kth` is that of the element that stands there in order, with none
        /// greater before it and none less behind, as NumPy's `argpartition` has it: all are in order, by
        /// [`argsort`](Self::argsort). A lazy array. [`partition`](Self::partition), which is ndarray's, has the elements.
        argpartition, try_argpartition [] (&self, axis: Axis, kth: isize) -> Array<u64, D>,
        errors "An axis out of range; a place beyond it.",
        { place(&Array::<A, D>::of_expr(self.leaf()?), axis, kth)?; self.try_argsort(axis) }
    }
});
