//! LU steps with partial pivoting: a block of columns factored, what that makes of those beside it, and L in the order of rows
//! that there is at the end.
//!
//! A packed block has, beside both triangles, two columns of row numbers, as elements of its dtype: from which of its rows each
//! one was taken, and which row of the matrix it was at first.

use super::LU_COLUMNS;
use super::dense::{Columns, Dense, Rows, row_major, with_dense};
use crate::chunk::Plane;
use crate::library::elements::{Answer, plane};
use crate::native::BlockCall;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::lu::partial_pivoting::factor;
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_unit_lower_triangular_in_place;
use faer::{Accum, Par};

/// A packed block.
struct Packed<A> {
    rows: Rows<A>,
    /// Columns of the triangles.
    width: usize,
}

impl<A: Dense> Packed<A> {
    fn of(block: &Plane) -> Answer<Packed<A>> {
        let rows = Rows::of(block)?;
        let width = rows.n.1.checked_sub(LU_COLUMNS).ok_or("a block that is not packed")?;
        Ok(Packed { rows, width })
    }

    /// From which row each one was taken.
    fn taken(&self) -> Answer<Vec<usize>> {
        let m = self.rows.n.0;
        let row = |i| Some(self.rows.row(i)[self.width].real() as usize).filter(|r| *r < m);
        (0..m).map(|i| row(i).ok_or_else(|| format!("a row beyond the {m} of a block"))).collect()
    }

    /// Which row of the matrix each one was at first.
    fn first(&self) -> Vec<u64> {
        (0..self.rows.n.0).map(|i| self.rows.row(i)[self.width + 1].real() as u64).collect()
    }
}

pub(super) fn panel(call: &BlockCall<'_>) -> Answer {
    fn factored<A: Dense>((block, numbers): (&Plane, &Plane), shape: &[usize]) -> Answer {
        let (mut a, numbers) = (Columns::<A>::of(block)?, Rows::<A>::of(numbers)?);
        let (m, n) = a.n;
        if numbers.n.0 != m {
            return Err(format!("{} numbers for {m} rows", numbers.n.0));
        }
        let (mut taken, mut inverse) = (vec![0usize; m], vec![0usize; m]);
        let need = factor::lu_in_place_scratch::<usize, A>(m, n, Par::Seq, Default::default());
        factor::lu_in_place(
            a.mat_mut(),
            &mut taken,
            &mut inverse,
            Par::Seq,
            MemStack::new(&mut MemBuffer::new(need)),
            Default::default(),
        );
        let width = n + LU_COLUMNS;
        let mut out = vec![A::default(); m * width];
        a.write(&mut out, width, 0);
        for (row, &from) in out.chunks_exact_mut(width).zip(&taken) {
            row[n] = A::number(from as f64);
            row[n + 1] = numbers.row(from)[0];
        }
        plane(shape, out)
    }
    let (block, numbers, shape) = (call.block(0)?, call.block(1)?, call.shape());
    with_dense!(block.dtype(), A => factored::<A>((block, numbers), &shape))
}

pub(super) fn update(call: &BlockCall<'_>) -> Answer {
    fn updated<A: Dense>((packed, block): (&Plane, &Plane), shape: &[usize]) -> Answer {
        let (packed, rows) = (Packed::<A>::of(packed)?, Rows::<A>::of(block)?);
        let ((m, n), k) = (rows.n, packed.width.min(packed.rows.n.0));
        if packed.rows.n.0 != m {
            return Err(format!("{m} rows beside {}", packed.rows.n.0));
        }
        let mut out = Vec::with_capacity(m * n);
        packed.taken()?.into_iter().for_each(|from| out.extend_from_slice(rows.row(from)));
        let (mut top, rest) = row_major(&mut out, (m, n)).split_at_row_mut(k);
        let both = packed.rows.mat();
        solve_unit_lower_triangular_in_place(both.submatrix(0, 0, k, k), top.as_mut(), Par::Seq);
        let below = both.submatrix(k, 0, m - k, k);
        matmul(rest, Accum::Add, below, top.as_ref(), A::number(-1.0), Par::Seq);
        plane(shape, out)
    }
    let (packed, block, shape) = (call.block(0)?, call.block(1)?, call.shape());
    with_dense!(block.dtype(), A => updated::<A>((packed, block), &shape))
}

pub(super) fn lower(call: &BlockCall<'_>) -> Answer {
    fn ordered<A: Dense>((packed, order): (&Plane, &Plane), shape: &[usize]) -> Answer {
        let (packed, order) = (Packed::<A>::of(packed)?, Rows::<A>::of(order)?);
        let k = packed.width.min(packed.rows.n.0);
        let mut places: Vec<(u64, usize)> = packed.first().into_iter().zip(0..).collect();
        places.sort_unstable();
        let mut out = Vec::with_capacity(order.n.0 * k);
        for number in order.values.iter().map(|v| v.real() as u64) {
            let at = places.binary_search_by_key(&number, |place| place.0);
            let i = places[at.map_err(|_| format!("no row {number} in a block"))?].1;
            let row = packed.rows.row(i);
            out.extend((0..k).map(|j| match j.cmp(&i) {
                std::cmp::Ordering::Less => row[j],
                std::cmp::Ordering::Equal => A::number(1.0),
                std::cmp::Ordering::Greater => A::default(),
            }));
        }
        plane(shape, out)
    }
    let (packed, order, shape) = (call.block(0)?, call.block(1)?, call.shape());
    with_dense!(packed.dtype(), A => ordered::<A>((packed, order), &shape))
}

/// Whether a permutation is made of an odd number of exchanges.
fn is_odd(permutation: &[usize]) -> bool {
    let mut seen = vec![false; permutation.len()];
    let mut odd = false;
    for start in 0..permutation.len() {
        let (mut at, mut len) = (start, 0usize);
        while !std::mem::replace(&mut seen[at], true) {
            (at, len) = (permutation[at], len + 1);
        }
        odd ^= len > 0 && len.is_multiple_of(2);
    }
    odd
}

pub(super) fn det(call: &BlockCall<'_>) -> Answer {
    fn of<A: Dense>(packed: &Plane, shape: &[usize]) -> Answer {
        let packed = Packed::<A>::of(packed)?;
        let sign = A::number(if is_odd(&packed.taken()?) { -1.0 } else { 1.0 });
        let (mut direction, mut logarithm, mut product) = (sign, 0.0, sign);
        for i in 0..packed.width.min(packed.rows.n.0) {
            let v = packed.rows.row(i)[i];
            product *= v;
            logarithm += v.size().ln();
            direction *= if v.size() == 0.0 { A::default() } else { v.direction() };
        }
        plane(shape, vec![direction, A::number(logarithm), product])
    }
    let (packed, shape) = (call.block(0)?, call.shape());
    with_dense!(packed.dtype(), A => of::<A>(packed, &shape))
}
