//! Cholesky steps, triangular systems, and products that are taken from a block.

use super::dense::{Columns, Dense, Rows, row_major, with_dense};
use crate::chunk::Plane;
use crate::library::elements::{Answer, Reader, plane};
use crate::native::BlockCall;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::matmul_with_conj;
use faer::linalg::triangular_solve as triangle;
use faer::{Accum, Conj, MatRef, Par};

pub(super) fn cholesky(call: &BlockCall<'_>) -> Answer {
    fn lower<A: Dense>(block: &Plane, first: usize, shape: &[usize]) -> Answer {
        let mut a = Columns::<A>::of(block)?;
        let n = a.n.0;
        let not = |i: usize| {
            format!("the matrix is not positive definite: its leading minor of order {}", first + i + 1)
        };
        let need = cholesky_in_place_scratch::<A>(n, Par::Seq, Default::default());
        let (mut buffer, regular) = (MemBuffer::new(need), Default::default());
        let stack = MemStack::new(&mut buffer);
        let made = cholesky_in_place(a.mat_mut(), regular, Par::Seq, stack, Default::default());
        made.map_err(|faer::linalg::cholesky::llt::factor::LltError::NonPositivePivot { index }| not(index))?;
        for j in 0..n {
            a.values[j * n..j * n + j].fill(A::default());
        }
        let is_positive = |i: usize| a.at(i, i).real().partial_cmp(&0.0) == Some(std::cmp::Ordering::Greater);
        // NaN is not.
        if let Some(i) = (0..n).find(|&i| !is_positive(i)) {
            return Err(not(i));
        }
        a.block(shape)
    }
    let (block, shape) = (call.block(0)?, call.shape());
    let first = Reader(call.params).number()?;
    with_dense!(block.dtype(), A => lower::<A>(block, first, &shape))
}

pub(super) fn cholesky_below(call: &BlockCall<'_>) -> Answer {
    fn solved<A: Dense>((lower, block): (&Plane, &Plane), shape: &[usize]) -> Answer {
        let (l, rows) = (Rows::<A>::of(lower)?, Rows::<A>::of(block)?);
        check_square(l.n, rows.n.1)?;
        let mut out = rows.values.to_vec();
        // X·Lᴴ = A is conj(L)·Xᵀ = Aᵀ.
        let x = row_major(&mut out, rows.n).transpose_mut();
        triangle::solve_lower_triangular_in_place_with_conj(l.mat(), Conj::Yes, x, Par::Seq);
        plane(shape, out)
    }
    let (lower, block, shape) = (call.block(0)?, call.block(1)?, call.shape());
    with_dense!(block.dtype(), A => solved::<A>((lower, block), &shape))
}

fn check_square((rows, columns): (usize, usize), n: usize) -> Answer<()> {
    if (rows, columns) == (n, n) {
        Ok(())
    } else {
        Err(format!("a triangle of {rows} by {columns}, expected {n}"))
    }
}

/// A block less the product of two, of the second or its adjoint.
fn less<A: Dense>((c, a, b): (&Plane, &Plane, &Plane), adjoint: bool, shape: &[usize]) -> Answer {
    let (c, a, b) = (Rows::<A>::of(c)?, Rows::<A>::of(a)?, Rows::<A>::of(b)?);
    let (right, conj): (MatRef<'_, A>, Conj) =
        if adjoint { (b.mat().transpose(), Conj::Yes) } else { (b.mat(), Conj::No) };
    if a.n.0 != c.n.0 || right.ncols() != c.n.1 || a.n.1 != right.nrows() {
        let other = (right.nrows(), right.ncols());
        return Err(format!("a product of {:?} and {other:?} for {:?}", a.n, c.n));
    }
    let mut out = c.values.to_vec();
    let minus = A::number(-1.0);
    matmul_with_conj(row_major(&mut out, c.n), Accum::Add, a.mat(), Conj::No, right, conj, minus, Par::Seq);
    plane(shape, out)
}

pub(super) fn cholesky_update(call: &BlockCall<'_>) -> Answer {
    let (c, a, b, shape) = (call.block(0)?, call.block(1)?, call.block(2)?, call.shape());
    if call.place.chunk.first() < call.place.chunk.get(1) {
        return Ok(c.clone());
    }
    with_dense!(c.dtype(), A => less::<A>((c, a, b), true, &shape))
}

pub(super) fn less_product(call: &BlockCall<'_>) -> Answer {
    let (c, a, b, shape) = (call.block(0)?, call.block(1)?, call.block(2)?, call.shape());
    with_dense!(c.dtype(), A => less::<A>((c, a, b), false, &shape))
}

pub(super) fn solve(call: &BlockCall<'_>) -> Answer {
    fn solved<A: Dense>(blocks: (&Plane, &Plane), how: (bool, bool, usize), shape: &[usize]) -> Answer {
        let (t, rows) = (Rows::<A>::of(blocks.0)?, Rows::<A>::of(blocks.1)?);
        check_square(t.n, rows.n.0)?;
        let (lower, unit, first) = how;
        if let Some(i) = (0..t.n.0).find(|&i| !unit && t.row(i)[i] == A::default()) {
            return Err(format!(
                "the matrix is singular: a 0 on the diagonal of its triangle, at {}",
                first + i
            ));
        }
        let mut out = rows.values.to_vec();
        let (t, x) = (t.mat(), row_major(&mut out, rows.n));
        match (lower, unit) {
            (true, true) => triangle::solve_unit_lower_triangular_in_place(t, x, Par::Seq),
            (true, false) => triangle::solve_lower_triangular_in_place(t, x, Par::Seq),
            (false, true) => triangle::solve_unit_upper_triangular_in_place(t, x, Par::Seq),
            (false, false) => triangle::solve_upper_triangular_in_place(t, x, Par::Seq),
        }
        plane(shape, out)
    }
    let (t, block, shape) = (call.block(0)?, call.block(1)?, call.shape());
    let mut reader = Reader(call.params);
    let how = (reader.number()? == 1, reader.number()? == 1, reader.number()?);
    with_dense!(block.dtype(), A => solved::<A>((t, block), how, &shape))
}
