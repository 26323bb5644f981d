//! Arrays put after one another or on top of one another.

use super::views::{SliceArg, sliced_grid};
use crate::check::{LISTED_CHUNKS_MAX, checked_bytes};
use crate::chunks::merged_lens;
use crate::error::ExprError;
use crate::graph::Expr;
use crate::op::Op;
use std::ops::Range;
use tilework_plan::{AxisGrid, AxisMap, Grid};

/// Pieces whose chunks are listed one by one for the grid of their concatenation.
const PIECES_LISTED: usize = 64;
/// Pieces of a concatenation that was made step by step before some are grouped: each step looks at all of them.
const PIECES_MAX: usize = 512;
/// Pieces of a group.
const GROUP: usize = 256;

impl Expr {
    /// The arrays one after another along `axis`.
    ///
    /// # Errors
    /// [`ExprError::NoArrays`], [`ExprError::AxisOutOfRange`], [`ExprError::Concat`] where shapes differ along another
    /// axis, [`ExprError::MixedDTypes`].
    pub fn concatenate(axis: usize, arrays: &[Expr]) -> Result<Expr, ExprError> {
        let first = arrays.first().ok_or(ExprError::NoArrays { op: "concatenation" })?;
        if axis >= first.ndim() {
            return Err(ExprError::AxisOutOfRange { axis, ndim: first.ndim() });
        }
        for (at, a) in arrays.iter().enumerate() {
            let (got, want) = (a.shape(), first.shape());
            let same = got.len() == want.len() && (0..want.len()).all(|i| i == axis || got[i] == want[i]);
            if !same {
                return Err(ExprError::Concat { at, axis, got, first: want });
            }
            if a.dtype() != first.dtype() {
                let (left, right) = (first.dtype(), a.dtype());
                return Err(ExprError::MixedDTypes { op: "concatenation".into(), left, right });
            }
        }
        if arrays.len() == 1 {
            return Ok(first.clone());
        }
        // In numbers that hold the sum of lengths, which the grid below takes for granted.
        let mut shape = first.shape();
        shape[axis] = arrays.iter().map(|a| a.shape()[axis]).fold(0, usize::saturating_add);
        checked_bytes(&shape, first.dtype())?;
        let n_chunks = arrays.iter().map(|a| a.grid().axes()[axis].n_chunks()).fold(0, usize::saturating_add);
        if n_chunks > LISTED_CHUNKS_MAX {
            let (what, got) = ("number of chunks along the axis of a concatenation", n_chunks.to_string());
            return Err(ExprError::Parameter { what, got, expected: "at most 2^24; make them larger" });
        }
        let pieces = pieces_of(axis, arrays);
        // Few pieces tell best where chunks begin; of many, what they were put together to before is enough.
        let lens = if pieces.len() <= arrays.len().max(PIECES_LISTED) {
            pieces.iter().flat_map(|p| p.chunk_lens(axis)).filter(|&l| l > 0).collect::<Vec<_>>()
        } else {
            let lens = arrays.iter().flat_map(|a| a.grid().axes()[axis].chunk_lens());
            lens.filter(|&l| l > 0).collect()
        };
        let mut parts = pieces.iter().map(|p| p.expr(axis)).collect::<Result<Vec<_>, _>>()?;
        if let [only] = parts.as_slice() {
            return Ok(only.clone());
        }
        if parts.len() > PIECES_MAX.max(2 * arrays.len()) {
            parts = grouped(axis, parts)?;
        }
        joined(axis, parts, lens, first.grid())
    }

    /// The arrays as the slices of a new axis.
    ///
    /// # Errors
    /// As [`Expr::concatenate`]; the new axis may stand behind the last.
    pub fn stack(axis: usize, arrays: &[Expr]) -> Result<Expr, ExprError> {
        let first = arrays.first().ok_or(ExprError::NoArrays { op: "stacking" })?;
        if let Some((at, a)) = arrays.iter().enumerate().find(|(_, a)| a.shape() != first.shape()) {
            return Err(ExprError::Concat { at, axis, got: a.shape(), first: first.shape() });
        }
        let arrays = arrays.iter().map(|a| a.insert_axis(axis)).collect::<Result<Vec<_>, _>>()?;
        Expr::concatenate(axis, &arrays)
    }
}

