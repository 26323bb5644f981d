//! Rows of fold states in memory, the counter that merges them as a binary tree, and their way to and from planes.
//!
//! Owns the layout of states. Must not know elements or programs.

use super::fold::FoldFns;
use crate::chunk::{Buffer, Chunk, Plane};
use crate::copy::{Layout, copy_box};
use crate::feed::KernelError;
use crate::ops::cast;
use std::sync::Arc;
use tilework_expr::{DType, Fold};

/// A row of states, all of equally many elements.
#[derive(Debug)]
pub(crate) struct States {
    words: Vec<u128>,
    len: usize,
    /// Elements behind each state.
    pub count: u64,
}

impl States {
    /// `len` states of no elements.
    pub(crate) fn identity(fns: &FoldFns, len: usize) -> States {
        let mut states = States { words: vec![0; (len * fns.state_size).div_ceil(16)], len, count: 0 };
        states.clear(fns);
        states
    }

    /// Makes them states of no elements again.
    pub(crate) fn clear(&mut self, fns: &FoldFns) {
        self.count = 0;
        // SAFETY: room for `len` states.
        unsafe { (fns.identity)(self.words.as_mut_ptr().cast(), self.len) }
    }

    /// Number of states.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where state `i` is.
    pub(crate) fn at(&mut self, fns: &FoldFns, i: usize) -> *mut u8 {
        debug_assert!(i <= self.len);
        self.words.as_mut_ptr().cast::<u8>().wrapping_add(i * fns.state_size)
    }

    /// Where the states are.
    pub(crate) fn ptr(&self) -> *const u8 {
        self.words.as_ptr().cast()
    }

    /// Folds `other` into these; its elements come after.
    pub(crate) fn merge(&mut self, fns: &FoldFns, other: &States) {
        debug_assert_eq!(self.len, other.len);
        // SAFETY: both have `len` states.
        unsafe { (fns.merge)(self.at(fns, 0), other.ptr(), self.len, self.count, other.count) }
        self.count += other.count;
    }

    /// Moves the positions that the states hold, where they do.
    pub(crate) fn shift(&mut self, fns: &FoldFns, by: u64) {
        if let Some(shift) = fns.shift
            && by > 0
        {
            // SAFETY: `len` states.
            unsafe { shift(self.at(fns, 0), self.len, by) }
        }
    }
}

/// The greatest power of two below `n`: where a tree over `n >= 2` leaves is cut.
pub(crate) fn tree_split(n: usize) -> usize {
    n.next_power_of_two() / 2
}

/// Merges rows of states as they come into the binary tree over their number that [`tree_split`] defines.
pub(crate) struct Counter<'f> {
    fns: &'f FoldFns,
    pushed: usize,
    entries: Vec<States>,
    spare: Vec<States>,
}

impl<'f> Counter<'f> {
    pub(crate) fn new(fns: &'f FoldFns) -> Counter<'f> {
        Counter { fns, pushed: 0, entries: Vec::new(), spare: Vec::new() }
    }

    /// A row of states of no elements to fill and push.
    pub(crate) fn fresh(&mut self, len: usize) -> States {
        match self.spare.pop() {
            Some(mut s) if s.len == len => {
                s.clear(self.fns);
                s
            }
            _ => States::identity(self.fns, len),
        }
    }

    /// Adds the next leaf.
    pub(crate) fn push(&mut self, mut states: States) {
        let mut level = self.pushed;
        while level & 1 == 1
            && let Some(mut before) = self.entries.pop()
        {
            before.merge(self.fns, &states);
            self.spare.push(std::mem::replace(&mut states, before));
            level >>= 1;
        }
        self.entries.push(states);
        self.pushed += 1;
    }

    /// The whole tree's states, if there was a leaf.
    pub(crate) fn finish(mut self) -> Option<States> {
        self.take()
    }

    /// The whole tree's states, if there was a leaf; what is pushed next is another tree.
    pub(crate) fn take(&mut self) -> Option<States> {
        self.pushed = 0;
        let mut states = self.entries.pop()?;
        while let Some(mut before) = self.entries.pop() {
            before.merge(self.fns, &states);
            self.spare.push(std::mem::replace(&mut states, before));
        }
        Some(states)
    }

    /// Keeps states for their memory.
    pub(crate) fn give_back(&mut self, states: States) {
        self.spare.push(states);
    }
}

/// What becomes of a task's states.
pub(crate) struct Outcome {
    pub fold: Fold,
    /// Of the folded elements.
    pub dtype: DType,
    /// Shape of the result.
    pub shape: Vec<usize>,
    /// Whether the states become final values.
    pub finish: bool,
}

impl Outcome {
    /// The chunk made of states over `count` elements each.
    pub(crate) fn chunk(&self, fns: &FoldFns, states: &States, count: u64) -> Result<Chunk, KernelError> {
        if self.finish { self.finished(fns, states, count) } else { Ok(self.partial(fns, states)) }
    }

