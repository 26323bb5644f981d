//! Cholesky's factor and LU with partial pivoting, block of columns by block of columns.
//!
//! Knows of which steps they are made: some nodes for each block, and as many tasks as there are chunks below and beside it. Must
//! not know how a block is factored.

use super::stages::{
    ALL, beside, check_square, column_blocks, columns, lens, own, part, rows, step, triangle, whole,
};
use super::{Field, constant};
use crate::array::{Array, Array1, Array2, ArrayBase, Data};
use crate::error::{Result, or_panic};
use ndarray::Ix2;
use tilework_expr::{AxisChunks, BinaryOp, Chunks, DType, Expr, ExprError, SliceArg};
use tilework_kernels::library::linalg::{LU_COLUMNS, Step, lu_rows_max};
use tilework_plan::{AxisGrid, Grid};

/// The lower triangle whose product with its adjoint a matrix is.
pub(super) fn cholesky(a: &Expr) -> Result<Expr> {
    let n = check_square("the matrix of a Cholesky factor", a)?;
    if n == 0 {
        return Ok(a.clone());
    }
    let cut = a.grid().axes()[0].clone();
    let mut rest = a.on_grid(Grid::new(vec![cut.clone(), cut.clone()]))?;
    let mut made = Vec::new();
    for range in (0..cut.n_chunks()).map(|i| cut.range(i)) {
        let (width, left) = (range.len(), n - range.start);
        let square = [whole(width), whole(width)];
        let corner = part(&rest, 0..width, 0..width)?;
        let corner = step((Step::Cholesky, &[range.start]), &[(&corner, &[ALL; 2])], (&square, &square))?;
        let mut column = vec![constant(&[range.start, width], a.dtype(), 0.0)?, corner.clone()];
        if left > width {
            let below = part(&rest, width..left, 0..width)?;
            let grid = [below.grid().axes()[0].clone(), whole(width)];
            let inputs = [(&corner, &[ALL; 2][..]), (&below, &[own(0), own(1)])];
            let below = step((Step::CholeskyBelow, &[]), &inputs, (&grid, &grid))?;
            let others = part(&rest, width..left, width..left)?;
            let axes = others.grid().axes().to_vec();
            let inputs =
                [(&others, &[own(0), own(1)][..]), (&below, &[own(0), ALL]), (&below, &[own(1), ALL])];
            rest = step((Step::CholeskyUpdate, &[]), &inputs, (&axes, &axes))?;
            column.push(below);
        }
        made.push(beside(0, &column)?);
    }
    beside(1, &made)
}

/// A matrix in the middle of being factored, and what is left of another one beside it.
pub(super) struct Lu {
    /// Packed blocks of columns.
    packed: Vec<Expr>,
    /// Their widths.
    widths: Vec<usize>,
    /// Rows of U, each without the zeros before its diagonal.
    upper: Vec<Expr>,
    /// Of what is beside the matrix, solved by L.
    pub beside: Vec<Expr>,
    /// The numbers of the rows in their order, of which each was the matrix's at first.
    order: Vec<Expr>,
}

/// LU of a matrix, and what that makes of another one of as many rows.
pub(super) fn lu(a: &Expr, right: Option<&Expr>) -> Result<Lu> {
    let ((m, n), dtype) = (lens(a), a.dtype());
    let (k, most) = (m.min(n), lu_rows_max(dtype));
    if m > most {
        let (what, got) = ("rows of a matrix for LU", m.to_string());
        let expected = "at most 2^24 of 32-bit floats, 2^53 of others";
        return Err(ExprError::Parameter { what, got, expected }.into());
    }
    let blocks = column_blocks(a, k);
    let mut rest = a.on_grid(Grid::new(vec![whole(m), AxisGrid::explicit(&blocks)]))?;
    let whole_columns = |b: &Expr| -> Result<Expr> {
        let cut = AxisGrid::explicit(&column_blocks(b, 0));
        Ok(b.on_grid(Grid::new(vec![whole(m), cut]))?)
    };
    let mut other = right.map(whole_columns).transpose()?;
    let mut numbers = Expr::index(&[m, 1], &Chunks::Axes(vec![AxisChunks::Len(-1); 2]), 0)?.cast(dtype)?;
    let mut made = Lu { packed: vec![], widths: vec![], upper: vec![], beside: vec![], order: vec![] };
    let mut first = 0;
    for (i, &width) in blocks.iter().enumerate() {
        if first == k {
            break;
        }
        let height = m - first;
        let panel = columns(&rest, 0..width)?;
        let (grid, out) = ([whole(height), whole(width)], [whole(height), whole(width + LU_COLUMNS)]);
        let inputs = [(&panel, &[ALL; 2][..]), (&numbers, &[ALL; 2])];
        let packed = step((Step::LuPanel, &[]), &inputs, (&grid, &out))?;
        let update = |of: &Expr| -> Result<Expr> {
            let grid = [whole(height), of.grid().axes()[1].clone()];
            step((Step::LuUpdate, &[]), &[(&packed, &[ALL; 2][..]), (of, &[own(0), own(1)])], (&grid, &grid))
        };
        let mut strip = vec![part(&packed, 0..width, 0..width)?];
        if i + 1 < blocks.len() {
            let updated = update(&columns(&rest, width..rest.shape()[1])?)?;
            strip.push(rows(&updated, 0..width)?);
            rest = rows(&updated, width..height)?;
        }
        if let Some(of) = &other {
            let updated = update(of)?;
            made.beside.push(rows(&updated, 0..width)?);
            other = Some(rows(&updated, width..height)?);
        }
        let ordered = columns(&packed, width + 1..width + 2)?;
        made.order.push(rows(&ordered, 0..width)?);
        numbers = rows(&ordered, width..height)?;
        made.upper.push(beside(1, &strip)?);
        made.packed.push(packed);
        made.widths.push(width);
        first += width;
    }
    made.order.push(numbers);
    Ok(made)
}