/// The parts one after another, in chunks of these lengths or longer ones.
fn joined(axis: usize, parts: Vec<Expr>, lens: Vec<usize>, like: &Grid) -> Result<Expr, ExprError> {
    let dtype = parts[0].dtype();
    let mut axes = like.axes().to_vec();
    axes[axis] = AxisGrid::whole(1);
    let across = Grid::new(axes.clone()).chunk_len_max().saturating_mul(dtype.size());
    let lens = merged_lens(lens, across);
    axes[axis] = if lens.is_empty() { AxisGrid::whole(0) } else { AxisGrid::explicit(&lens) };
    Expr::make(Op::Concat { axis }, parts, Grid::new(axes), dtype)
}

/// Positions of an array along the joined axis; the other axes are whole.
struct Piece<'a> {
    of: &'a Expr,
    range: Range<usize>,
    /// The expression that is these positions, if there is one already.
    is: Option<&'a Expr>,
}

impl<'a> Piece<'a> {
    /// What the slices of `of` along the axis are slices of.
    fn new(axis: usize, of: &'a Expr, range: Range<usize>) -> Piece<'a> {
        let is = (range.len() == of.grid().axes()[axis].len()).then_some(of);
        let mut piece = Piece { of, range, is };
        while let Some(start) = start_of_slice(axis, piece.of) {
            piece.range = piece.range.start + start..piece.range.end + start;
            piece.of = &piece.of.inputs()[0];
        }
        piece
    }

    fn chunk_lens(&self, axis: usize) -> Vec<usize> {
        let grid = &self.of.grid().axes()[axis];
        sliced_grid(grid, self.range.start, 1, self.range.len()).chunk_lens()
    }

    fn expr(&self, axis: usize) -> Result<Expr, ExprError> {
        if let Some(is) = self.is {
            return Ok(is.clone());
        }
        if self.range == (0..self.of.grid().axes()[axis].len()) {
            return Ok(self.of.clone());
        }
        let mut args = vec![SliceArg::Range { start: 0, end: None, step: 1 }; self.of.ndim()];
        let (start, end) = (self.range.start as isize, Some(self.range.end as isize));
        args[axis] = SliceArg::Range { start, end, step: 1 };
        self.of.slice(&args)
    }
}

/// Where a slice of consecutive positions of one axis starts; `None` for anything else.
fn start_of_slice(axis: usize, expr: &Expr) -> Option<usize> {
    let Op::View(view) = expr.op() else { return None };
    let input = &expr.inputs()[0];
    if view.axes.len() != expr.ndim() {
        return None;
    }
    let mut start_along = None;
    for (a, map) in view.axes.iter().enumerate() {
        match *map {
            AxisMap::Along { axis: out, start, step: 1 } if out == a => {
                if a == axis {
                    start_along = Some(start);
                } else if start != 0 || expr.grid().axes()[a] != input.grid().axes()[a] {
                    return None;
                }
            }
            _ => return None,
        }
    }
    start_along
}

/// What the arrays are made of: concatenations along the same axis are taken apart, and neighbours that are
/// neighbours in one array are one piece. So an array to which something was put again and again, or whose halves
/// changed places again and again, is one concatenation.
fn pieces_of<'a>(axis: usize, arrays: &'a [Expr]) -> Vec<Piece<'a>> {
    let mut pieces: Vec<Piece<'a>> = Vec::with_capacity(arrays.len());
    let mut push = |piece: Piece<'a>| match pieces.last_mut() {
        _ if piece.range.is_empty() => {}
        Some(last) if last.of.same(piece.of) && last.range.end == piece.range.start => {
            last.range.end = piece.range.end;
            last.is = None;
        }
        _ => pieces.push(piece),
    };
    for array in arrays {
        let whole = Piece::new(axis, array, 0..array.grid().axes()[axis].len());
        if *whole.of.op() != (Op::Concat { axis }) {
            push(whole);
            continue;
        }
        let mut at = 0;
        for part in whole.of.inputs() {
            let len = part.grid().axes()[axis].len();
            let (from, to) = (whole.range.start.max(at), whole.range.end.min(at + len));
            if from < to {
                push(Piece::new(axis, part, from - at..to - at));
            }
            at += len;
        }
    }
    if pieces.is_empty() {
        pieces.push(Piece { of: &arrays[0], range: 0..0, is: Some(&arrays[0]) });
    }
    pieces
}

