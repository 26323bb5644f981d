//! How a user asks for chunks, and the grid that comes of it.
//!
//! Knows shapes and sizes. Must not know operations.

use crate::check::checked_grid;
use crate::dtype::DType;
use crate::error::ExprError;
use crate::graph::Expr;
use std::fmt;
use tilework_plan::{AxisGrid, Grid};

/// Bytes that an automatic chunk has at most. `benches/` compares sizes: from 4 to 64 MiB it hardly matters.
pub const AUTO_CHUNK_BYTES: usize = 16 << 20;
/// Bytes below which an automatic chunk is not made smaller so that there are more of them.
pub const AUTO_CHUNK_BYTES_MIN: usize = 2 << 20;
/// Chunks that an array should have, so that all processors of a machine have a few of them. It is no question of the
/// processors that there are: sums depend on the chunks in their last bits, and must not on the machine.
pub const AUTO_CHUNKS_MIN: usize = 32;

/// Chunks that a concatenation makes of whatever is put together, along its axis. Beyond it, short ones are merged:
/// rows that are put together one by one, or parts that change places again and again, would else be as many chunks as
/// there were steps.
pub const JOINED_CHUNKS_MAX: usize = 256;
/// Chunks along the axis that such merging leaves, at least: enough for the processors of most machines.
const MERGED_CHUNKS: usize = 64;
/// Mean bytes of chunks that are not short.
const SHORT_CHUNK_BYTES: usize = AUTO_CHUNK_BYTES_MIN / 4;

/// Lengths of chunks along an axis, of which a position has `across` bytes: neighbours are merged where there are far
/// too many for their size.
pub(crate) fn merged_lens(lens: Vec<usize>, across: usize) -> Vec<usize> {
    let len: usize = lens.iter().sum();
    let mean_bytes = (len / lens.len().max(1)).saturating_mul(across);
    if lens.len() <= JOINED_CHUNKS_MAX || mean_bytes > SHORT_CHUNK_BYTES {
        return lens;
    }
    let target = len.div_ceil(MERGED_CHUNKS).min(AUTO_CHUNK_BYTES_MIN / across.max(1)).max(1);
    let mut merged: Vec<usize> = Vec::new();
    for len in lens {
        match merged.last_mut() {
            Some(last) if *last + len <= target => *last += len,
            _ => merged.push(len),
        }
    }
    merged
}
/// Lengths of one axis' chunks that an error names at most.
const LENS_SHOWN_MAX: usize = 8;

/// Bytes of a chunk of an array of so many bytes.
fn auto_bytes(array_bytes: usize) -> usize {
    (array_bytes / AUTO_CHUNKS_MIN).clamp(AUTO_CHUNK_BYTES_MIN, AUTO_CHUNK_BYTES)
}

/// The grid of a result whose natural grid, which is made of its inputs', may have chunks far larger than theirs: an
/// outer product, a matrix product of strips, a wider dtype. Such chunks are halved, along their longest axis, until
/// they are as large as the inputs' or as automatic ones, or there may be no more of them.
pub(crate) fn bounded_grid(grid: Grid, dtype: DType, inputs: &[&Expr]) -> Grid {
    let bytes = |grid: &Grid, dtype: DType| grid.chunk_len_max().saturating_mul(dtype.size());
    let largest = inputs.iter().map(|e| bytes(e.grid(), e.dtype())).max().unwrap_or(0);
    if bytes(&grid, dtype) <= largest.saturating_mul(2).max(4 * AUTO_CHUNK_BYTES) {
        return grid;
    }
    let mut grid = grid;
    while bytes(&grid, dtype) > largest.max(AUTO_CHUNK_BYTES) {
        let mut axes = grid.axes().to_vec();
        // An axis of length 1 is never the longest of so many elements.
        if let Some(longest) = axes.iter_mut().max_by_key(|a| a.chunk_max()) {
            *longest = longest.halved();
        }
        let halved = Grid::new(axes);
        if checked_grid(&halved, dtype).is_err() {
            break;
        }
        grid = halved;
    }
    grid
}

/// The chunks along one axis, as a user asks for them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AxisChunks {
    /// Chosen by the array, so that a chunk has about the target's bytes.
    Auto,
    /// The axis in one chunk; what `-1` stands for.
    Whole,
    /// Chunks of this length; the last may be shorter. 0 is an error, -1 is [`AxisChunks::Whole`].
    Len(isize),
    /// Chunks of exactly these lengths, which add up to the axis' length.
    Lens(Vec<usize>),
}

