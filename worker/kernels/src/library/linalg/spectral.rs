//! Singular values and eigenvalues of one square block, with their vectors or alone.

use super::dense::{Columns, Dense, with_dense};
use crate::chunk::Plane;
use crate::library::elements::{Answer, plane};
use crate::native::BlockCall;
use faer::Par;
use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::svd::{ComputeSvdVectors, svd as singular, svd_scratch};

/// The elements of a square block, none of which is infinite or NaN.
fn square<A: Dense>(block: &Plane) -> Answer<Columns<A>> {
    let a = Columns::<A>::of(block)?;
    if a.n.0 != a.n.1 {
        return Err(format!("a block of {} by {}, expected a square", a.n.0, a.n.1));
    }
    match a.values.iter().position(|v| !v.is_normal_number()) {
        Some(at) => Err(format!("an element is {:?}, expected finite ones", a.values[at])),
        None => Ok(a),
    }
}

fn decomposed<A: Dense>(block: &Plane, vectors: bool, shape: &[usize]) -> Answer {
    let a = square::<A>(block)?;
    let n = a.n.0;
    let which = if vectors { ComputeSvdVectors::Full } else { ComputeSvdVectors::No };
    let size = if vectors { n } else { 0 };
    let (mut u, mut v) = (Columns::<A>::zeros((size, size)), Columns::<A>::zeros((size, size)));
    let mut s = vec![A::default(); n];
    let need = svd_scratch::<A>(n, n, which, which, Par::Seq, Default::default());
    singular(
        a.mat(),
        DiagMut::from_slice_mut(&mut s),
        vectors.then(|| u.mat_mut()),
        vectors.then(|| v.mat_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(need)),
        Default::default(),
    )
    .map_err(|_| "the singular values did not converge".to_owned())?;
    let mut out = vec![A::default(); (2 * size + 1) * n];
    u.write(&mut out, n, 0);
    out[size * n..][..n].copy_from_slice(&s);
    // The columns of V are the rows of its transpose.
    for (row, column) in out[(size + 1) * n..].chunks_exact_mut(n).zip(v.values.chunks_exact(n)) {
        row.iter_mut().zip(column).for_each(|(to, v)| *to = v.conjugate());
    }
    plane(shape, out)
}

pub(super) fn svd(call: &BlockCall<'_>) -> Answer {
    let (block, shape) = (call.block(0)?, call.shape());
    with_dense!(block.dtype(), A => decomposed::<A>(block, true, &shape))
}

pub(super) fn svd_values(call: &BlockCall<'_>) -> Answer {
    let (block, shape) = (call.block(0)?, call.shape());
    with_dense!(block.dtype(), A => decomposed::<A>(block, false, &shape))
}

fn adjoint_to_itself<A: Dense>(block: &Plane, vectors: bool, shape: &[usize]) -> Answer {
    let a = square::<A>(block)?;
    let n = a.n.0;
    let which = if vectors { ComputeEigenvectors::Yes } else { ComputeEigenvectors::No };
    let size = if vectors { n } else { 0 };
    let (mut u, mut s) = (Columns::<A>::zeros((size, size)), vec![A::default(); n]);
    let need = self_adjoint_evd_scratch::<A>(n, which, Par::Seq, Default::default());
    self_adjoint_evd(
        a.mat(),
        DiagMut::from_slice_mut(&mut s),
        vectors.then(|| u.mat_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(need)),
        Default::default(),
    )
    .map_err(|_| "the eigenvalues did not converge".to_owned())?;
    let mut out = s;
    out.resize((size + 1) * n, A::default());
    u.write(&mut out, n, 1);
    plane(shape, out)
}

pub(super) fn eigh(call: &BlockCall<'_>) -> Answer {
    let (block, shape) = (call.block(0)?, call.shape());
    with_dense!(block.dtype(), A => adjoint_to_itself::<A>(block, true, &shape))
}

pub(super) fn eigh_values(call: &BlockCall<'_>) -> Answer {
    let (block, shape) = (call.block(0)?, call.shape());
    with_dense!(block.dtype(), A => adjoint_to_itself::<A>(block, false, &shape))
}

#[cfg(test)]
mod tests {
    use super::super::Step;
    use super::*;
    use tilework_expr::Complex;

    fn fits<A: Dense>(n: usize) {
        let square = (n * n * A::DTYPE.size()) as f64;
        let (no, full) = (ComputeSvdVectors::No, ComputeSvdVectors::Full);
        let (values, vectors) = (ComputeEigenvectors::No, ComputeEigenvectors::Yes);
        let svd = |how| svd_scratch::<A>(n, n, how, how, Par::Seq, Default::default());
        let eigh = |how| self_adjoint_evd_scratch::<A>(n, how, Par::Seq, Default::default());
        // With the copy of the matrix, and the vectors.
        for (step, scratch, copies) in [
            (Step::Svd, svd(full), 3),
            (Step::SvdValues, svd(no), 1),
            (Step::Eigh, eigh(vectors), 2),
            (Step::EighValues, eigh(values), 1),
        ] {
            let takes = scratch.unaligned_bytes_required() as f64 / square + f64::from(copies);
            assert!(takes <= step.copies() as f64, "{step:?} of {n} {}: {takes} squares", A::DTYPE);
        }
    }

    #[test]
    fn no_more_is_allocated_than_is_said() {
        for n in [100, 127, 128, 500, 2000] {
            fits::<f32>(n);
            fits::<f64>(n);
            fits::<Complex<f32>>(n);
            fits::<Complex<f64>>(n);
        }
    }
}
