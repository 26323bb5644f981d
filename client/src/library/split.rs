//! Arrays taken apart along an axis, and put together from blocks.
//!
//! All of it is slices and arrays put after one another: nothing here has a function of its own.

use super::{axis_of, cut};
use crate::array::Array;
use crate::array::kinds::on_arrays;
use crate::array::twins::twins;
use crate::error::{Result, or_panic};
use ndarray::{Axis, RemoveAxis};
use tilework_expr::{Element, Expr, ExprError, SliceArg};

/// Where an array is taken apart along an axis: into so many parts, or before these positions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sections {
    /// So many parts.
    Parts(usize),
    /// Parts that begin at 0 and at each of these. What lies beyond the end begins there, and a part that would end before
    /// it begins is empty.
    At(Vec<usize>),
}

impl From<usize> for Sections {
    fn from(n: usize) -> Sections {
        Sections::Parts(n)
    }
}

impl From<Vec<usize>> for Sections {
    fn from(at: Vec<usize>) -> Sections {
        Sections::At(at)
    }
}

impl From<&[usize]> for Sections {
    fn from(at: &[usize]) -> Sections {
        Sections::At(at.to_vec())
    }
}

impl<const N: usize> From<[usize; N]> for Sections {
    fn from(at: [usize; N]) -> Sections {
        Sections::At(at.to_vec())
    }
}

impl Sections {
    /// The first position of each part of an axis of `len`, and its end.
    fn ranges(&self, len: usize) -> Result<Vec<(usize, usize)>> {
        match self {
            Sections::Parts(0) => {
                let expected = "at least one";
                Err(ExprError::Parameter { what: "number of parts", got: "0".into(), expected }.into())
            }
            Sections::Parts(n) => {
                let at = |i: usize| len / n * i + i.min(len % n);
                Ok((0..*n).map(|i| (at(i), at(i + 1))).collect())
            }
            Sections::At(at) => {
                let starts = std::iter::once(0).chain(at.iter().map(|&at| at.min(len)));
                let ends = at.iter().map(|&at| at.min(len)).chain(std::iter::once(len));
                Ok(starts.zip(ends).map(|(start, end)| (start, end.max(start))).collect())
            }
        }
    }

    /// That parts are all as long, where their number is given.
    fn even(&self, len: usize) -> Result<()> {
        match self {
            Sections::Parts(n) if *n > 0 && !len.is_multiple_of(*n) => {
                let got = format!("{n} of {len} positions");
                let expected = "a number that the length is a multiple of: `array_split` takes any";
                Err(ExprError::Parameter { what: "number of parts", got, expected }.into())
            }
            _ => Ok(()),
        }
    }
}

fn parts<A: Element, D: RemoveAxis>(
    expr: &Expr,
    axis: Axis,
    sections: &Sections,
) -> Result<Vec<Array<A, D>>> {
    let axis = axis_of(expr, axis)?;
    let of = |(start, end): (usize, usize)| {
        let range = SliceArg::Range { start: start as isize, end: Some(end as isize), step: 1 };
        Ok(Array::of_expr(cut(expr, axis, range)?))
    };
    sections.ranges(expr.shape()[axis])?.into_iter().map(of).collect()
}

fn even_parts<A: Element, D: RemoveAxis>(
    expr: &Expr,
    axis: Axis,
    sections: &Sections,
) -> Result<Vec<Array<A, D>>> {
    sections.even(expr.shape()[axis_of(expr, axis)?])?;
    parts(expr, axis, sections)
}

