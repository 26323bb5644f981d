//! The shape of a plan: stages of tasks, and which results of one stage a task of another reads. A task's inputs and
//! consumers are functions of its number; nothing is stored for each of them. What the tasks do is not in it: whoever
//! lowers something to a plan keeps that beside it, stage by stage.
//!
//! Knows geometry and bytes. Must not know workers, time, or any kind of work.

use crate::boxes::Positions;
use crate::grid::{AxisGrid, Grid};
use crate::listed::Listed;
use crate::stored::Extent;
use crate::take::Taken;
use crate::task::{JobId, StageIdx};
use crate::terms::Terms;
use crate::view::View;
use std::ops::Range;
use std::sync::Arc;

/// Mean length of the pieces of a matrix product's inner axis below which its inputs are brought together first.
pub const CONTRACT_PIECE_MIN: usize = 64;

/// Where the results of a stage come from.
#[derive(Clone, PartialEq, Debug)]
pub enum Origin {
    /// Its tasks make them of what they read, or of nothing.
    Computed,
    /// The client puts them.
    Client {
        /// The client's name for them.
        id: u64,
    },
    /// Its tasks read them from a file.
    File(Extent),
    /// They are those of an earlier job's output.
    Earlier {
        /// The job.
        job: JobId,
        /// Which of the job's outputs.
        output: u32,
    },
    /// Nobody makes the only one: it exists as long as all chunks that it reads do, and stands for them together. Who reads
    /// it reads a block of each of those.
    Barrier,
}

/// What a task takes of memory besides its result and what it reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scratch {
    /// Nothing that counts.
    None,
    /// Inputs that are read through a view and lie in several chunks are brought together first.
    Gathered,
    /// The same, where the pieces of a matrix product's inner axis are short.
    Product,
    /// A function of blocks gets a copy of what is not a chunk by itself, or a block with its halo, and may give one as
    /// large; and it says itself what it takes besides.
    Blocks(Temporaries),
    /// A function gets a copy of each chunk of an array that it is called with.
    Arguments,
}

/// What a function of blocks says that it takes of memory while it runs, besides what it reads and gives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Temporaries {
    /// Bytes for each element of the boxes of arrays that it reads, of all of them together.
    pub per_read: u32,
    /// Bytes for each element of an array that it gives.
    pub per_made: u32,
    /// Bytes whatever it reads and gives.
    pub fixed: u64,
}

impl Temporaries {
    /// Nothing that counts.
    pub const NONE: Temporaries = Temporaries { per_read: 0, per_made: 0, fixed: 0 };

    /// So many bytes for each element that is read, and none else.
    #[must_use]
    pub const fn per_read(bytes: u32) -> Temporaries {
        Temporaries { per_read: bytes, ..Temporaries::NONE }
    }
}

/// When the bytes of a result are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sizes {
    /// Before its task runs.
    Exact,
    /// When it is made. Until then those of its elements are a guess.
    Measured,
}

/// A function of the user's own executable that tasks call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// Its type, as the compiler names it.
    pub name: Arc<str>,
    /// Which executable it is part of.
    pub build: Arc<str>,
    /// The line of the program that has it called, `file:line:column`, where that is known.
    pub line: Option<Arc<str>>,
}

impl Function {
    /// What it is called, and where that is asked for: `name (submitted at file:line:column)`.
    #[must_use]
    pub fn in_words(&self) -> String {
        match &self.line {
            Some(line) => format!("{} (submitted at {line})", self.name),
            None => self.name.to_string(),
        }
    }
}

/// Which chunks of an input a task reads.
#[derive(Clone, PartialEq, Debug)]
pub enum InputMap {
    /// Those that its box touches through a view.
    View {
        /// From the stage's grid to the input's.
        view: View,
        /// Only for tasks whose box lies in this range of this axis (the parts of a concatenation). Where the first
        /// input of a stage has one all have, in the order of their ranges, and a task reads one of them.
        clip: Option<(usize, Range<usize>)>,
    },
    /// Those that hold these positions, along each axis of the input.
    Boxes(Vec<Positions>),
    /// Blocks of neighbours: `fanin[a]` along axis `a` of the input's task grid.
    Group {
        /// Inputs along each axis.
        fanin: Vec<usize>,
    },
    /// Those that share a row-major position.
    Flat,
    /// Those that hold one of the listed positions of an axis; the other axes are cut alike.
    Take(Arc<Taken>),
    /// Those that are listed for it, by their numbers. Some tasks may read none.
    Listed(Arc<Listed>),
    /// That of a barrier: of each chunk that it stands for, the block of the task's own number.
    Blocks,
}

/// An input of a stage.
#[derive(Clone, PartialEq, Debug)]
pub struct Input {
    /// The stage that makes it.
    pub stage: StageIdx,
    /// Which of its chunks.
    pub map: InputMap,
}

