//! Functions of blocks: one task for each chunk of the result, which calls a function, of the user's or of the library's own,
//! with a box of each input, or with the block of its number of every value of an exchange. All of it is data, so that a
//! new operation of this kind changes nothing here: scans, sorts and whatever else is made of such stages.
//!
//! Knows which task reads which positions. Must not know what the functions do.

use crate::calls::values_grid;
use crate::check::checked_grid;
use crate::dtype::DType;
use crate::error::ExprError;
use crate::graph::Expr;
use crate::kernel::{
    ARGUMENTS_MAX, Boundary, Halo, Kernel, OWN_PARAMS_BYTES_MAX, OwnFunction, PARAMS_BYTES_MAX,
};
use crate::op::Op;
use std::sync::Arc;
use tilework_plan::{AxisGrid, AxisMap, Grid, Positions, Temporaries, View};

/// A function of blocks, and what it is called with.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Blocks {
    /// The function.
    pub function: BlockFunction,
    /// What a task reads of each input.
    pub reads: Vec<Read>,
    /// One task for each chunk: the positions that its reads follow. Of an array it has as many chunks along each axis as
    /// the node's grid, which may have other lengths.
    pub space: Grid,
    /// What it gives where that is no chunk of an array: a value, of blocks for the tasks of an exchange. The space has one
    /// axis then.
    pub gives: Option<Gives>,
}

/// Whose function it is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum BlockFunction {
    /// The user's, under the name of what was asked for.
    User(Arc<Kernel>, Front),
    /// The library's own.
    Own(Arc<OwnFunction>),
}

/// What a user has called to have a function called with blocks, for messages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "named after the methods")]
pub enum Front {
    MapBlocks,
    MapOverlap,
    FoldAxis,
    Blockwise,
    FromBlocks,
    ReduceWith,
    ScanWith,
}

impl Front {
    /// All of them; the position is the wire code.
    pub const ALL: [Front; 7] = [
        Front::MapBlocks,
        Front::MapOverlap,
        Front::FoldAxis,
        Front::Blockwise,
        Front::FromBlocks,
        Front::ReduceWith,
        Front::ScanWith,
    ];

    /// The method's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Front::MapBlocks => "map_blocks",
            Front::MapOverlap => "map_overlap",
            Front::FoldAxis => "fold_axis",
            Front::Blockwise => "blockwise",
            Front::FromBlocks => "from_block_fn",
            Front::ReduceWith => "reduce_with",
            Front::ScanWith => "scan_with",
        }
    }
}

/// What a task reads of an input.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Read {
    /// A box of an array: which positions, axis by axis.
    Box(Vec<Along>),
    /// Of each value of the input, which are made of as many blocks as there are tasks, the one of its own number.
    Block,
}

/// Which positions of an axis of an input a task reads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Along {
    /// Those of its chunk along an axis of the space, which is as long, with what is around it.
    Near {
        /// The axis of the space.
        axis: usize,
        /// What is around it.
        halo: Halo,
    },
    /// The one position that is the number of its chunk along an axis of the space.
    Number {
        /// The axis of the space.
        axis: usize,
    },
    /// All.
    All,
}

impl Along {
    /// Those of the task's chunk along an axis of the space, and nothing around it.
    #[must_use]
    pub fn same(axis: usize) -> Along {
        Along::Near { axis, halo: Halo::NONE }
    }

    /// The axis of the space that they follow.
    #[must_use]
    pub fn axis(&self) -> Option<usize> {
        match *self {
            Along::Near { axis, .. } | Along::Number { axis } => Some(axis),
            Along::All => None,
        }
    }

    /// What is seen around the chunk.
    #[must_use]
    pub fn halo(&self) -> Option<Halo> {
        match *self {
            Along::Near { halo, .. } if !halo.is_none() => Some(halo),
            _ => None,
        }
    }

    /// The same of an axis of `len`, as a plan says it.
    pub(crate) fn positions(&self, len: usize) -> Positions {
        match *self {
            Along::Near { axis, halo } => Positions::Near { axis, reach: halo.reach() },
            Along::Number { axis } => Positions::Number { axis },
            Along::All if len == 0 => Positions::Nothing,
            Along::All => Positions::All,
        }
    }
}

