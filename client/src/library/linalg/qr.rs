//! QR: of tall matrices by a tree over chunks of rows, of others by blocks of whole columns.
//!
//! Knows of which steps they are made. Must not know how a block is factored.

use super::stages::{ALL, TASK_BYTES, adjoint, beside, column_blocks, columns, lens, own, rows, step, whole};
use super::{Field, constant};
use crate::array::{Array, Array2, ArrayBase, Data};
use crate::error::{Result, or_panic};
use ndarray::Ix2;
use tilework_expr::{Along, Expr};
use tilework_kernels::library::linalg::{Step, qr_rows};
use tilework_plan::{AxisGrid, Grid};

/// The most bytes of triangles that a task of the tree reads.
const TREE_BYTES: usize = TASK_BYTES / 2;
/// The most triangles that it reads.
const TREE_FAN: usize = 16;

/// A matrix as Q and R, of which Q may not be wanted.
#[derive(Clone)]
pub(super) struct Qr {
    /// Orthonormal columns, as many as the lesser length.
    pub q: Option<Expr>,
    /// The upper triangle, whose diagonal is not negative.
    pub r: Expr,
}

/// Q and R of a matrix.
pub(super) fn qr(a: &Expr, with_q: bool) -> Result<Qr> {
    let ((m, n), size) = (lens(a), a.dtype().size());
    let fits = |len: usize| len.saturating_mul(len).saturating_mul(size) <= TASK_BYTES;
    if m.min(n) == 0 {
        let empty = |shape: [usize; 2]| constant(&shape, a.dtype(), 0.0);
        return Ok(Qr { q: Some(empty([m, 0])?), r: empty([0, n])? });
    }
    if m < n && fits(m) {
        // The square at the left, and what its Q makes of the rest.
        let Qr { q, r } = qr(&columns(a, 0..m)?, true)?;
        let rest = adjoint(q.as_ref().expect("asked for"))?.dot(&columns(a, m..n)?)?;
        return Ok(Qr { q, r: beside(1, &[r, rest])? });
    }
    if m >= n && fits(n) { by_tree(a, with_q) } else { by_columns(a, with_q) }
}

/// The same with Q.
pub(super) fn both(a: &Expr) -> Result<(Expr, Expr)> {
    let Qr { q, r } = qr(a, true)?;
    Ok((q.expect("Q was asked for"), r))
}

/// Rows in chunks that have as many of them as there are columns, or more.
fn row_chunks(a: &Expr) -> AxisGrid {
    let ((m, n), axis) = (lens(a), &a.grid().axes()[0]);
    let most = (TASK_BYTES / (n * a.dtype().size())).max(2 * n);
    let high = (0..axis.n_chunks().saturating_sub(1)).all(|i| axis.range(i).len() >= n);
    if high && axis.chunk_max() <= most {
        return axis.clone();
    }
    AxisGrid::regular(m, axis.chunk_max().clamp(2 * n, most).min(m))
}

/// An axis whose every chunk has so many positions more.
fn longer(axis: &AxisGrid, by: usize) -> AxisGrid {
    match axis {
        AxisGrid::Regular { len, .. } => AxisGrid::regular(len + axis.n_chunks() * by, axis.chunk_max() + by),
        AxisGrid::Explicit { .. } => {
            AxisGrid::explicit(&axis.chunk_lens().iter().map(|l| l + by).collect::<Vec<_>>())
        }
    }
}

/// A level of the tree: its packed blocks, and how what is factored there is cut.
struct Level {
    packed: Expr,
    cut: AxisGrid,
}

/// Of a tall matrix: each chunk of rows is factored, then so many of their triangles together, until there is one. Q goes the
/// other way: of each level's Q the next one's blocks are made.
fn by_tree(a: &Expr, with_q: bool) -> Result<Qr> {
    let n = a.shape()[1];
    let fan = (TREE_BYTES / (n * n * a.dtype().size())).clamp(2, TREE_FAN);
    let square = [whole(n), whole(n)];
    let mut cut = row_chunks(a);
    let mut input = a.on_grid(Grid::new(vec![cut.clone(), whole(n)]))?;
    // The same cut, counted in rows.
    let mut height = cut.clone();
    let mut levels = Vec::new();
    let r = loop {
        let (n_blocks, reads) = (cut.n_chunks(), [own(0), ALL, ALL]);
        let reads = &reads[..input.ndim()];
        let [from, to] =
            [&cut, &AxisGrid::regular(n_blocks, 1)].map(|axis| [axis.clone(), whole(n), whole(n)]);
        if !with_q && n_blocks == 1 {
            let all = &[ALL; 3][..input.ndim()];
            break step((Step::QrFactorR, &[1]), &[(&input, all)], (&square, &square))?;
        }
        let r = if with_q {
            let packed_cut = longer(&height, qr_rows(n));
            let out = [packed_cut.clone(), whole(n)];
            let packed = step((Step::QrFactor, &[]), &[(&input, reads)], (&[cut.clone(), whole(n)], &out))?;
            levels.push(Level { packed: packed.clone(), cut: cut.clone() });
            if n_blocks == 1 {
                break step((Step::QrR, &[1]), &[(&packed, &[ALL; 2])], (&square, &square))?;
            }
            let space = [packed_cut, whole(n), whole(n)];
            step((Step::QrR, &[0]), &[(&packed, &[own(0), ALL])], (&space, &to))?
        } else {
            step((Step::QrFactorR, &[0]), &[(&input, reads)], (&from, &to))?
        };
        (input, cut, height) =
            (r, AxisGrid::regular(n_blocks, fan), AxisGrid::regular(n_blocks * n, fan * n));
    };
    let q = if with_q { Some(q_of_tree(&levels, n)?) } else { None };
    Ok(Qr { q, r })
}