/// One operation over all chunks of its grid.
#[derive(Clone, PartialEq, Debug)]
pub struct Stage {
    /// The operation in a word, for messages.
    pub name: &'static str,
    /// Where its results come from.
    pub origin: Origin,
    /// One task a chunk. For reductions this is the space that is folded, not the result's.
    pub grid: Grid,
    /// The grid that consumers see: `grid` without the folded axes, or one of as many chunks along each axis whose chunks
    /// have other lengths.
    pub out_grid: Grid,
    /// The axes of `grid` that the result does not have, rising.
    pub folded: Vec<usize>,
    /// What it reads.
    pub inputs: Vec<Input>,
    /// Bytes of an element of the result, of all its planes together; 0 where tasks leave nothing on their worker.
    pub element_bytes: usize,
    /// Whether that is so before a task has run.
    pub sizes: Sizes,
    /// Whether a task that fails fails those that read its result, and not its job.
    pub fails_alone: bool,
    /// What its tasks take besides.
    pub scratch: Scratch,
    /// Whether its chunks may be dropped and made again where it reads nothing: to make them costs no more than to write
    /// and read them.
    pub remade: bool,
    /// A function of the user's that its tasks call; any, for all of a job's are of one executable.
    pub calls: Option<Arc<Function>>,
    /// How its tasks are to be run; in no special way where absent.
    pub terms: Option<Arc<Terms>>,
}

impl Stage {
    /// A stage without inputs that nothing is folded in.
    #[must_use]
    pub fn source(name: &'static str, origin: Origin, grid: &Grid, element_bytes: usize) -> Stage {
        Stage {
            name,
            origin,
            grid: grid.clone(),
            out_grid: grid.clone(),
            folded: Vec::new(),
            inputs: Vec::new(),
            element_bytes,
            sizes: Sizes::Exact,
            fails_alone: false,
            scratch: Scratch::None,
            remade: false,
            calls: None,
            terms: None,
        }
    }

    /// What its tasks do, for people: of calls, which function and where that is asked for; else the name of the operation.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self.calls.as_ref().filter(|_| self.fails_alone) {
            Some(function) => function.in_words(),
            None => self.name.to_owned(),
        }
    }

    /// Whether its results are those of an earlier job.
    #[must_use]
    pub fn is_alias(&self) -> bool {
        matches!(self.origin, Origin::Earlier { .. })
    }

    /// Whether its only result stands for those that it reads.
    #[must_use]
    pub fn is_barrier(&self) -> bool {
        self.origin == Origin::Barrier
    }

    /// Whether its results are others' results, of which it only says that they exist: no task runs for them.
    #[must_use]
    pub fn stands_for_others(&self) -> bool {
        self.is_alias() || self.is_barrier()
    }

    /// Whether its results come from the client.
    #[must_use]
    pub fn is_upload(&self) -> bool {
        matches!(self.origin, Origin::Client { .. })
    }

    /// Whether the bytes of its results are known only when they are made.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.sizes == Sizes::Measured
    }

    /// Whether some of its tasks may read nothing though it has inputs.
    #[must_use]
    pub fn is_mixed(&self) -> bool {
        let empty = |axis: &AxisGrid| match axis {
            AxisGrid::Regular { len, .. } => *len == 0,
            AxisGrid::Explicit { bounds } => bounds.windows(2).any(|w| w[0] == w[1]),
        };
        let listed = |input: &Input| match &input.map {
            InputMap::Listed(_) => true,
            InputMap::Boxes(read) => read.contains(&Positions::Nothing),
            _ => false,
        };
        !self.inputs.is_empty() && (self.grid.axes().iter().any(empty) || self.inputs.iter().any(listed))
    }

    /// How its tasks are to be run.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        self.terms.as_deref().unwrap_or(Terms::NONE)
    }

    /// The build whose functions its tasks call.
    #[must_use]
    pub fn build(&self) -> Option<&Arc<str>> {
        self.calls.as_ref().map(|function| &function.build)
    }
}

/// The shape of a lowered program.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// The stages; inputs come first.
    pub stages: Vec<Stage>,
    /// The stage of each output, in the program's order.
    pub outputs: Vec<StageIdx>,
    /// For each stage, who reads it: (consumer, position in the consumer's inputs).
    pub consumers: Vec<Vec<(StageIdx, usize)>>,
}

impl Plan {
    /// Fills [`Plan::consumers`] from the stages' inputs.
    pub fn link(&mut self) {
        self.consumers = vec![Vec::new(); self.stages.len()];
        for (i, stage) in self.stages.iter().enumerate() {
            for (slot, input) in stage.inputs.iter().enumerate() {
                self.consumers[input.stage.0 as usize].push((StageIdx(i as u32), slot));
            }
        }
    }
}
