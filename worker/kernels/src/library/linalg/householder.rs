//! QR steps: blocks factored by reflectors, and Q and its adjoint applied to others.
//!
//! Reflectors are made here and not by faer, whose QR (of 0.24) takes a column for zero that is below 16·m·ε of what it was:
//! of m = 10⁶ rows that is all beyond a condition of 10⁸. What many reflectors make together, and how that is applied, is
//! faer's. The source of both: Golub and Van Loan, Matrix Computations, 5.1 and 5.2.

use super::dense::{Columns, Dense, Rows, with_dense};
use super::qr_rows;
use crate::chunk::Plane;
use crate::library::elements::{Answer, Reader, plane};
use crate::native::BlockCall;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::householder as blocked;
use faer::{Conj, Par};

/// Sums that are made side by side.
const LANES: usize = 8;

/// The sum of products with conjugates.
fn dot<A: Dense>(v: &[A], x: &[A]) -> A {
    let mut lanes = [A::default(); LANES];
    let (head, tail) = v.as_chunks::<LANES>();
    let (others, rest) = x.as_chunks::<LANES>();
    for (a, b) in head.iter().zip(others) {
        lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(s, (a, b))| *s += a.conjugate() * *b);
    }
    let rest = tail.iter().zip(rest).fold(A::default(), |s, (a, b)| s + a.conjugate() * *b);
    lanes.into_iter().fold(rest, |s, lane| s + lane)
}

/// The length of a vector, whose squares may be beyond what a number holds.
fn length<A: Dense>(x: &[A]) -> f64 {
    let sum: f64 = x.iter().map(|v| v.square()).sum();
    if sum.is_normal() && (1e-280..1e280).contains(&sum) || sum.is_nan() {
        return sum.sqrt();
    }
    let most = x.iter().map(|v| v.size()).fold(0.0, f64::max);
    if most == 0.0 || most.is_infinite() {
        return most;
    }
    most * x.iter().map(|v| (v.size() / most).powi(2)).sum::<f64>().sqrt()
}

/// Makes of a column β and the reflector that turns it to β times the first unit vector, I − v·vᴴ/τ, whose v begins with 1. Gives
/// τ, infinite where there is nothing to be turned.
fn reflector<A: Dense>(column: &mut [A]) -> A {
    let (head, tail) = column.split_first_mut().expect("a column below the diagonal has its diagonal");
    let below = length(tail);
    if below == 0.0 {
        return A::number(f64::INFINITY);
    }
    let signed = head.direction() * A::number(head.size().hypot(below));
    let divisor = *head + signed;
    tail.iter_mut().for_each(|v| *v = v.over(divisor));
    *head = -signed;
    A::number(0.5 * (1.0 + (below / divisor.size()).powi(2)))
}

fn stack(bytes: faer::dyn_stack::StackReq) -> MemBuffer {
    MemBuffer::new(bytes)
}

/// A matrix in its place as R with the reflectors below, and their factors.
struct Factored<A> {
    matrix: Columns<A>,
    factors: Columns<A>,
}

impl<A: Dense> Factored<A> {
    fn new(matrix: Columns<A>) -> Factored<A> {
        let (m, n) = matrix.n;
        let mut made = Factored { matrix, factors: Columns::zeros((qr_rows(n), m.min(n))) };
        for first in (0..m.min(n)).step_by(qr_rows(n)) {
            made.panel(first, qr_rows(n).min(m.min(n) - first));
        }
        made
    }