/// The chunks of an array, as a user asks for them.
///
/// Made from what users write: a length for all axes (`1000`), a length per axis (`[1000, -1]`, `(1000, 500)`), the
/// lengths of all chunks of each axis (`vec![vec![300, 700], vec![500; 4]]`), or a list of [`AxisChunks`]. `-1` is the
/// whole axis.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Chunks {
    /// Chosen by the array's bytes: about 32 chunks of 2 to 16 MiB, and more of 16 MiB where it is larger.
    #[default]
    Auto,
    /// About this many bytes a chunk.
    Bytes(usize),
    /// The same for every axis.
    Every(AxisChunks),
    /// One entry for each axis.
    Axes(Vec<AxisChunks>),
}

impl Chunks {
    /// The grid of an array of `shape` and `dtype`.
    ///
    /// # Errors
    /// [`ExprError::Chunks`] for a zero or negative length (but -1), another number of axes than the shape's, or
    /// lengths that do not add up; [`ExprError::TooLarge`] where the array is too large to address.
    pub fn grid(&self, shape: &[usize], dtype: DType) -> Result<Grid, ExprError> {
        let array_bytes = crate::check::checked_bytes(shape, dtype)?;
        let error =
            |expected| ExprError::Chunks { chunks: self.to_string(), shape: shape.to_vec(), expected };
        if shape.len() > crate::check::NDIM_MAX {
            return Err(error("at most 32 dimensions"));
        }
        let auto = auto_bytes(array_bytes);
        let (axes, target) = match self {
            Chunks::Auto => (vec![AxisChunks::Auto; shape.len()], auto),
            Chunks::Bytes(0) => return Err(error("at least one byte a chunk")),
            Chunks::Bytes(n) => (vec![AxisChunks::Auto; shape.len()], *n),
            Chunks::Every(a) => (vec![a.clone(); shape.len()], auto),
            Chunks::Axes(axes) => (axes.clone(), auto),
        };
        if axes.len() != shape.len() {
            return Err(error("one entry for each axis"));
        }
        let mut grids: Vec<Option<AxisGrid>> = Vec::with_capacity(axes.len());
        for (axis, &len) in axes.iter().zip(shape) {
            grids.push(match axis {
                AxisChunks::Auto => None,
                AxisChunks::Whole | AxisChunks::Len(-1) => Some(AxisGrid::whole(len)),
                AxisChunks::Len(n) if *n <= 0 => {
                    return Err(error("lengths of at least 1, or -1 for the whole axis"));
                }
                AxisChunks::Len(n) => Some(AxisGrid::regular(len, n.unsigned_abs())),
                AxisChunks::Lens(l) if checked_sum(l) != Some(len) || l.is_empty() => {
                    return Err(error("lengths that add up to the axis' length"));
                }
                AxisChunks::Lens(l) if l.contains(&0) && len > 0 => {
                    return Err(error("lengths of at least 1"));
                }
                AxisChunks::Lens(l) => Some(AxisGrid::explicit(l)),
            });
        }
        Ok(fill_auto(grids, shape, (target / dtype.size()).max(1)))
    }
}

fn checked_sum(lens: &[usize]) -> Option<usize> {
    lens.iter().try_fold(0usize, |sum, &l| sum.checked_add(l))
}

/// Gives the open axes one common length, short axes being taken whole, so that a chunk has about `elements`.
fn fill_auto(grids: Vec<Option<AxisGrid>>, shape: &[usize], elements: usize) -> Grid {
    let fixed: usize = grids.iter().flatten().map(AxisGrid::chunk_max).product();
    let mut left = (elements / fixed.max(1)).max(1) as f64;
    let mut open: Vec<usize> = (0..shape.len()).filter(|&a| grids[a].is_none()).collect();
    open.sort_by_key(|&a| shape[a]);
    let mut chunk = vec![0usize; shape.len()];
    for (i, &a) in open.iter().enumerate() {
        let even = left.powf(1.0 / (open.len() - i) as f64).max(1.0);
        let n = shape[a].div_ceil(even as usize).max(1);
        // Equal chunks, not full ones and a sliver.
        chunk[a] = shape[a].div_ceil(n).max(1);
        left = (left / chunk[a] as f64).max(1.0);
    }
    let axes = grids
        .into_iter()
        .enumerate()
        .map(|(a, g)| g.unwrap_or_else(|| AxisGrid::regular(shape[a], chunk[a])));
    Grid::new(axes.collect())
}