/// The parts with runs of them put together, so that they are few. Such groups are for building alone: in a program
/// their parts stand in their place.
fn grouped(axis: usize, parts: Vec<Expr>) -> Result<Vec<Expr>, ExprError> {
    let level = |part: &Expr| {
        let (mut part, mut level) = (part, 0);
        while *part.op() == (Op::Concat { axis }) {
            (part, level) = (&part.inputs()[0], level + 1);
        }
        level
    };
    let levels: Vec<u32> = parts.iter().map(level).collect();
    let mut groups = Vec::new();
    let mut at = 0;
    while at < parts.len() {
        let run = levels[at..].iter().take_while(|&&l| l == levels[at]).count();
        let (grouped, left) = parts[at..at + run].split_at(run - run % GROUP);
        for group in grouped.chunks(GROUP) {
            let lens = group.iter().flat_map(|p| p.grid().axes()[axis].chunk_lens()).filter(|&l| l > 0);
            groups.push(joined(axis, group.to_vec(), lens.collect(), group[0].grid())?);
        }
        groups.extend_from_slice(left);
        at += run;
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunks::JOINED_CHUNKS_MAX;
    use crate::{Chunks, DType, Lowered, Program};
    use std::sync::Arc;
    use tilework_plan::Plan;

    fn literal(len: usize, chunk: isize, id: u64) -> Expr {
        Expr::literal(&[len], &Chunks::from(chunk), DType::I64, id, Arc::new(())).unwrap()
    }

    fn part(of: &Expr, start: isize, end: isize) -> Expr {
        of.slice(&[SliceArg::Range { start, end: Some(end), step: 1 }]).unwrap()
    }

    fn plan(of: &Expr) -> Arc<Plan> {
        Lowered::of(&Program::new(std::slice::from_ref(of))).unwrap().plan
    }

    #[test]
    fn what_is_appended_step_by_step_is_one_concatenation() {
        let one = literal(10, 10, 1);
        let mut all = one.clone();
        for _ in 1..20_000 {
            all = Expr::concatenate(0, &[all, one.clone()]).unwrap();
        }
        assert_eq!(all.shape(), [200_000]);
        assert!(all.grid().n_chunks() <= JOINED_CHUNKS_MAX as u64, "{}", all.grid().n_chunks());
        let program = Program::new(std::slice::from_ref(&all));
        assert!(program.nodes.len() <= 3, "{} nodes", program.nodes.len());
        assert_eq!(program.nodes[1].inputs.len(), 20_000);
        // The source, one task a part, and one for each chunk of the result.
        let plan = plan(&all);
        assert!(plan.n_tasks_in_all() <= 20_001 + JOINED_CHUNKS_MAX as u64, "{}", plan.n_tasks_in_all());
    }

    #[test]
    fn turns_of_an_array_are_two_slices_of_it() {
        let x = literal(1000, 300, 1);
        let mut turned = x.clone();
        for _ in 0..2500 {
            turned = Expr::concatenate(0, &[part(&turned, 999, 1000), part(&turned, 0, 999)]).unwrap();
        }
        assert_eq!(turned.inputs().len(), 2);
        assert!(turned.grid().n_chunks() <= 5, "{:?}", turned.grid());
        assert_eq!(plan(&turned).stages.len(), 2);
        for _ in 2500..3000 {
            turned = Expr::concatenate(0, &[part(&turned, 999, 1000), part(&turned, 0, 999)]).unwrap();
        }
        assert!(turned.same(&x), "as often as it is long: {turned:?}");
    }

    #[test]
    fn rows_that_are_inserted_cut_nothing_into_ever_smaller_chunks() {
        let (one, mut all) = (literal(1, 1, 1), literal(1000, 250, 2));
        for i in 0..1200 {
            let at = (i * 7) % all.shape()[0] as isize;
            let parts = [part(&all, 0, at), one.clone(), part(&all, at, all.shape()[0] as isize)];
            all = Expr::concatenate(0, &parts).unwrap();
        }
        assert_eq!(all.shape(), [2200]);
        assert!(all.grid().n_chunks() <= JOINED_CHUNKS_MAX as u64, "{}", all.grid().n_chunks());
        let n_tasks = plan(&all).n_tasks_in_all();
        assert!(n_tasks <= 10_000, "{n_tasks}");
    }

    #[test]
    fn chunks_that_somebody_chose_stay() {
        let (x, y) = (literal(12, 4, 1), literal(8, 4, 2));
        let cut = Expr::concatenate(0, &[x.clone(), y.clone()]).unwrap().rechunk(&Chunks::from(5)).unwrap();
        let all = Expr::concatenate(0, &[cut, y]).unwrap();
        assert_eq!(all.grid().axes()[0].chunk_lens(), [5, 5, 5, 5, 4, 4]);
        assert_eq!(all.inputs().len(), 2);
        let back = Expr::concatenate(0, &[part(&x, 0, 5), part(&x, 5, 12)]).unwrap();
        assert!(back.same(&x));
        let empty = Expr::concatenate(0, &[part(&x, 3, 3), part(&x, 7, 7)]).unwrap();
        assert_eq!(empty.shape(), [0]);
    }
}