    /// Factors so many columns, and applies what that is to those after them.
    fn panel(&mut self, first: usize, width: usize) {
        let ((m, n), height) = (self.matrix.n, self.factors.n.0);
        for c in first..first + width {
            let (before, after) = self.matrix.values.split_at_mut((c + 1) * m);
            let column = &mut before[c * m + c..];
            let tau = reflector(column);
            self.factors.values[c * height + c - first] = tau;
            // A complex number over one that is infinite would be none.
            let inverse = if tau.size().is_finite() { A::number(1.0).over(tau) } else { A::default() };
            for other in after.chunks_exact_mut(m).take(first + width - c - 1) {
                let (head, tail) = other[c..].split_first_mut().expect("a column has its diagonal");
                let k = -(*head + dot(&column[1..], tail)) * inverse;
                *head += k;
                tail.iter_mut().zip(&column[1..]).for_each(|(x, v)| *x += k * *v);
            }
        }
        let (left, right) = self.matrix.mat_mut().split_at_col_mut(first + width);
        let basis = left.as_ref().submatrix(first, first, m - first, width);
        let factors = self.factors.mat_mut().submatrix_mut(0, first, width, width);
        blocked::upgrade_householder_factor(factors, basis, width, 1, Par::Seq);
        if n > first + width {
            let need = blocked::apply_block_householder_transpose_on_the_left_in_place_scratch::<A>(
                m - first,
                width,
                n - first - width,
            );
            let factors = self.factors.mat().submatrix(0, first, width, width);
            let rest = right.submatrix_mut(first, 0, m - first, n - first - width);
            blocked::apply_block_householder_transpose_on_the_left_in_place_with_conj(
                basis,
                factors,
                Conj::Yes,
                rest,
                Par::Seq,
                MemStack::new(&mut stack(need)),
            );
        }
    }

    /// Of a packed block.
    fn of(packed: &Plane) -> Answer<Factored<A>> {
        let rows = Rows::<A>::of(packed)?;
        let n = rows.n.1;
        let m = rows.n.0.checked_sub(qr_rows(n)).ok_or("a block that is not packed")?;
        let (mut matrix, mut factors) = (Columns::zeros((m, n)), Columns::zeros((qr_rows(n), m.min(n))));
        for i in 0..rows.n.0 {
            let (to, at) = if i < m { (&mut matrix, i) } else { (&mut factors, i - m) };
            let height = to.n.0;
            rows.row(i).iter().take(to.n.1).enumerate().for_each(|(j, v)| to.values[j * height + at] = *v);
        }
        Ok(Factored { matrix, factors })
    }

    fn packed(&self, shape: &[usize]) -> Answer {
        let (m, n) = self.matrix.n;
        let mut out = vec![A::default(); (m + self.factors.n.0) * n];
        self.matrix.write(&mut out, n, 0);
        self.factors.write(&mut out, n, m);
        plane(shape, out)
    }

    /// What the rows of R are multiplied by so that its diagonal is not negative.
    fn sign(&self, i: usize) -> A {
        self.matrix.at(i, i).direction().conjugate()
    }

    /// R, of so many rows.
    fn r(&self, (shape, signed): (&[usize], bool)) -> Answer {
        let (m, n) = self.matrix.n;
        let n_rows = shape.iter().product::<usize>() / n.max(1);
        let mut out = vec![A::default(); n_rows * n];
        for i in 0..n_rows.min(m).min(n) {
            let sign = if signed { self.sign(i) } else { A::number(1.0) };
            let row = &mut out[i * n..(i + 1) * n];
            (i..n).for_each(|j| row[j] = sign * self.matrix.at(i, j));
            if signed {
                // What is rounded there is of no meaning.
                row[i] = A::number(self.matrix.at(i, i).size());
            }
        }
        plane(shape, out)
    }

