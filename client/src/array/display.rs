//! Arrays as text: as ndarray prints them. Of a large array that is not computed, what ndarray leaves out is not
//! computed either; its `Debug` is a description.

use super::kind::node::{Node, computed};
use super::kind::source::Source;
use super::kinds::on_arrays;
use super::{ArrayBase, ArrayRef, Data, EAGER_BYTES_MAX};
use crate::error::Result;
use ndarray::Dimension;
use std::cell::RefCell;
use std::fmt;
use tilework_expr::{Element, Expr, SliceArg};
use tilework_plan::AxisGrid;

/// Axes that are cut in the middle, at most: of more, as many corners would be computed as they have together.
const CUT_AXES_MAX: usize = 6;

/// Shape, element type and chunks of an expression.
fn describe(expr: &Expr) -> String {
    let mut chunks = Vec::new();
    for axis in expr.grid().axes() {
        chunks.push(match axis {
            AxisGrid::Regular { chunk, .. } => (*chunk).min(axis.len()).to_string(),
            AxisGrid::Explicit { .. } => format!("{} of at most {}", axis.n_chunks(), axis.chunk_max()),
        });
    }
    let (n, chunks) = (expr.grid().n_chunks(), chunks.join(", "));
    let plural = if n == 1 { "" } else { "s" };
    format!("Array(shape {:?}, {}, chunks [{chunks}], {n} chunk{plural})", expr.shape(), expr.dtype())
}

on_arrays!({ A: Element } {
    /// Shape, element type and chunks as text. Computes nothing.
    #[must_use]
    pub fn describe(&self) -> String {
        match self.node() {
            Some(node) => describe(node.expr()),
            None => crate::error::or_panic(self.leaf().map(|expr| describe(&expr))),
        }
    }
});

/// The description of what is not computed, if it is too large to be computed for a look at it.
fn only_described<A, D: Dimension>(source: &(impl Source<A, D> + ?Sized)) -> Option<String> {
    let node = source.node().filter(|node| !node.is_here())?;
    let bytes = node.expr().len().saturating_mul(size_of::<A>());
    (bytes > EAGER_BYTES_MAX).then(|| describe(node.expr()))
}

/// Positions at either end of an axis that ndarray prints of a large array, and the length beyond which it leaves
/// out the others, by the axis' place from the last.
fn ends(from_last: usize) -> (isize, usize) {
    if from_last < 2 { (5, 11) } else { (3, 6) }
}

/// What ndarray prints of a large array: the ends of its axes.
fn corners(expr: &Expr) -> Result<Option<Expr>> {
    let (shape, ndim) = (expr.shape(), expr.ndim());
    let cut: Vec<usize> = (0..ndim).filter(|&a| shape[a] > ends(ndim - 1 - a).1).collect();
    if cut.is_empty() || cut.len() > CUT_AXES_MAX {
        return Ok(None);
    }
    // All slices first, so that each corner is computed alone.
    let mut parts = vec![expr.clone()];
    for &axis in &cut {
        let n = ends(ndim - 1 - axis).0;
        let end = |start, end| {
            let mut args = vec![SliceArg::Range { start: 0, end: None, step: 1 }; ndim];
            args[axis] = SliceArg::Range { start, end, step: 1 };
            args
        };
        let ends = [end(0, Some(n)), end(-n, None)];
        let both = parts.iter().flat_map(|part| ends.iter().map(|args| part.slice(args)));
        parts = both.collect::<std::result::Result<_, _>>()?;
    }
    for &axis in cut.iter().rev() {
        let pairs = parts.chunks(2).map(|pair| Expr::concatenate(axis, pair));
        parts = pairs.collect::<std::result::Result<_, _>>()?;
    }
    Ok(parts.pop())
}

/// An element that is another one each time it is printed: the next of a list.
struct Next<'a, A>(RefCell<std::slice::Iter<'a, A>>);

impl<A> Next<'_, A> {
    fn next(&self) -> std::result::Result<&A, fmt::Error> {
        self.0.borrow_mut().next().ok_or(fmt::Error)
    }
}

