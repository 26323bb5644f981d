//! How a user asks for chunks, and the grid that comes of it.
//!
//! Knows shapes and sizes. Must not know operations.

use crate::dtype::DType;
use crate::error::ExprError;
use crate::grid::{AxisGrid, Grid};

/// Bytes that an automatic chunk aims at. `benches/` compares sizes: from 4 to 64 MiB it hardly matters.
pub const AUTO_CHUNK_BYTES: usize = 16 << 20;

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
/// Made from what users write: a length for all axes (`1000`), lengths per axis (`[1000, -1]`, `(1000, 500)`),
/// or a list of [`AxisChunks`]. `-1` is the whole axis.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Chunks {
    /// About [`AUTO_CHUNK_BYTES`] a chunk.
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
        crate::check::checked_bytes(shape, dtype)?;
        let error =
            |expected| ExprError::Chunks { chunks: format!("{self:?}"), shape: shape.to_vec(), expected };
        if shape.len() > crate::check::NDIM_MAX {
            return Err(error("at most 32 dimensions"));
        }
        let (axes, target) = match self {
            Chunks::Auto => (vec![AxisChunks::Auto; shape.len()], AUTO_CHUNK_BYTES),
            Chunks::Bytes(0) => return Err(error("at least one byte a chunk")),
            Chunks::Bytes(n) => (vec![AxisChunks::Auto; shape.len()], *n),
            Chunks::Every(a) => (vec![a.clone(); shape.len()], AUTO_CHUNK_BYTES),
            Chunks::Axes(axes) => (axes.clone(), AUTO_CHUNK_BYTES),
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

impl From<isize> for Chunks {
    fn from(len: isize) -> Chunks {
        Chunks::Every(AxisChunks::Len(len))
    }
}

impl From<isize> for AxisChunks {
    fn from(len: isize) -> AxisChunks {
        AxisChunks::Len(len)
    }
}

impl From<Vec<AxisChunks>> for Chunks {
    fn from(axes: Vec<AxisChunks>) -> Chunks {
        Chunks::Axes(axes)
    }
}

impl<const N: usize> From<[isize; N]> for Chunks {
    fn from(lens: [isize; N]) -> Chunks {
        Chunks::Axes(lens.into_iter().map(AxisChunks::Len).collect())
    }
}

impl From<&[isize]> for Chunks {
    fn from(lens: &[isize]) -> Chunks {
        Chunks::Axes(lens.iter().copied().map(AxisChunks::Len).collect())
    }
}

impl From<(isize, isize)> for Chunks {
    fn from((a, b): (isize, isize)) -> Chunks {
        Chunks::from([a, b])
    }
}

impl From<(isize, isize, isize)> for Chunks {
    fn from((a, b, c): (isize, isize, isize)) -> Chunks {
        Chunks::from([a, b, c])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_write() {
        let grid = |c: Chunks| c.grid(&[100, 60], DType::F64);
        assert_eq!(grid(30.into()).unwrap(), Grid::regular(&[100, 60], &[30, 30]));
        assert_eq!(grid([10, -1].into()).unwrap(), Grid::regular(&[100, 60], &[10, 60]));
        assert_eq!(grid(Chunks::Auto).unwrap().n_chunks(), 1);
        let lens = vec![AxisChunks::Lens(vec![10, 90]), AxisChunks::Whole];
        assert_eq!(grid(lens.into()).unwrap().counts(), [2, 1]);
        for bad in [Chunks::from(0), Chunks::from(-2), Chunks::from([1, 2, 3]), Chunks::Bytes(0)] {
            let text = grid(bad).unwrap_err().to_string();
            assert!(text.contains("[100, 60]"), "{text}");
        }
        assert!(grid(vec![AxisChunks::Lens(vec![50, 49]), AxisChunks::Whole].into()).is_err());
        assert!(Chunks::Auto.grid(&[usize::MAX, 2], DType::F64).is_err());
    }

    #[test]
    fn automatic_chunks_have_about_the_target() {
        for shape in [vec![10_000, 10_000], vec![100_000_000], vec![3, 50_000, 700], vec![1 << 20, 4]] {
            let grid = Chunks::Auto.grid(&shape, DType::F64).unwrap();
            let bytes = grid.chunk_len_max() * 8;
            assert!(bytes <= AUTO_CHUNK_BYTES && bytes > AUTO_CHUNK_BYTES / 3, "{shape:?}: {bytes}");
        }
    }
}
