//! The fold of one box: leaves, the binary trees over them, and their spread over threads.
//!
//! A box is folded along rows where the folded axes lie inside (each row in leaves of neighbours), else along columns
//! (leaves of some rows, folded elementwise). Trees are cut where [`tree_split`] says, whoever computes the halves.
//!
//! Owns the order of leaves. Must not know what a fold keeps.

use super::Order;
use super::fold::{Columns, FoldFns, LANES};
use super::states::{Counter, States, tree_split};
use crate::feed::KernelError;
use crate::map::{even, piece_len};
use crate::pool::{SendPtr, check, for_each, join, with_scratch};
use crate::program::{BLOCK, Program, Run};
use std::ops::Range;
use std::sync::atomic::AtomicBool;

/// Rows of a leaf, in each lane.
const LEAF_ROWS: usize = 32;
/// The most kept positions that are folded side by side along rows.
const TILE_ROWS: usize = 4096;

/// The fold of a program over a box.
pub(crate) struct Tree<'a> {
    program: &'a Program,
    fns: &'a FoldFns,
    stop: &'a AtomicBool,
    /// Positions of the outer kept axes.
    outer: usize,
    /// Positions of the outer folded axes.
    folded: usize,
    /// Positions of the inner kept axes.
    inner: usize,
    /// Positions of the inner folded axes; 1 where the fold goes along columns.
    row: usize,
    by_rows: bool,
    /// Elements that one thread folds by itself.
    piece: usize,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(
        program: &'a Program,
        fns: &'a FoldFns,
        (order, lens): (&Order, &[usize]),
        stop: &'a AtomicBool,
    ) -> Tree<'a> {
        let len = |axes: &[usize]| axes.iter().map(|&a| lens[a]).product::<usize>();
        let by_rows = !order.folded_inner.is_empty();
        let (inner, row) = (len(&order.kept_inner), len(&order.folded_inner));
        Tree {
            program,
            fns,
            stop,
            outer: len(&order.kept_outer),
            folded: len(&order.folded_outer),
            inner,
            row,
            by_rows,
            piece: piece_len(program, if by_rows { row } else { inner }),
        }
    }

    /// The states of all kept positions.
    pub(crate) fn fold(&self) -> Result<States, KernelError> {
        let mut result = States::identity(self.fns, self.outer * self.inner);
        let tile = match (self.by_rows, self.folded) {
            (false, _) => even(self.inner, BLOCK, 16),
            (true, 1) => even(self.inner, (self.piece / self.row).max(1), 1),
            (true, _) => even(self.inner, TILE_ROWS, 1),
        };
        let tiles = self.inner.div_ceil(tile);
        let target = SendPtr::new(result.at(self.fns, 0));
        let units = self.folded.div_ceil(self.unit_rows());
        let elements = self.outer * self.inner * self.folded * self.row;
        for_each(self.outer * tiles, elements, |i| {
            let (outer, start) = (i / tiles, i % tiles * tile);
            let cols = start..(start + tile).min(self.inner);
            let states = self.units(outer, &cols, 0..units)?;
            let place = target.add((outer * self.inner + start) * self.fns.state_size);
            // SAFETY: each tile has its own place in the result.
            unsafe { std::ptr::copy_nonoverlapping(states.ptr(), place, cols.len() * self.fns.state_size) };
            Ok(())
        })?;
        Ok(result)
    }

    /// Interleaved parts that the rows of a leaf are folded into, so that short rows fill vector registers.
    fn lanes(&self) -> usize {
        if self.by_rows { 1 } else { LANES.div_ceil(self.inner).next_power_of_two() }
    }

    /// Rows of a leaf.
    fn unit_rows(&self) -> usize {
        if self.by_rows { 1 } else { LEAF_ROWS * self.lanes() }
    }

    /// The outer folded positions of some leaves.
    fn rows_of(&self, units: &Range<usize>) -> Range<usize> {
        let rows = self.unit_rows();
        (units.start * rows).min(self.folded)..(units.end * rows).min(self.folded)
    }

    /// The tree over some leaves, for the inner kept positions `tile` at one outer kept position.
    fn units(&self, outer: usize, tile: &Range<usize>, units: Range<usize>) -> Result<States, KernelError> {
        let work = units.len() * self.unit_rows() * tile.len() * self.row;
        if units.len() > 1 && work > self.piece {
            let cut = units.start + tree_split(units.len());
            let (left, right) = join(
                || self.units(outer, tile, units.start..cut),
                || self.units(outer, tile, cut..units.end),
            );
            let mut states = left?;
            states.merge(self.fns, &right?);
            return Ok(states);
        }
        check(self.stop)?;
        let states = if self.by_rows {
            self.row_leaves(outer, tile, units)?
        } else {
            self.column_leaves(outer, tile, units)?
        };
        states.ok_or_else(|| KernelError::Operation("a fold over an empty range".into()))
    }

    /// The tree over rows of neighbours: each row is folded to one state per inner kept position.
    fn row_leaves(
        &self,
        outer: usize,
        tile: &Range<usize>,
        units: Range<usize>,
    ) -> Result<Option<States>, KernelError> {
        let row = |folded: usize, inner: usize| (outer * self.folded + folded) * self.inner + inner;
        if tile.len() < self.inner || units.len() == 1 {
            let mut counter = Counter::new(self.fns);
            for f in units {
                let mut states = self.rows(row(f, tile.start)..row(f, tile.end))?;
                states.shift(self.fns, (f * self.row) as u64);
                counter.push(states);
            }
            return Ok(counter.finish());
        }
        let mut all = self.rows(row(units.start, 0)..row(units.end, 0))?;
        let mut counter = Counter::new(self.fns);
        for (i, f) in units.enumerate() {
            let mut states = counter.fresh(self.inner);
            let bytes = self.inner * self.fns.state_size;
            // SAFETY: `all` has one state for each row of these units.
            unsafe {
                std::ptr::copy_nonoverlapping(all.at(self.fns, i * self.inner), states.at(self.fns, 0), bytes)
            };
            states.count = self.row as u64;
            states.shift(self.fns, (f * self.row) as u64);
            counter.push(states);
        }
        Ok(counter.finish())
    }

    /// The state of each of these rows of the space.
    fn rows(&self, rows: Range<usize>) -> Result<States, KernelError> {
        let mut result = States::identity(self.fns, rows.len());
        result.count = self.row as u64;
        self.rows_into(rows, SendPtr::new(result.at(self.fns, 0)))?;
        Ok(result)
    }

    fn rows_into(&self, rows: Range<usize>, out: SendPtr) -> Result<(), KernelError> {
        if rows.len() > 1 && rows.len() * self.row > self.piece {
            let half = rows.len() / 2;
            let right = out.offset((half * self.fns.state_size) as isize);
            let cut = rows.start + half;
            let (a, b) =
                join(|| self.rows_into(rows.start..cut, out), || self.rows_into(cut..rows.end, right));
            return a.and(b);
        }
        if self.row > BLOCK {
            let leaves = self.row.div_ceil(self.leaf());
            if rows.len() == 1 && self.row > self.piece {
                return self.leaves(rows.start, 0..leaves).map(|s| self.put(&s, out.get()));
            }
            return self.with_run(rows.clone(), 0..self.row, |run, room| {
                for (i, row) in rows.enumerate() {
                    let states = self.leaves_here(run, room, row, 0..leaves)?;
                    self.put(&states, out.add(i * self.fns.state_size));
                }
                Ok(())
            });
        }
        let step = BLOCK / self.row;
        self.with_run(rows.clone(), 0..self.row, |run, room| {
            for start in rows.clone().step_by(step) {
                let block = start..(start + step).min(rows.end);
                let (n, place) = (block.len(), out.add((start - rows.start) * self.fns.state_size));
                // SAFETY: the block lies in the run; each row has its own state in the result.
                unsafe { (self.fns.rows)(run.dense(block, 0..self.row, room)?, n, self.row, place) };
            }
            Ok(())
        })
    }

    /// Stores the one state of a long row.
    fn put(&self, states: &States, place: *mut u8) {
        // SAFETY: the place is that of one state, and no other thread's.
        unsafe { std::ptr::copy_nonoverlapping(states.ptr(), place, self.fns.state_size) }
    }

    /// Elements of a leaf of a long row.
    fn leaf(&self) -> usize {
        even(self.row, BLOCK, LANES)
    }

    /// The tree over some leaves of one long row.
    fn leaves(&self, row: usize, leaves: Range<usize>) -> Result<States, KernelError> {
        if leaves.len() > 1 && leaves.len() * self.leaf() > self.piece {
            let cut = leaves.start + tree_split(leaves.len());
            let (left, right) =
                join(|| self.leaves(row, leaves.start..cut), || self.leaves(row, cut..leaves.end));
            let mut states = left?;
            states.merge(self.fns, &right?);
            return Ok(states);
        }
        check(self.stop)?;
        let cols = leaves.start * self.leaf()..(leaves.end * self.leaf()).min(self.row);
        self.with_run(row..row + 1, cols, |run, room| self.leaves_here(run, room, row, leaves.clone()))
    }

    fn leaves_here(
        &self,
        run: &mut Run<'_>,
        room: *mut u8,
        row: usize,
        leaves: Range<usize>,
    ) -> Result<States, KernelError> {
        let mut counter = Counter::new(self.fns);
        for leaf in leaves {
            let start = leaf * self.leaf();
            let cols = start..(start + self.leaf()).min(self.row);
            let mut states = counter.fresh(1);
            states.count = cols.len() as u64;
            // SAFETY: the leaf lies in the run and is one block.
            unsafe {
                let n = cols.len();
                (self.fns.rows)(run.dense(row..row + 1, cols, room)?, 1, n, states.at(self.fns, 0));
            }
            states.shift(self.fns, start as u64);
            counter.push(states);
        }
        counter.finish().ok_or_else(|| KernelError::Operation("a fold over an empty row".into()))
    }

    /// The tree over leaves of rows that are folded elementwise.
    fn column_leaves(
        &self,
        outer: usize,
        tile: &Range<usize>,
        units: Range<usize>,
    ) -> Result<Option<States>, KernelError> {
        let base = outer * self.folded;
        let rows = self.rows_of(&units);
        let mut counter = Counter::new(self.fns);
        self.with_run(base + rows.start..base + rows.end, tile.clone(), |run, room| {
            for unit in units.clone() {
                let rows = self.rows_of(&(unit..unit + 1));
                let mut lanes = counter.fresh(self.lanes() * tile.len());
                self.column_leaf((run, room), (base, rows.clone()), tile, &mut lanes)?;
                let states = self.join_lanes(lanes, rows.len(), tile.len());
                counter.push(states);
            }
            Ok(())
        })?;
        Ok(counter.finish())
    }

    /// Folds the rows of one leaf into its lanes: row `i` into lane `i % lanes`.
    fn column_leaf(
        &self,
        (run, room): (&mut Run<'_>, *mut u8),
        (base, rows): (usize, Range<usize>),
        tile: &Range<usize>,
        lanes: &mut States,
    ) -> Result<(), KernelError> {
        let (n_lanes, width, size) = (self.lanes(), tile.len(), self.program.result_size());
        let step =
            if width == self.inner && width * 2 <= BLOCK { BLOCK / width / n_lanes * n_lanes } else { 1 };
        let full = n_lanes * width;
        let mut held: Vec<*const u8> = Vec::with_capacity(LEAF_ROWS);
        let (mut last, mut end) = (0, rows.start);
        for start in rows.clone().step_by(step) {
            let block = start..(start + step).min(rows.end);
            let room = match self.fns.columns {
                Columns::Each(_) => room,
                Columns::Leaf(_) => room.wrapping_add((start - rows.start) * width * size),
            };
            // SAFETY: the block lies in the run, and the room is that of a whole leaf.
            let ptr = unsafe { run.dense(base + block.start..base + block.end, tile.clone(), room)? };
            for group in block.clone().step_by(n_lanes) {
                last = n_lanes.min(block.end - group) * width;
                if last < full {
                    self.fold_held(&mut held, full, end, lanes);
                }
                held.push(ptr.wrapping_add((group - block.start) * width * size));
                end = group + n_lanes;
            }
            if std::ptr::eq(ptr, room) {
                // The next block is computed in their place.
                self.fold_held(&mut held, last, end, lanes);
            }
        }
        self.fold_held(&mut held, last, end, lanes);
        if let Columns::Leaf(f) = self.fns.columns {
            let full = if held.len() > 1 { full } else { last };
            // SAFETY: each row has `full` elements but the last, and there is a state for each.
            unsafe { f(&held, full, last, lanes.at(self.fns, 0)) };
        }
        Ok(())
    }

    /// Folds the rows that are held, of `n` elements each and the last before position `end`, unless a leaf is folded
    /// at once.
    fn fold_held(&self, held: &mut Vec<*const u8>, n: usize, end: usize, lanes: &mut States) {
        if let Columns::Each(f) = self.fns.columns {
            let (first, step) = (end - held.len() * self.lanes(), self.lanes());
            // SAFETY: `n` elements in each of the rows, and a state for each.
            unsafe { f(lanes.at(self.fns, 0), held, n, first as u64, step as u64) };
            held.clear();
        }
    }

    /// Folds the lanes of a leaf of `rows` rows into one row of `width` states.
    fn join_lanes(&self, mut lanes: States, rows: usize, width: usize) -> States {
        let n_lanes = self.lanes();
        if n_lanes == 1 {
            lanes.count = rows as u64;
            return lanes;
        }
        let mut counts: Vec<u64> =
            (0..n_lanes).map(|l| (rows.saturating_sub(l)).div_ceil(n_lanes) as u64).collect();
        if let Some(shift) = self.fns.shift {
            for l in 1..n_lanes {
                // SAFETY: each lane has `width` states.
                unsafe { shift(lanes.at(self.fns, l * width), width, l as u64) };
            }
        }
        let mut half = n_lanes / 2;
        while half > 0 {
            for l in 0..half {
                let (to, from) = (lanes.at(self.fns, l * width), lanes.at(self.fns, (l + half) * width));
                // SAFETY: two lanes of `width` states.
                unsafe { (self.fns.merge)(to, from, width, counts[l], counts[l + half]) };
                counts[l] += counts[l + half];
            }
            half /= 2;
        }
        let mut states = States::identity(self.fns, width);
        states.count = counts[0];
        // SAFETY: both have `width` states.
        unsafe {
            std::ptr::copy_nonoverlapping(lanes.ptr(), states.at(self.fns, 0), width * self.fns.state_size);
        }
        states
    }

    /// Runs the program over a part of the space, with room for the elements of a leaf.
    fn with_run<R>(
        &self,
        rows: Range<usize>,
        cols: Range<usize>,
        f: impl FnOnce(&mut Run<'_>, *mut u8) -> Result<R, KernelError>,
    ) -> Result<R, KernelError> {
        let scratch = self.program.scratch_bytes(rows.len() * cols.len()).next_multiple_of(64);
        let room = BLOCK.max(self.unit_rows() * BLOCK.min(cols.len())) * self.program.result_size();
        with_scratch(scratch + room, |ptr| {
            // SAFETY: the scratch is ours for the call and as large as asked for.
            let mut run = unsafe { self.program.run(rows, cols, ptr) };
            f(&mut run, ptr.wrapping_add(scratch))
        })
    }
}