fn q_of_tree(levels: &[Level], n: usize) -> Result<Expr> {
    let (root, below) = levels.split_last().expect("a tree has a root");
    let axes = |axis: &AxisGrid, is_leaf: bool| {
        let mut axes = vec![axis.clone(), whole(n)];
        axes.extend((!is_leaf).then(|| whole(n)));
        axes
    };
    let out = axes(&root.cut, below.is_empty());
    let mut q = step((Step::QrQ, &[]), &[(&root.packed, &[ALL; 2])], (&out, &out))?;
    for (i, level) in below.iter().enumerate().rev() {
        let space = axes(&level.packed.grid().axes()[0], i == 0);
        let reads: [&[Along]; 2] = [&[own(0), ALL], &[Along::Number { axis: 0 }, ALL, ALL]];
        let inputs = [(&level.packed, reads[0]), (&q, reads[1])];
        q = step((Step::QrApply, &[0]), &inputs, (&space, &axes(&level.cut, i == 0)))?;
    }
    Ok(q)
}

/// Of any matrix: one block of whole columns after another is factored, and what that is applied to those after it.
fn by_columns(a: &Expr, with_q: bool) -> Result<Qr> {
    let ((m, n), dtype) = (lens(a), a.dtype());
    let k = m.min(n);
    let blocks = column_blocks(a, k);
    let mut rest = a.on_grid(Grid::new(vec![whole(m), AxisGrid::explicit(&blocks)]))?;
    let (mut first, mut packed, mut strips) = (0, Vec::new(), Vec::new());
    for (i, &width) in blocks.iter().enumerate().take_while(|(i, _)| blocks[..*i].iter().sum::<usize>() < k) {
        let height = m - first;
        let panel = columns(&rest, 0..width)?;
        let grid = [whole(height), whole(width)];
        let out = [whole(height + qr_rows(width)), whole(width)];
        let made = step((Step::QrFactor, &[]), &[(&panel, &[own(0), own(1)])], (&grid, &out))?;
        let square = [whole(width), whole(width)];
        let corner = step((Step::QrR, &[1]), &[(&made, &[ALL; 2])], (&square, &square))?;
        let mut strip = vec![constant(&[width, first], dtype, 0.0)?, corner];
        if i + 1 < blocks.len() {
            let others = columns(&rest, width..rest.shape()[1])?;
            let grid = [whole(height), AxisGrid::explicit(&blocks[i + 1..])];
            let inputs = [(&made, &[ALL; 2][..]), (&others, &[own(0), own(1)])];
            let turned = step((Step::QrAdjoint, &[]), &inputs, (&grid, &grid))?;
            strip.push(rows(&turned, 0..width)?);
            rest = rows(&turned, width..height)?;
        }
        strips.push(beside(1, &strip)?);
        packed.push(made);
        first += width;
    }
    let q = if with_q { Some(q_of_columns(&packed, &blocks, m)?) } else { None };
    Ok(Qr { q, r: beside(0, &strips)? })
}

/// From the last block of columns to the first.
fn q_of_columns(packed: &[Expr], blocks: &[usize], m: usize) -> Result<Expr> {
    let mut q: Option<Expr> = None;
    for (i, made) in packed.iter().enumerate().rev() {
        let (width, height) = (blocks[i], m - blocks[..i].iter().sum::<usize>());
        let grid = [whole(height), whole(width)];
        let own_columns = step((Step::QrQ, &[]), &[(made, &[ALL; 2])], (&grid, &grid))?;
        q = Some(match q {
            None => own_columns,
            Some(later) => {
                let grid = [whole(height), later.grid().axes()[1].clone()];
                let inputs = [(made, &[ALL; 2][..]), (&later, &[ALL, own(1)])];
                let turned = step((Step::QrApply, &[width]), &inputs, (&grid, &grid))?;
                beside(1, &[own_columns, turned])?
            }
        });
    }
    Ok(q.expect("a matrix that is not empty has blocks"))
}