/// As users write them: `[1000, -1]`, `1000`.
impl fmt::Display for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Chunks::Auto => f.write_str("auto"),
            Chunks::Bytes(n) => write!(f, "of {}", tilework_plan::quantities::bytes(*n as u64)),
            Chunks::Every(each) => write!(f, "{each}"),
            Chunks::Axes(axes) => {
                let axes: Vec<String> = axes.iter().map(AxisChunks::to_string).collect();
                write!(f, "[{}]", axes.join(", "))
            }
        }
    }
}

impl fmt::Display for AxisChunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AxisChunks::Auto => f.write_str("auto"),
            AxisChunks::Whole => f.write_str("-1"),
            AxisChunks::Len(n) => write!(f, "{n}"),
            AxisChunks::Lens(lens) if lens.len() > LENS_SHOWN_MAX => {
                let first: Vec<String> = lens[..LENS_SHOWN_MAX].iter().map(usize::to_string).collect();
                write!(f, "[{}, … {} lengths]", first.join(", "), lens.len())
            }
            AxisChunks::Lens(lens) => write!(f, "{lens:?}"),
        }
    }
}

/// What lengths may be written as: literals, and what `shape()` and `len()` give. Those beyond `isize` are the whole axis
/// anyway.
macro_rules! lengths {
    ($($int:ty: $isize:expr;)*) => {$(
        impl From<$int> for AxisChunks {
            fn from(len: $int) -> AxisChunks {
                let isize: fn($int) -> isize = $isize;
                AxisChunks::Len(isize(len))
            }
        }

        impl From<$int> for Chunks {
            fn from(len: $int) -> Chunks {
                Chunks::Every(len.into())
            }
        }

        impl<const N: usize> From<[$int; N]> for Chunks {
            fn from(lens: [$int; N]) -> Chunks {
                Chunks::Axes(lens.map(AxisChunks::from).into())
            }
        }

        impl From<($int, $int)> for Chunks {
            fn from((a, b): ($int, $int)) -> Chunks {
                Chunks::from([a, b])
            }
        }

        impl From<($int, $int, $int)> for Chunks {
            fn from((a, b, c): ($int, $int, $int)) -> Chunks {
                Chunks::from([a, b, c])
            }
        }
    )*};
}

lengths! {
    isize: |n| n;
    i32: |n| n as isize;
    usize: |n| isize::try_from(n).unwrap_or(isize::MAX);
}

impl From<Vec<AxisChunks>> for Chunks {
    fn from(axes: Vec<AxisChunks>) -> Chunks {
        Chunks::Axes(axes)
    }
}

impl From<&[isize]> for Chunks {
    fn from(lens: &[isize]) -> Chunks {
        Chunks::Axes(lens.iter().copied().map(AxisChunks::Len).collect())
    }
}

impl From<Vec<isize>> for Chunks {
    fn from(lens: Vec<isize>) -> Chunks {
        Chunks::from(lens.as_slice())
    }
}

impl From<Vec<usize>> for AxisChunks {
    fn from(lens: Vec<usize>) -> AxisChunks {
        AxisChunks::Lens(lens)
    }
}

impl From<&[usize]> for AxisChunks {
    fn from(lens: &[usize]) -> AxisChunks {
        AxisChunks::Lens(lens.to_vec())
    }
}

impl<const N: usize> From<[AxisChunks; N]> for Chunks {
    fn from(axes: [AxisChunks; N]) -> Chunks {
        Chunks::Axes(axes.into())
    }
}

/// The lengths of all chunks, axis by axis, as `chunks` of other libraries' arrays are.
impl From<Vec<Vec<usize>>> for Chunks {
    fn from(axes: Vec<Vec<usize>>) -> Chunks {
        Chunks::Axes(axes.into_iter().map(AxisChunks::Lens).collect())
    }
}

impl From<&[Vec<usize>]> for Chunks {
    fn from(axes: &[Vec<usize>]) -> Chunks {
        Chunks::from(axes.to_vec())
    }
}

impl<const N: usize> From<[Vec<usize>; N]> for Chunks {
    fn from(axes: [Vec<usize>; N]) -> Chunks {
        Chunks::from(Vec::from(axes))
    }
}

