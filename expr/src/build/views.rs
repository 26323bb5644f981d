//! Slices, permutations, new and removed axes: affine views of an array.

use crate::check::LISTED_CHUNKS_MAX;
use crate::error::ExprError;
use crate::graph::Expr;
use crate::op::Op;
use tilework_plan::{AxisGrid, AxisMap, Grid, View, outputs_within};

/// Positions of an axis that are listed one by one, at most.
const POSITIONS_MAX: usize = 1 << 24;

/// What to take along one axis; ndarray's `SliceInfoElem` in our words. Negative indices count from the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SliceArg {
    /// `start..end` in steps; a negative step runs through the same positions backwards, as ndarray's does.
    Range {
        /// First position.
        start: isize,
        /// End, or the axis' length.
        end: Option<isize>,
        /// Step, not 0.
        step: isize,
    },
    /// One position; the axis goes away.
    At(isize),
    /// A new axis of length 1.
    NewAxis,
}

impl Expr {
    /// A slice with one entry for each axis (and one for each new axis).
    ///
    /// # Errors
    /// [`ExprError::Slice`] for positions beyond the axis or a step of 0, [`ExprError::Axes`] for another number of
    /// entries than the array has axes.
    pub fn slice(&self, args: &[SliceArg]) -> Result<Expr, ExprError> {
        let n_old = args.iter().filter(|a| **a != SliceArg::NewAxis).count();
        if n_old != self.ndim() {
            let expected = "one slice for each axis";
            return Err(ExprError::Axes { axes: (0..n_old).collect(), ndim: self.ndim(), expected });
        }
        let mut maps = Vec::with_capacity(n_old);
        let mut out: Vec<AxisGrid> = Vec::new();
        for arg in args {
            let axis = maps.len();
            match *arg {
                SliceArg::NewAxis => out.push(AxisGrid::whole(1)),
                SliceArg::At(i) => maps.push(AxisMap::At(position(i, axis, self.grid().axes()[axis].len())?)),
                SliceArg::Range { start, end, step } => {
                    let grid = &self.grid().axes()[axis];
                    let (start, n, step) = resolve((start, end, step), axis, grid.len())?;
                    maps.push(AxisMap::Along { axis: out.len(), start, step });
                    out.push(sliced_grid(grid, start, step, n));
                }
            }
        }
        self.view(View { axes: maps }, Grid::new(out))
    }

    /// The axes in another order.
    ///
    /// # Errors
    /// [`ExprError::Axes`] where `axes` is not each axis once.
    pub fn permute(&self, axes: &[usize]) -> Result<Expr, ExprError> {
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..self.ndim()) {
            let expected = "each axis once";
            return Err(ExprError::Axes { axes: axes.to_vec(), ndim: self.ndim(), expected });
        }
        let mut maps = vec![AxisMap::At(0); self.ndim()];
        for (out, &axis) in axes.iter().enumerate() {
            maps[axis] = AxisMap::same(out);
        }
        self.view(View { axes: maps }, self.grid().select(axes))
    }

    /// The axes in reverse order.
    ///
    /// # Errors
    /// None in practice.
    pub fn reversed_axes(&self) -> Result<Expr, ExprError> {
        self.permute(&(0..self.ndim()).rev().collect::<Vec<_>>())
    }

    /// A new axis of length 1 before `axis`.
    ///
    /// # Errors
    /// [`ExprError::AxisOutOfRange`] where `axis` is greater than the number of dimensions.
    pub fn insert_axis(&self, axis: usize) -> Result<Expr, ExprError> {
        if axis > self.ndim() {
            return Err(ExprError::AxisOutOfRange { axis, ndim: self.ndim() });
        }
        let whole = SliceArg::Range { start: 0, end: None, step: 1 };
        let mut args = vec![whole; self.ndim()];
        args.insert(axis, SliceArg::NewAxis);
        self.slice(&args)
    }

    /// The listed positions of an axis, in their order; positions may be repeated. In chunks as long as the array's
    /// longest along the axis.
    ///
    /// # Errors
    /// [`ExprError::AxisOutOfRange`], [`ExprError::Slice`] for a position beyond the axis, [`ExprError::Parameter`] for
    /// more than 2^24 positions.
    pub fn take(&self, axis: usize, positions: &[usize]) -> Result<Expr, ExprError> {
        let of = self.grid().axes().get(axis);
        let of = of.ok_or(ExprError::AxisOutOfRange { axis, ndim: self.ndim() })?;
        if let Some(beyond) = positions.iter().find(|&&p| p >= of.len()) {
            let (given, expected) = (beyond.to_string(), "positions within the axis");
            return Err(ExprError::Slice { given, axis, len: of.len(), expected });
        }
        if positions.len() > POSITIONS_MAX {
            let (what, got) = ("number of positions to select", positions.len().to_string());
            return Err(ExprError::Parameter { what, got, expected: "at most 2^24" });
        }
        let mut axes = self.grid().axes().to_vec();
        axes[axis] = AxisGrid::regular(positions.len(), of.chunk_max());
        let op = Op::Take { axis, positions: positions.into() };
        Expr::make(op, vec![self.clone()], Grid::new(axes), self.dtype())
    }

    fn view(&self, view: View, grid: Grid) -> Result<Expr, ExprError> {
        if view.is_identity(grid.ndim()) && grid == *self.grid() {
            return Ok(self.clone());
        }
        Expr::make(Op::View(view), vec![self.clone()], grid, self.dtype())
    }
}