impl<A: Field, S: Data<Elem = A>> ArrayBase<S, Ix2, A> {
    /// Q and R, lazily: Q of as many orthonormal columns as the lesser length, R an upper triangle whose diagonal is not
    /// negative, and whose product is this matrix. So they do not depend on the chunks but for rounding.
    ///
    /// A tall matrix (n columns, squares of which have at most 128 MiB) is factored chunk of rows by chunk of rows and then in a
    /// tree, whose tasks hold up to 16 triangles of n by n: any number of rows, on any number of workers. Chunks of fewer
    /// rows than columns are made longer. Any other is factored by blocks of whole columns, each of which one task holds:
    /// those of its chunks, or narrower ones of 128 MiB.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a: Array2<f64> = random::in_chunks([100, 5]).normal((1000, 5), 0.0, 1.0, 1);
    /// let (q, r) = a.qr();
    /// assert!((&a - &q.dot(&r)).abs().max() < 1e-12);
    /// assert!((&q.t().dot(&q) - &Array2::<f64>::eye(5)).abs().max() < 1e-13);
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_qr`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn qr(&self) -> (Array2<A>, Array2<A>) {
        or_panic(self.try_qr())
    }

    /// [`Array::qr`] that returns what goes wrong.
    ///
    /// # Errors
    /// None in practice.
    pub fn try_qr(&self) -> Result<(Array2<A>, Array2<A>)> {
        let (q, r) = both(&self.leaf()?)?;
        Ok((Array::of_expr(q), Array::of_expr(r)))
    }

    /// R alone, for which nothing of Q is kept.
    ///
    /// # Panics
    /// Where [`Array::try_qr_r`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn qr_r(&self) -> Array2<A> {
        or_panic(self.try_qr_r())
    }

    /// [`Array::qr_r`] that returns what goes wrong.
    ///
    /// # Errors
    /// None in practice.
    pub fn try_qr_r(&self) -> Result<Array2<A>> {
        Ok(Array::of_expr(qr(&self.leaf()?, false)?.r))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    /// By blocks of columns, which otherwise only large matrices are factored by.
    #[test]
    fn blocks_of_columns_give_what_a_tree_gives() {
        for ((m, n), chunks) in
            [((40, 40), [9, 11]), ((60, 7), [60, 2]), ((7, 30), [3, 4]), ((12, 12), [5, 1])]
        {
            let a: Array2<f64> = random::in_chunks(chunks).normal((m, n), 0.0, 1.0, 3);
            let made = by_columns(&a.expr(), true).unwrap();
            let q = Array2::<f64>::of_expr(made.q.unwrap());
            let r = Array2::<f64>::of_expr(made.r);
            let small = |what: &str, x: Array2<f64>| {
                let most = x.abs().max();
                assert!(most < 1e-13, "{what} of {m} by {n} in {chunks:?}: {most:e}");
            };
            small("residual", &a - &q.dot(&r));
            small("orthogonality", &q.t().dot(&q) - &Array2::<f64>::eye(m.min(n)));
            small("R", &r - &a.qr_r());
            small("R alone", &r - &Array2::<f64>::of_expr(by_columns(&a.expr(), false).unwrap().r));
        }
        // Of one that has no full rank.
        let a = Array2::<f64>::in_chunks([3, 2]).zeros((9, 9));
        let q = Array2::<f64>::of_expr(by_columns(&a.expr(), true).unwrap().q.unwrap());
        assert_eq!(q.t().dot(&q).compute(), ndarray::Array2::<f64>::eye(9));
    }

    #[test]
    fn no_block_of_columns_is_too_large() {
        let a = Array2::<f64>::in_chunks([1 << 20, 30]).zeros((1 << 20, 100));
        let blocks = column_blocks(&a.expr(), 70);
        assert_eq!(blocks.iter().sum::<usize>(), 100);
        assert!(blocks.iter().all(|width| width * (8 << 20) <= TASK_BYTES), "{blocks:?}");
        assert!(
            blocks
                .iter()
                .scan(0, |end, w| {
                    *end += w;
                    Some(*end)
                })
                .any(|end| end == 70),
            "{blocks:?}"
        );
        // One column, however long.
        let a = Array2::<f64>::in_chunks([1 << 30, 3]).zeros((1 << 30, 3));
        assert_eq!(column_blocks(&a.expr(), 3), vec![1, 1, 1]);
    }

    /// What is sent does not grow with the number of chunks of rows, but for its logarithm.
    #[test]
    fn a_tree_has_few_nodes() {
        let n_nodes = |n_chunks: usize| {
            let a = Array2::<f64>::in_chunks([100, 10]).zeros((100 * n_chunks, 10));
            let Qr { q, r } = qr(&a.expr(), true).unwrap();
            tilework_expr::Program::new(&[q.unwrap(), r]).nodes.len()
        };
        assert!(n_nodes(10_000) <= n_nodes(10) + 12, "{} and {}", n_nodes(10), n_nodes(10_000));
    }
}