/// Values for an exchange.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Gives {
    /// How many blocks each is made of: one for each task that takes them.
    pub n: u32,
    /// What a value is taken to have before it is made, bytes.
    pub bytes_guess: u64,
}

impl BlockFunction {
    /// The dtypes of what it takes and gives, and its name.
    fn types(&self) -> (&[DType], DType, &str) {
        match self {
            BlockFunction::User(kernel, _) => (&kernel.inputs, kernel.output, &kernel.name),
            BlockFunction::Own(own) => (&own.inputs, own.output, &own.name),
        }
    }

    /// The dtype of what it gives.
    #[must_use]
    pub fn output(&self) -> DType {
        self.types().1
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.types().2
    }

    /// What it says that it takes of memory besides.
    pub(crate) fn temporaries(&self) -> Temporaries {
        match self {
            BlockFunction::User(..) => Temporaries::NONE,
            BlockFunction::Own(own) => own.temporaries,
        }
    }

    fn params(&self) -> (usize, usize) {
        match self {
            BlockFunction::User(kernel, _) => (kernel.params.len(), PARAMS_BYTES_MAX),
            BlockFunction::Own(own) => (own.params.len(), OWN_PARAMS_BYTES_MAX),
        }
    }
}

impl Blocks {
    /// What a task calls it, for messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.function {
            BlockFunction::User(_, front) => front.name(),
            BlockFunction::Own(_) => "library",
        }
    }

    /// The view through which an input is read, where that says all: no neighbours, nothing but the task's own positions.
    /// A task over an empty box reads nothing through views, so that there must be none.
    pub(crate) fn view_of(&self, slot: usize) -> Option<View> {
        let Some(Read::Box(along)) = self.reads.get(slot) else { return None };
        let mut seen = vec![false; self.space.ndim()];
        let map = |along: &Along| match *along {
            Along::Near { axis, halo } if halo.is_none() && !std::mem::replace(&mut seen[axis], true) => {
                Some(AxisMap::same(axis))
            }
            _ => None,
        };
        let axes = along.iter().map(map).collect::<Option<Vec<_>>>()?;
        let is_empty = |axis: &AxisGrid| match axis {
            AxisGrid::Regular { len, .. } => *len == 0,
            AxisGrid::Explicit { bounds } => bounds.windows(2).any(|w| w[0] == w[1]),
        };
        let empty_elsewhere = self.space.axes().iter().zip(&seen).any(|(axis, seen)| !seen && is_empty(axis));
        (!empty_elsewhere).then_some(View { axes })
    }

    /// Whether it fits a node of this grid and dtype and what it reads.
    pub(crate) fn check(
        &self,
        (grid, dtype): (&Grid, DType),
        inputs: &[(&Op, &Grid, DType)],
    ) -> Result<(), String> {
        let (takes, gives, name) = self.function.types();
        if !takes.iter().copied().eq(inputs.iter().map(|(_, _, dtype)| *dtype)) || gives != dtype {
            let got: Vec<DType> = inputs.iter().map(|(_, _, dtype)| *dtype).collect();
            return Err(format!("{name} of {got:?} giving {dtype}, expected {takes:?} giving {gives}"));
        }
        if inputs.len() > ARGUMENTS_MAX || self.reads.len() != inputs.len() {
            let (reads, n) = (self.reads.len(), inputs.len());
            return Err(format!("{reads} reads of {n} inputs, expected as many, at most {ARGUMENTS_MAX}"));
        }
        let (n, limit) = self.function.params();
        if n > limit {
            return Err(format!("{n} bytes of parameters, at most {limit}"));
        }
        checked_grid(&self.space, DType::U8).map_err(|why| why.to_string())?;
        let fits = match self.gives {
            None => self.space.counts() == grid.counts(),
            Some(gives) => {
                let n = self.space.n_chunks();
                gives.n > 0
                    && self.space.ndim() == 1
                    && dtype == DType::U8
                    && usize::try_from(n).is_ok_and(|n| *grid == values_grid(n))
            }
        };
        if !fits {
            let (space, grid) = (self.space.counts(), grid.counts());
            return Err(format!("{name} gives chunks {grid:?} for tasks {space:?}"));
        }
        for (slot, (read, input)) in self.reads.iter().zip(inputs).enumerate() {
            self.check_read(read, *input).map_err(|why| format!("{name}, input {slot}: {why}"))?;
        }
        Ok(())
    }

    fn check_read(&self, read: &Read, (op, grid, dtype): (&Op, &Grid, DType)) -> Result<(), String> {
        let blocks = match op {
            Op::Blocks(blocks) => blocks.gives.map(|gives| u64::from(gives.n)),
            _ => None,
        };
        let along = match read {
            Read::Block if blocks == Some(self.space.n_chunks()) => return Ok(()),
            Read::Block => return Err(format!("blocks of {blocks:?}, expected {}", self.space.n_chunks())),
            Read::Box(_) if op.gives_values() => return Err("values have no boxes".into()),
            Read::Box(along) if along.len() != grid.ndim() => {
                return Err(format!("a box of {} axes, expected {}", along.len(), grid.ndim()));
            }
            Read::Box(along) => along,
        };
        for (along, axis) in along.iter().zip(grid.axes()) {
            let fits = match *along {
                Along::Near { axis: of, halo } => {
                    let same = self.space.axes().get(of).is_some_and(|space| space.len() == axis.len());
                    same && check_halo(&halo, axis.len(), dtype).is_ok()
                }
                Along::Number { axis: of } => {
                    self.space.axes().get(of).is_some_and(|space| space.n_chunks() <= axis.len())
                }
                Along::All => true,
            };
            if !fits {
                return Err(format!("{along:?} does not fit an axis of {}", axis.len()));
            }
        }
        Ok(())
    }
}

