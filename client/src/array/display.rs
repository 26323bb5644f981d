//! Arrays as text: as ndarray prints them. A large array that is not computed is described instead.

use super::kind::source::Source;
use super::kinds::on_arrays;
use super::{ArrayBase, ArrayRef, Data, EAGER_BYTES_MAX};
use ndarray::Dimension;
use std::fmt;
use tilework_expr::{AxisGrid, Element, Expr};

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

/// ndarray's text of the elements; where they cannot be computed, the description and the error.
fn text<A, D: Dimension>(
    source: &(impl Source<A, D> + ?Sized),
    f: &mut fmt::Formatter<'_>,
    print: impl FnOnce(&ndarray::ArrayRef<A, D>, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    if let Some(node) = source.node()
        && let Err(error) = node.try_here()
    {
        return write!(f, "{}: {error}", describe(node.expr()));
    }
    print(source.here(), f)
}

macro_rules! format_of {
    (@debug [$($g:tt)*] $kind:ty) => {
        /// As ndarray prints the elements; a lazy array is computed, but a large one, which is described.
        impl<A: fmt::Debug, D: Dimension, $($g)*> fmt::Debug for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match only_described(self) {
                    Some(description) => f.write_str(&description),
                    None => text(self, f, |a, f| fmt::Debug::fmt(a, f)),
                }
            }
        }
    };
    ($format:ident [$($g:tt)*] $kind:ty) => {
        /// As ndarray prints the elements; a lazy array is computed.
        impl<A: fmt::$format, D: Dimension, $($g)*> fmt::$format for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                text(self, f, |a, f| fmt::$format::fmt(a, f))
            }
        }
    };
}
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