fn position(i: isize, axis: usize, len: usize) -> Result<usize, ExprError> {
    let at = if i < 0 { i + len as isize } else { i };
    let inside = (0..len as isize).contains(&at);
    let given = i.to_string();
    if inside {
        Ok(at as usize)
    } else {
        Err(ExprError::Slice { given, axis, len, expected: "an index within the axis" })
    }
}

/// First input position, number of outputs and step of a range.
fn resolve(
    (start, end, step): (isize, Option<isize>, isize),
    axis: usize,
    len: usize,
) -> Result<(usize, usize, isize), ExprError> {
    let error = |expected| {
        let end = end.map_or(String::new(), |e| e.to_string());
        Err(ExprError::Slice { given: format!("{start}..{end};{step}"), axis, len, expected })
    };
    let from_end = |i: isize| if i < 0 { i + len as isize } else { i };
    let (s, e) = (from_end(start), end.map_or(len as isize, from_end));
    if step == 0 {
        return error("a step that is not 0");
    }
    if !(0..=len as isize).contains(&s) || !(0..=len as isize).contains(&e) {
        return error("positions within the axis");
    }
    let span = (e - s).max(0) as usize;
    let n = span.div_ceil(step.unsigned_abs());
    let first = if step > 0 || n == 0 { s as usize } else { e as usize - 1 };
    // A step to nowhere may be longer than any memory; one that is taken is not.
    Ok((first, n, if n <= 1 { step.signum() } else { step }))
}

/// The grid of a slice: its chunks are what is left of the array's chunks, in the slice's order; of more than can be
/// listed one by one, chunks of that length.
pub(super) fn sliced_grid(grid: &AxisGrid, start: usize, step: isize, n: usize) -> AxisGrid {
    if let AxisGrid::Regular { chunk, .. } = grid
        && step == 1
        && start.is_multiple_of(*chunk)
    {
        return AxisGrid::regular(n, *chunk);
    }
    let last = start.wrapping_add_signed(step.wrapping_mul(n.saturating_sub(1) as isize));
    let touched = if n == 0 { 0..0 } else { grid.chunks_touching(start.min(last)..start.max(last) + 1) };
    if touched.len() > LISTED_CHUNKS_MAX {
        return AxisGrid::regular(n, grid.chunk_max() / step.unsigned_abs());
    }
    let mut lens: Vec<usize> =
        touched.map(|c| outputs_within(grid.range(c), start, step, 0..n).len()).filter(|&l| l > 0).collect();
    if step < 0 {
        lens.reverse();
    }
    if lens.is_empty() { AxisGrid::whole(0) } else { AxisGrid::explicit(&lens) }
}
