//! Grids whose chunks are runs in row-major order: what reshaping needs on both sides.
//!
//! Knows geometry. Must not know operations.

use tilework_plan::{AxisGrid, Grid};

/// Whether every chunk is one run of row-major positions: chunks of length 1 before the cut axis, whole axes
/// behind it.
#[must_use]
pub fn is_run_grid(grid: &Grid) -> bool {
    let axes = grid.axes();
    let last_cut = axes.iter().rposition(|a| a.n_chunks() > 1).unwrap_or(0);
    axes.iter().take(last_cut).all(|a| a.chunk_max() <= 1)
}

/// The run grid of an array of `shape` whose chunks have about `len` elements.
#[must_use]
pub fn run_grid(shape: &[usize], len: usize) -> Grid {
    let len = len.max(1);
    let mut axes: Vec<AxisGrid> = shape.iter().map(|&l| AxisGrid::whole(l)).collect();
    let mut behind = 1usize;
    let mut cut = 0;
    for (a, &l) in shape.iter().enumerate().rev() {
        let with = behind.saturating_mul(l);
        if with > len {
            cut = a + 1;
            axes[a] = AxisGrid::regular(l, (len / behind.max(1)).max(1));
            break;
        }
        behind = with;
    }
    for (axis, &l) in axes.iter_mut().zip(shape).take(cut.saturating_sub(1)) {
        *axis = AxisGrid::regular(l, 1);
    }
    Grid::new(axes)
}

/// The run grid of the same shape whose chunks have about as many elements as those of `grid`.
#[must_use]
pub fn run_grid_like(grid: &Grid) -> Grid {
    if is_run_grid(grid) { grid.clone() } else { run_grid(&grid.shape(), grid.chunk_len_max()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilework_plan::ChunkIdx;
    use tilework_plan::flat_range;

    #[test]
    fn run_grids_cover_positions_in_order() {
        for shape in [vec![4, 5, 6], vec![1, 100], vec![7], vec![], vec![3, 0, 2]] {
            for len in [1, 4, 7, 30, 1000] {
                let g = run_grid(&shape, len);
                assert!(is_run_grid(&g), "{g:?}");
                let mut at = 0;
                for c in 0..g.n_chunks() {
                    let r = flat_range(&g, ChunkIdx(c));
                    assert_eq!(r.start, at, "{g:?}");
                    at = r.end;
                }
                assert_eq!(at, shape.iter().product::<usize>());
            }
        }
        assert!(!is_run_grid(&Grid::regular(&[4, 4], &[2, 2])));
    }
}
