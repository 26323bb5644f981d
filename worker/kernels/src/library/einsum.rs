//! Products of blocks of arrays whose axes have letters: summed along letters that only the two arrays have, side by side along
//! those that the result has too.
//!
//! Every element is summed in the same order whatever the number of threads and the layout of the blocks. Must not know how
//! a sum over more than two arrays is taken apart.

use super::elements::{Answer, Elements, Reader, Writer, plane};
use super::number::{Number, with_number};
use crate::chunk::{Buffer, Plane, row_major};
use crate::contract::{Matrix, PANEL, panel_fn};
use crate::native::BlockCall;
use std::sync::Arc;
use tilework_expr::{DType, OwnFunction};
use tilework_plan::Temporaries;

/// The letters of two arrays and of their product.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    /// Of the first array, axis by axis, each once.
    pub left: Vec<u8>,
    /// Of the second one, each once.
    pub right: Vec<u8>,
    /// Of the result: each is a letter of one array or of both.
    pub out: Vec<u8>,
}

impl Pair {
    /// The letters that are summed over: those of both arrays that the result lacks.
    #[must_use]
    pub fn summed(&self) -> Vec<u8> {
        let both = self.left.iter().filter(|l| self.right.contains(l));
        both.filter(|l| !self.out.contains(l)).copied().collect()
    }

    /// The product of two blocks: the axes of `out`, and after those one of length 1 for each letter of [`Pair::summed`].
    #[must_use]
    pub fn function(&self, dtype: DType) -> OwnFunction {
        let letters = |w: Writer, all: &[u8]| {
            all.iter().fold(w.number(all.len()), |w, letter| w.number(usize::from(*letter)))
        };
        let params =
            [&self.left, &self.right, &self.out].into_iter().fold(Writer::default(), |w, l| letters(w, l));
        // Both blocks, and their product, with the axes in another order.
        let size = dtype.size() as u32;
        let temporaries = Temporaries { per_made: size, ..Temporaries::per_read(size) };
        let (params, inputs) = (params.done(), vec![dtype; 2]);
        OwnFunction { name: "einsum".into(), params, inputs, output: dtype, temporaries }
    }

    fn of(params: &[u8]) -> Answer<Pair> {
        let mut reader = Reader(params);
        let mut letters = || -> Answer<Vec<u8>> {
            let n = reader.number()?;
            (0..n).map(|_| u8::try_from(reader.number()?).map_err(|_| "no letter".to_owned())).collect()
        };
        Ok(Pair { left: letters()?, right: letters()?, out: letters()? })
    }

    /// The letters of one array that the other lacks.
    fn alone(of: &[u8], other: &[u8]) -> Vec<u8> {
        of.iter().filter(|l| !other.contains(l)).copied().collect()
    }
}

/// A block's axes in the order of these letters, one element after another.
fn ordered(block: &Plane, letters: &[u8], order: &[u8]) -> Answer {
    if block.shape().len() != letters.len() || order.len() != letters.len() {
        return Err(format!("{} axes, expected {} of letters", block.shape().len(), letters.len()));
    }
    let at = |letter: &u8| letters.iter().position(|l| l == letter).ok_or("a letter of no axis");
    let axes = order.iter().map(at).collect::<Result<Vec<_>, _>>()?;
    let shape = axes.iter().map(|&a| block.shape()[a]).collect();
    let strides = axes.iter().map(|&a| block.strides()[a]).collect();
    Ok(block.restrided(shape, strides, 0).to_contiguous())
}