impl Lu {
    /// U with what is below its diagonal, which is of L.
    pub(super) fn upper(&self) -> Result<Expr> {
        let mut first = 0;
        let strips = self.upper.iter().zip(&self.widths).map(|(strip, width)| {
            let zeros = constant(&[*width, first], strip.dtype(), 0.0)?;
            first += width;
            beside(1, &[zeros, strip.clone()])
        });
        beside(0, &strips.collect::<Result<Vec<_>>>()?)
    }

    /// The order of the rows, as one column.
    fn order(&self) -> Result<Expr> {
        beside(0, &self.order)
    }

    fn lower(&self, m: usize) -> Result<Expr> {
        let (order, mut first) = (self.order()?, 0);
        let made = self.packed.iter().zip(&self.widths).map(|(packed, &width)| {
            let numbers = rows(&order, first..m)?;
            let grid = [whole(m - first), whole(width)];
            let inputs = [(packed, &[ALL; 2][..]), (&numbers, &[ALL; 2])];
            let below = step((Step::LuLower, &[]), &inputs, (&grid, &grid))?;
            let zeros = constant(&[first, width], packed.dtype(), 0.0)?;
            first += width;
            beside(0, &[zeros, below])
        });
        beside(1, &made.collect::<Result<Vec<_>>>()?)
    }

    /// Of each block of columns the sign of its determinant, the logarithm of its absolute value, and itself.
    pub(super) fn determinants(&self) -> Result<Expr> {
        let (one, three) = ([whole(1), whole(1)], [whole(1), whole(3)]);
        let each = |packed: &Expr| step((Step::LuDet, &[]), &[(packed, &[ALL; 2])], (&one, &three));
        beside(0, &self.packed.iter().map(each).collect::<Result<Vec<_>>>()?)
    }
}

impl<A: Field, S: Data<Elem = A>> ArrayBase<S, Ix2, A> {
    /// The lower triangle L, lazily, for which this matrix is L·Lᴴ. Only the lower triangle of the matrix is looked at; the upper
    /// factor is `l.t()`, of complex elements its conjugate.
    ///
    /// The columns are cut as the rows are, and no task holds more than a few chunks: of k chunks along each axis k³ / 3 tasks,
    /// and some nodes for each of the k. Where the matrix is not positive definite the computation fails, and says which
    /// leading minor is not.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a = arr2(&[[4.0, 2.0], [2.0, 10.0]]).rechunk(1);
    /// assert_eq!(a.cholesky().compute(), ndarray::arr2(&[[2.0, 0.0], [1.0, 3.0]]));
    /// let error = (-a).cholesky().try_compute().unwrap_err();
    /// assert!(error.to_string().contains("not positive definite"));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_cholesky`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn cholesky(&self) -> Array2<A> {
        or_panic(self.try_cholesky())
    }

    /// [`Array::cholesky`] that returns what goes wrong.
    ///
    /// # Errors
    /// A matrix that is not square.
    pub fn try_cholesky(&self) -> Result<Array2<A>> {
        Ok(Array::of_expr(cholesky(&self.leaf()?)?))
    }

    /// The order of rows, L and U, lazily: the rows in that order are L·U, where L has ones on its diagonal and no greater
    /// elements below it (partial pivoting; complex ones are compared by the sum of the absolute values of their parts).
    ///
    /// Blocks of whole columns are factored one after another, each of which one task holds: those of the matrix's chunks, or
    /// narrower ones of 128 MiB. Those beside it are done in one task each.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a = arr2(&[[1.0, 2.0], [4.0, 4.0]]).rechunk(1);
    /// let (order, l, u) = a.lu();
    /// assert_eq!(order.compute(), ndarray::arr1(&[1, 0]));
    /// assert_eq!(l.compute(), ndarray::arr2(&[[1.0, 0.0], [0.25, 1.0]]));
    /// assert_eq!(u.compute(), ndarray::arr2(&[[4.0, 4.0], [0.0, 1.0]]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_lu`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn lu(&self) -> (Array1<u64>, Array2<A>, Array2<A>) {
        or_panic(self.try_lu())
    }

    /// [`Array::lu`] that returns what goes wrong.
    ///
    /// # Errors
    /// More than 2^24 rows of 32-bit floats.
    pub fn try_lu(&self) -> Result<(Array1<u64>, Array2<A>, Array2<A>)> {
        let a = self.leaf()?;
        let (m, n) = lens(&a);
        if m.min(n) == 0 {
            let empty = |shape: [usize; 2]| -> Result<Array2<A>> {
                Ok(Array::of_expr(constant(&shape, a.dtype(), 0.0)?))
            };
            let order = Expr::index(&[m], &Chunks::Auto, 0)?.cast(DType::U64)?;
            return Ok((Array::of_expr(order), empty([m, 0])?, empty([0, n])?));
        }
        let made = lu(&a, None)?;
        let all = SliceArg::Range { start: 0, end: None, step: 1 };
        let order = super::stages::real(&made.order()?)?.cast(DType::U64)?.slice(&[all, SliceArg::At(0)])?;
        let upper = triangle(&made.upper()?, BinaryOp::Le)?;
        Ok((Array::of_expr(order), Array::of_expr(made.lower(m)?), Array::of_expr(upper)))
    }
}