on_arrays!({ A: Element } {
    twins! {
        /// The array in parts along an axis: so many, the first ones one longer where it does not come out even, or those
        /// that begin at 0 and at each of the positions. Lazy arrays of the same dtype; nothing is copied.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr1(&[1, 2, 3, 4, 5]);
        /// let parts = x.array_split(Axis(0), 2);
        /// assert_eq!(parts[0].compute(), ndarray::arr1(&[1, 2, 3]));
        /// let parts = x.array_split(Axis(0), [1, 4]);
        /// assert_eq!(parts[1].compute(), ndarray::arr1(&[2, 3, 4]));
        /// ```
        array_split, try_array_split [] (&self, axis: Axis, sections: impl Into<Sections>) -> Vec<Array<A, D>>
        where { D: RemoveAxis },
        errors "An axis out of range; no parts.",
        { parts(&self.leaf()?, axis, &sections.into()) }

        /// As [`array_split`](Self::array_split), of parts that are all as long where their number is given: NumPy's `split`.
        split, try_split [] (&self, axis: Axis, sections: impl Into<Sections>) -> Vec<Array<A, D>>
        where { D: RemoveAxis },
        errors "An axis out of range; no parts; a length that is no multiple of their number.",
        { even_parts(&self.leaf()?, axis, &sections.into()) }

        /// [`split`](Self::split) along the rows: axis 0 of an array of two or more axes.
        vsplit, try_vsplit [] (&self, sections: impl Into<Sections>) -> Vec<Array<A, D>> where { D: RemoveAxis },
        errors "Fewer than two axes; no parts; a length that is no multiple of their number.",
        {
            let expr = self.leaf()?;
            axis_of(&expr, Axis(1))?;
            even_parts(&expr, Axis(0), &sections.into())
        }

        /// [`split`](Self::split) along the columns: axis 1, or the only axis.
        hsplit, try_hsplit [] (&self, sections: impl Into<Sections>) -> Vec<Array<A, D>> where { D: RemoveAxis },
        errors "No axis; no parts; a length that is no multiple of their number.",
        {
            let expr = self.leaf()?;
            even_parts(&expr, Axis(usize::from(expr.ndim() != 1)), &sections.into())
        }

        /// [`split`](Self::split) along axis 2.
        dsplit, try_dsplit [] (&self, sections: impl Into<Sections>) -> Vec<Array<A, D>> where { D: RemoveAxis },
        errors "Fewer than three axes; no parts; a length that is no multiple of their number.",
        { even_parts(&self.leaf()?, Axis(2), &sections.into()) }
    }
});

/// An array of blocks in rows: those of a row one after another along the last axis, the rows along the one before it, as
/// NumPy's `block`. A lazy array; nothing is copied before it is computed.
///
/// ```
/// use tilework::block;
/// use tilework::prelude::*;
///
/// let (a, b) = (Array2::<i32>::zeros((1, 1)), Array2::<i32>::ones((1, 2)));
/// let x = block(&[&[&a, &b], &[&b, &a]]);
/// assert_eq!(x.compute(), ndarray::arr2(&[[0, 1, 1], [1, 1, 0]]));
/// ```
///
/// # Panics
/// Where [`try_block`] returns an error.
#[must_use]
#[track_caller]
pub fn block<A: Element, D: RemoveAxis>(rows: &[&[&Array<A, D>]]) -> Array<A, D> {
    or_panic(try_block(rows))
}

/// [`block`] that returns what goes wrong.
///
/// # Errors
/// No rows, or one without blocks; blocks of fewer than two axes where there are several rows; lengths that differ along
/// other axes.
pub fn try_block<A: Element, D: RemoveAxis>(rows: &[&[&Array<A, D>]]) -> Result<Array<A, D>> {
    let row = |blocks: &&[&Array<A, D>]| -> Result<Expr> {
        let exprs = blocks.iter().map(|block| block.leaf()).collect::<Result<Vec<_>>>()?;
        let ndim = exprs.first().map_or(1, Expr::ndim);
        Ok(Expr::concatenate(ndim.saturating_sub(1), &exprs)?)
    };
    let rows = rows.iter().map(row).collect::<Result<Vec<_>>>()?;
    if let [only] = &rows[..] {
        return Ok(Array::of_expr(only.clone()));
    }
    let ndim = rows.first().map_or(2, Expr::ndim);
    let axis = ndim.checked_sub(2).ok_or(ExprError::AxisOutOfRange { axis: 1, ndim })?;
    Ok(Array::of_expr(Expr::concatenate(axis, &rows)?))
}