    /// Multiplies by Q, or by its adjoint.
    fn apply(&self, to: &mut Columns<A>, adjoint: bool) {
        let ((m, n), (height, k)) = (self.matrix.n, self.factors.n);
        let basis = self.matrix.mat().submatrix(0, 0, m, k.min(n));
        let (factors, width) = (self.factors.mat(), to.n.1);
        if adjoint {
            let need = blocked::apply_block_householder_sequence_transpose_on_the_left_in_place_scratch::<A>(
                m, height, width,
            );
            blocked::apply_block_householder_sequence_transpose_on_the_left_in_place_with_conj(
                basis,
                factors,
                Conj::Yes,
                to.mat_mut(),
                Par::Seq,
                MemStack::new(&mut stack(need)),
            );
        } else {
            let need =
                blocked::apply_block_householder_sequence_on_the_left_in_place_scratch::<A>(m, height, width);
            blocked::apply_block_householder_sequence_on_the_left_in_place_with_conj(
                basis,
                factors,
                Conj::No,
                to.mat_mut(),
                Par::Seq,
                MemStack::new(&mut stack(need)),
            );
        }
    }
}

pub(super) fn factor(call: &BlockCall<'_>) -> Answer {
    let (block, shape) = (call.block(0)?, call.shape());
    with_dense!(block.dtype(), A => Factored::<A>::new(Columns::of(block)?).packed(&shape))
}

pub(super) fn factor_r(call: &BlockCall<'_>) -> Answer {
    let (block, shape) = (call.block(0)?, call.shape());
    let signed = Reader(call.params).number()? == 1;
    with_dense!(block.dtype(), A => Factored::<A>::new(Columns::of(block)?).r((&shape, signed)))
}

pub(super) fn r_of(call: &BlockCall<'_>) -> Answer {
    let (block, shape) = (call.block(0)?, call.shape());
    let signed = Reader(call.params).number()? == 1;
    with_dense!(block.dtype(), A => Factored::<A>::of(block)?.r((&shape, signed)))
}

pub(super) fn q_of(call: &BlockCall<'_>) -> Answer {
    fn q<A: Dense>(packed: &Plane, shape: &[usize]) -> Answer {
        let factored = Factored::<A>::of(packed)?;
        let (m, k) = (factored.matrix.n.0, factored.factors.n.1);
        let mut q = Columns::zeros((m, k));
        (0..k).for_each(|i| q.values[i * m + i] = factored.sign(i).conjugate());
        factored.apply(&mut q, false);
        q.block(shape)
    }
    let (block, shape) = (call.block(0)?, call.shape());
    with_dense!(block.dtype(), A => q::<A>(block, &shape))
}

pub(super) fn apply(call: &BlockCall<'_>) -> Answer {
    fn times<A: Dense>((packed, block): (&Plane, &Plane), first: usize, shape: &[usize]) -> Answer {
        let (factored, rows) = (Factored::<A>::of(packed)?, Rows::<A>::of(block)?);
        let m = factored.matrix.n.0;
        if first > m {
            return Err(format!("rows from {first} on, for a Q of {m}"));
        }
        // A block of fewer rows than columns was as many rows of a triangle: what the zeros below became is left out.
        let mut to = Columns::zeros((m, rows.n.1)).with_rows(&rows, first);
        factored.apply(&mut to, false);
        to.block(shape)
    }
    let first = Reader(call.params).number()?;
    let (packed, block, shape) = (call.block(0)?, call.block(1)?, call.shape());
    with_dense!(packed.dtype(), A => times::<A>((packed, block), first, &shape))
}

pub(super) fn adjoint(call: &BlockCall<'_>) -> Answer {
    fn times<A: Dense>((packed, block): (&Plane, &Plane), shape: &[usize]) -> Answer {
        let (factored, mut to) = (Factored::<A>::of(packed)?, Columns::<A>::of(block)?);
        let (m, k) = (factored.matrix.n.0, factored.factors.n.1);
        if to.n.0 != m {
            return Err(format!("{} rows, for a Q of {m}", to.n.0));
        }
        factored.apply(&mut to, true);
        for column in to.values.chunks_exact_mut(m.max(1)) {
            (0..k).for_each(|i| column[i] = factored.sign(i) * column[i]);
        }
        to.block(shape)
    }
    let (packed, block, shape) = (call.block(0)?, call.block(1)?, call.shape());
    with_dense!(packed.dtype(), A => times::<A>((packed, block), &shape))
}