    fn finished(&self, fns: &FoldFns, states: &States, count: u64) -> Result<Chunk, KernelError> {
        let dtype = self.fold.result(self.dtype).unwrap_or(self.dtype);
        let ddof = self.fold.ddof().unwrap_or(0.0);
        let mut buffer = Buffer::uninit(states.len * dtype.size());
        // SAFETY: `len` states, and room for as many results.
        let done = unsafe { (fns.finish)(states.ptr(), states.len, count, ddof, buffer.as_mut_ptr()) };
        if !done {
            let what = format!("{:?} of no elements of {} has no value", self.fold, self.dtype);
            return Err(KernelError::Operation(what));
        }
        // SAFETY: `finish` has written every result.
        let buffer = Arc::new(unsafe { buffer.assume_init().freeze() });
        Ok(Chunk { planes: vec![Plane::row_major_at(dtype, self.shape.clone(), buffer, 0)] })
    }

    fn partial(&self, fns: &FoldFns, states: &States) -> Chunk {
        let plane = |(k, dtype): (usize, DType)| {
            let size = dtype.size();
            let mut buffer = Buffer::uninit(states.len * size);
            let layout = Layout { shape: &[states.len], from: &[(fns.state_size / size) as isize], to: &[1] };
            // SAFETY: each state has this plane's value at the offset, and the buffer gets them all.
            let buffer = unsafe {
                copy_box(size, &layout, states.ptr().add(fns.offsets[k]), buffer.as_mut_ptr());
                buffer.assume_init().freeze()
            };
            Plane::row_major_at(dtype, self.shape.clone(), Arc::new(buffer), 0)
        };
        Chunk { planes: self.fold.state(self.dtype).into_iter().enumerate().map(plane).collect() }
    }
}

/// States `range` of the chunk that [`Outcome::partial`] made, from planes in row-major order; of `dtypes`, but that a
/// sum's only plane may be of the elements' own dtype, as a partial matrix product is.
pub(crate) fn load(
    fns: &FoldFns,
    (planes, dtypes): (&[Plane], &[DType]),
    range: std::ops::Range<usize>,
    into: &mut States,
) {
    for ((plane, &dtype), &offset) in planes.iter().zip(dtypes).zip(&fns.offsets) {
        let (size, n) = (plane.dtype().size(), range.len());
        debug_assert!(plane.is_contiguous() && range.end <= plane.len() && n == into.len());
        // SAFETY: the plane is row-major and has the range; each state has a place for the value, and is that value
        // where it is converted.
        unsafe {
            let (from, to) = (plane.as_ptr().add(range.start * size), into.at(fns, 0).add(offset));
            if plane.dtype() == dtype {
                let layout = Layout { shape: &[n], from: &[1], to: &[(fns.state_size / size) as isize] };
                copy_box(size, &layout, from, to);
            } else {
                debug_assert!(fns.state_size == dtype.size());
                cast(plane.dtype(), dtype)(n, to, from);
            }
        }
    }
}