/// An element that counts how often it is printed.
struct Counted(RefCell<usize>);

impl fmt::Display for Counted {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        *self.0.borrow_mut() += 1;
        Ok(())
    }
}

/// What ndarray prints of a large array that is not computed, in the order in which it does; `None` where the array is
/// to be computed whole.
fn printed<A, D: Dimension>(node: &Node, lens: D) -> Result<Option<Vec<A>>> {
    let bytes = node.expr().len().saturating_mul(size_of::<A>());
    if node.is_here() || bytes <= EAGER_BYTES_MAX {
        return Ok(None);
    }
    let Some(expr) = corners(node.expr())? else { return Ok(None) };
    let counted = Counted(RefCell::default());
    let Some(like) = ndarray::aview0(&counted).broadcast(lens).map(|a| a.to_string()) else {
        return Ok(None);
    };
    drop(like);
    if counted.0.into_inner() != expr.len() {
        return Ok(None);
    }
    Ok(Some(computed(&expr)?.into_vec::<A>()))
}

/// ndarray's text of the elements, which `all` writes of an array and `some` of its shape and those that are printed;
/// where they cannot be computed, the description and the error.
fn text<A, D: Dimension>(
    source: &(impl Source<A, D> + ?Sized),
    f: &mut fmt::Formatter<'_>,
    all: impl FnOnce(&ndarray::ArrayRef<A, D>, &mut fmt::Formatter<'_>) -> fmt::Result,
    some: impl FnOnce(D, &Next<'_, A>, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    if let Some(node) = source.node() {
        let whole = || node.try_here().map(|()| None);
        let values = if f.alternate() { Ok(None) } else { printed(node, source.lens()) };
        match values.and_then(|values| values.map_or_else(whole, |values| Ok(Some(values)))) {
            Ok(None) => {}
            Ok(Some(values)) => return some(source.lens(), &Next(RefCell::new(values.iter())), f),
            Err(error) => return write!(f, "{}: {error}", describe(node.expr())),
        }
    }
    all(source.here(), f)
}

macro_rules! format_of {
    (@debug [$($g:tt)*] $kind:ty) => {
        /// As ndarray prints the elements; a lazy array is computed, but a large one, which is described.
        impl<A: fmt::Debug, D: Dimension, $($g)*> fmt::Debug for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match only_described(self) {
                    Some(description) => f.write_str(&description),
                    None => text(self, f, |a, f| fmt::Debug::fmt(a, f), |_, _, _| Err(fmt::Error)),
                }
            }
        }
    };
    ($format:ident [$($g:tt)*] $kind:ty) => {
        /// As ndarray prints the elements; a lazy array is computed, but of a large one only what is printed.
        impl<A: fmt::$format, D: Dimension, $($g)*> fmt::$format for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let some = |lens, next: &Next<'_, A>, f: &mut fmt::Formatter<'_>| {
                    let next = ndarray::aview0(next);
                    let like = next.broadcast::<D>(lens).ok_or(fmt::Error)?;
                    fmt::$format::fmt(&like, f)
                };
                text(self, f, |a, f| fmt::$format::fmt(a, f), some)
            }
        }
    };
}
macro_rules! next_as {
    ($($format:ident)*) => { $(
        impl<A: fmt::$format> fmt::$format for Next<'_, A> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::$format::fmt(self.next()?, f)
            }
        }
    )* };
}
next_as!(Display LowerExp UpperExp LowerHex Binary);

macro_rules! formats_of_kinds {
    ($($g:tt $kind:ty;)*) => { $(
        format_of! { Display $g $kind }
        format_of! { LowerExp $g $kind }
        format_of! { UpperExp $g $kind }
        format_of! { LowerHex $g $kind }
        format_of! { Binary $g $kind }
        format_of! { @debug $g $kind }
    )* };
}
formats_of_kinds! {
    [S: Data<Elem = A>] ArrayBase<S, D, A>;
    [] ArrayRef<A, D>;
}