/// Whether an axis of so many elements of a dtype may have a halo: it is no deeper than the axis is long, reaches as far on
/// both sides where it is a mirror image, which is made of what is read on the other side, and its constant is an element of
/// the array.
fn check_halo(halo: &Halo, len: usize, dtype: DType) -> Result<(), ExprError> {
    let depth = halo.before.max(halo.after);
    if depth > len {
        let got = format!("{depth} along an axis of length {len}");
        return Err(ExprError::Parameter { what: "depth of a halo", got, expected: "at most its length" });
    }
    if !halo.mirrors() {
        let got = format!("{} and {}", halo.before, halo.after);
        let expected = "as much before as behind";
        return Err(ExprError::Parameter { what: "depth of a mirrored halo", got, expected });
    }
    match halo.boundary {
        Boundary::Constant(value) if value.dtype() != dtype => {
            let (left, right) = (dtype, value.dtype());
            Err(ExprError::MixedDTypes { op: "the value of a boundary".into(), left, right })
        }
        _ => Ok(()),
    }
}

impl Halo {
    /// The halo as an axis of an array has it: where the array has no elements, and so no blocks, no deeper than the axis is
    /// long.
    ///
    /// # Errors
    /// [`ExprError::Parameter`] for a depth beyond the length of the axis, or a mirror image that reaches further on one side;
    /// [`ExprError::MixedDTypes`] where a boundary's value has another dtype.
    pub fn along(mut self, axis: usize, array: &Expr) -> Result<Halo, ExprError> {
        let len = array.shape()[axis];
        if array.is_empty() {
            (self.before, self.after) = (self.before.min(len), self.after.min(len));
        }
        check_halo(&self, len, array.dtype())?;
        Ok(self)
    }
}

impl Expr {
    /// The array of this grid whose chunks a function gives; values of blocks where it gives those: then of no grid.
    ///
    /// # Errors
    /// [`ExprError::Program`] where it does not fit what it reads; a result that is too large.
    pub fn of_blocks(blocks: Blocks, inputs: &[Expr], grid: &Grid) -> Result<Expr, ExprError> {
        let (grid, dtype) = match blocks.gives {
            None => (grid.clone(), blocks.function.output()),
            Some(_) => (values_grid(blocks.space.n_chunks() as usize), DType::U8),
        };
        checked_grid(&grid, dtype)?;
        let read: Vec<(&Op, &Grid, DType)> = inputs.iter().map(|e| (e.op(), e.grid(), e.dtype())).collect();
        let fits = blocks.check((&grid, dtype), &read);
        fits.map_err(|why| ExprError::Program { node: inputs.len() as u32, why })?;
        Expr::make(Op::Blocks(Arc::new(blocks)), inputs.to_vec(), grid, dtype)
    }
}