/// The product of two blocks.
pub(super) fn einsum(call: &BlockCall<'_>) -> Answer {
    let pair = Pair::of(call.params)?;
    let (left, right, summed) = (call.block(0)?, call.block(1)?, pair.summed());
    let batch: Vec<u8> =
        pair.left.iter().filter(|l| pair.right.contains(l) && pair.out.contains(l)).copied().collect();
    let (rows, columns) = (Pair::alone(&pair.left, &pair.right), Pair::alone(&pair.right, &pair.left));
    let left = ordered(left, &pair.left, &[&batch[..], &rows, &summed].concat())?;
    let right = ordered(right, &pair.right, &[&batch[..], &summed, &columns].concat())?;
    let (b, m) = (batch.len(), rows.len());
    let agree = left.shape()[..b] == right.shape()[..b]
        && left.shape()[b + m..] == right.shape()[b..b + summed.len()];
    if !agree {
        return Err(format!("shapes {:?} and {:?} of one letter differ", left.shape(), right.shape()));
    }
    let made = products((&left, &right), (b, m, summed.len()))?;
    let axes = [&left.shape()[..b + m], &right.shape()[b + summed.len()..]].concat();
    let made = made.restrided(axes.clone(), row_major(&axes), 0);
    let made = ordered(&made, &[&batch[..], &rows, &columns].concat(), &pair.out)?;
    let shape = [made.shape(), &vec![1; summed.len()]].concat();
    Ok(made.restrided(shape.clone(), row_major(&shape), 0))
}

/// The products of matrices that lie one after another in both arrays: so many leading axes count them, the first array's
/// matrices have so many axes of rows, and so many axes are summed over.
fn products((left, right): (&Plane, &Plane), (b, m, k): (usize, usize, usize)) -> Answer {
    let product = |lens: &[usize]| lens.iter().product::<usize>();
    let n_matrices = product(&left.shape()[..b]);
    let (rows, inner) = (product(&left.shape()[b..b + m]), product(&left.shape()[b + m..]));
    let columns = product(&right.shape()[b + k..]);
    let (dtype, size) = (left.dtype(), left.dtype().size());
    let f = panel_fn(dtype).ok_or_else(|| format!("products of {dtype}"))?;
    let n = n_matrices * rows * columns;
    let wrap = |buffer| Plane::row_major_at(dtype, vec![n], Arc::new(buffer), 0);
    if n * inner == 0 {
        return Ok(wrap(Buffer::zeroed(n * size).freeze()));
    }
    let mut buffer = Buffer::uninit(n * size);
    for i in 0..n_matrices {
        for from in (0..inner).step_by(PANEL) {
            let part = PANEL.min(inner - from);
            // SAFETY: both planes lie element after element and have the matrices that their shapes say, of which the
            // i-th and its positions from `from` on are within; the buffer has room for all products, and is no one's.
            unsafe {
                let first = left.as_ptr().add((i * rows * inner + from) * size);
                let second = right.as_ptr().add((i * inner + from) * columns * size);
                let a = Matrix { ptr: first, outer: inner as isize, inner: 1 };
                let b = Matrix { ptr: second, outer: 1, inner: columns as isize };
                let out = buffer.as_mut_ptr().add(i * rows * columns * size);
                f((rows, columns, part), (a, b), (out, columns), from > 0);
            }
        }
    }
    // SAFETY: every element was written, by the first panel of its matrices.
    Ok(wrap(unsafe { buffer.assume_init().freeze() }))
}

/// The sum of the diagonal of a block, in the wide type.
#[must_use]
pub fn trace(dtype: DType) -> OwnFunction {
    let (inputs, output, temporaries) = (vec![dtype], dtype.summed(), Temporaries::NONE);
    OwnFunction { name: "trace".into(), params: Vec::new(), inputs, output, temporaries }
}

pub(super) fn trace_of(call: &BlockCall<'_>) -> Answer {
    fn sum<A: Number>(block: &Plane) -> Answer {
        let (x, width) = (Elements::<A>::of(block)?, block.shape().last().copied().unwrap_or(0));
        let diagonal = x.iter().step_by(width + 1).take(width);
        plane(&[1], vec![diagonal.fold(A::ZERO, |sum: A::Wide, v| A::add(sum, v.widen()))])
    }
    let block = call.block(0)?;
    with_number!(block.dtype(), A => sum::<A>(block))
}