impl<const N: usize> From<[&[usize]; N]> for Chunks {
    fn from(axes: [&[usize]; N]) -> Chunks {
        Chunks::Axes(axes.into_iter().map(AxisChunks::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BinaryOp, Scalar};

    #[test]
    fn what_users_write() {
        let grid = |c: Chunks| c.grid(&[100, 60], DType::F64);
        assert_eq!(grid(30.into()).unwrap(), Grid::regular(&[100, 60], &[30, 30]));
        assert_eq!(grid([10, -1].into()).unwrap(), Grid::regular(&[100, 60], &[10, 60]));
        let len = [100, 60].len() * 15;
        assert_eq!(grid(len.into()), grid(30.into()));
        assert_eq!(grid([len, usize::MAX].into()).unwrap(), Grid::regular(&[100, 60], &[30, 60]));
        assert_eq!(grid(Chunks::Auto).unwrap().n_chunks(), 1);
        for lens in [
            Chunks::from(vec![vec![10, 90], vec![60]]),
            [vec![10, 90], vec![60]].into(),
            [&[10, 90][..], &[60]].into(),
            [AxisChunks::from(vec![10, 90]), AxisChunks::Whole].into(),
        ] {
            assert_eq!(grid(lens).unwrap().counts(), [2, 1]);
        }
        let lens = vec![AxisChunks::Lens(vec![10, 90]), AxisChunks::Whole];
        assert_eq!(grid(lens.into()).unwrap().counts(), [2, 1]);
        for bad in [Chunks::from(0), Chunks::from(-2), Chunks::from([1, 2, 3]), Chunks::Bytes(0)] {
            let text = grid(bad).unwrap_err().to_string();
            assert!(text.contains("[100, 60]"), "{text}");
        }
        let odd = vec![AxisChunks::Lens(vec![1; 99]), AxisChunks::Len(-1), AxisChunks::Auto];
        let expected = "chunks [[1, 1, 1, 1, 1, 1, 1, 1, … 99 lengths], -1, auto] for shape [100, 60]: one entry for each axis";
        assert_eq!(grid(odd.into()).unwrap_err().to_string(), expected);
        assert!(grid(vec![AxisChunks::Lens(vec![50, 49]), AxisChunks::Whole].into()).is_err());
        assert!(Chunks::Auto.grid(&[usize::MAX, 2], DType::F64).is_err());
    }

    #[test]
    fn smaller_arrays_have_some_chunks_too() {
        let n = |len: usize| Chunks::Auto.grid(&[len], DType::F64).unwrap().n_chunks();
        assert_eq!([1 << 17, 1 << 18, 1 << 20, 1 << 23, 1 << 26, 1 << 30].map(n), [1, 1, 4, 32, 32, 512]);
    }

    #[test]
    fn results_have_chunks_of_a_bounded_size() {
        let line = Expr::full(&[1 << 21], &Chunks::Auto, Scalar::new(1.0)).unwrap();
        assert_eq!(line.grid().n_chunks(), 8);
        let outer = line.insert_axis(1).unwrap().binary(BinaryOp::Mul, &line).unwrap();
        assert_eq!(outer.grid().chunk_len_max() * 8, AUTO_CHUNK_BYTES);
        let strips = Expr::full(&[20_000, 20_000], &[-1, 100].into(), Scalar::new(1.0)).unwrap();
        let product = strips.permute(&[1, 0]).unwrap().dot(&strips).unwrap();
        assert_eq!(product.grid().chunk_len_max(), 100 * 100);
        let product = strips.dot(&strips.permute(&[1, 0]).unwrap()).unwrap();
        assert_eq!(product.grid().axes()[0].chunk_max(), 1250, "as large as the inputs' chunks");
        let mask = Expr::full(&[1 << 30], &Chunks::Auto, Scalar::new(true)).unwrap();
        assert_eq!(mask.cast(DType::C64).unwrap().grid().chunk_len_max(), 1 << 20);
        // As many chunks as an array may have, where it takes more of that size.
        let line = Expr::full(&[1 << 27], &Chunks::Auto, Scalar::new(1.0)).unwrap();
        let outer = line.insert_axis(1).unwrap().binary(BinaryOp::Mul, &line).unwrap();
        assert_eq!((outer.grid().n_chunks(), outer.grid().chunk_len_max()), (1 << 32, 1 << 22));
        // What the user asked for stays.
        let large = Expr::full(&[1 << 30], &(-1).into(), Scalar::new(1.0)).unwrap();
        assert_eq!(large.binary(BinaryOp::Add, &large).unwrap().grid().n_chunks(), 1);
    }

    #[test]
    fn automatic_chunks_have_about_the_target() {
        for shape in [vec![10_000, 10_000], vec![100_000_000], vec![3, 50_000, 700], vec![1 << 25, 4]] {
            let grid = Chunks::Auto.grid(&shape, DType::F64).unwrap();
            let bytes = grid.chunk_len_max() * 8;
            assert!(bytes <= AUTO_CHUNK_BYTES && bytes > AUTO_CHUNK_BYTES / 3, "{shape:?}: {bytes}");
        }
    }
}
