//! Stages of queries on tables: tasks that do the same, each with a partition. What they do is bytes that an engine of the
//! workers reads; here they are stages like any other. A task gives one value, which is made of blocks: one for each task of
//! the stage that takes them, or a single one; or it gives the chunk of an array. It reads values, and chunks of arrays.
//!
//! Knows which task reads which values. Must not know what tables are, nor how they are worked on.

use crate::calls::values_grid;
use crate::dtype::DType;
use crate::error::ExprError;
use crate::graph::Expr;
use crate::kernel::Kernel;
use crate::op::Op;
use std::ops::Range;
use std::sync::Arc;
use tilework_plan::{Grid, Input, InputMap, Listed, StageIdx, Terms};

/// Pairs of a task and a value that it reads whole, for one input of a stage.
const PAIRS_MAX: u64 = 1 << 22;
/// Pairs of all stages of a program.
pub(crate) const PROGRAM_PAIRS_MAX: u64 = 1 << 24;
/// Tasks of a stage.
const TASKS_MAX: u64 = 1 << 20;
/// Bytes of what a stage does.
const PAYLOAD_BYTES_MAX: usize = 16 << 20;
/// Bytes that a value may be taken to have.
const GUESS_BYTES_MAX: u64 = 1 << 40;

/// One stage of a query. As many tasks as its node has values.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TableStage {
    /// What a task does, for the engine to read.
    pub payload: Arc<[u8]>,
    /// How many blocks the value of each is made of; 0 where each gives the chunk of its number of an array.
    pub gives: u32,
    /// What its tasks read of each input of the node.
    pub reads: Arc<[TableRead]>,
    /// What a value is taken to have before it is made, bytes.
    pub bytes_guess: u64,
    /// What it does, in words.
    pub name: Arc<str>,
    /// How its tasks are to be run; in no special way where absent.
    pub terms: Option<Arc<Terms>>,
    /// A function of the user's that its tasks call, if they call any: all are of one executable.
    pub kernel: Option<Arc<Kernel>>,
}

/// What the tasks of a stage read of one input.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TableRead {
    /// Which of its values, and what of them.
    pub how: TableHow,
    /// The tasks that read it; the others do not. A task's partition is its place among them.
    pub tasks: Range<u64>,
    /// Where the run of values of each of them ends; of [`TableHow::Runs`] alone.
    pub ends: Arc<[u64]>,
}

/// What a task reads of an input, with the number of its partition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TableHow {
    /// The value of that number; of an array, the chunk.
    Same,
    /// The block of that number of every value. All tasks of a stage read such an input, or none.
    Block,
    /// All values, one after another.
    Whole,
    /// All values, kept apart.
    Each,
    /// Values that follow one another, of which each task reads other ones.
    Runs,
}

impl TableHow {
    /// All of them, in the order of their codes.
    pub const ALL: [TableHow; 5] =
        [TableHow::Same, TableHow::Block, TableHow::Whole, TableHow::Each, TableHow::Runs];
}

impl TableRead {
    /// A way of reading that says by itself which values a task reads.
    ///
    /// ```
    /// use tilework_expr::{TableHow, TableRead};
    ///
    /// assert_eq!(TableRead::of(TableHow::Same, 0..3).tasks, 0..3);
    /// ```
    #[must_use]
    pub fn of(how: TableHow, tasks: Range<u64>) -> TableRead {
        TableRead { how, tasks, ends: Arc::from([]) }
    }

    /// The first `ends.len()` tasks read runs of values, one after another, which end there.
    ///
    /// ```
    /// use tilework_expr::{TableHow, TableRead};
    ///
    /// let two = TableRead::runs([3, 4]);
    /// assert_eq!((two.how, two.tasks), (TableHow::Runs, 0..2));
    /// ```
    #[must_use]
    pub fn runs(ends: impl Into<Arc<[u64]>>) -> TableRead {
        let ends = ends.into();
        TableRead { how: TableHow::Runs, tasks: 0..ends.len() as u64, ends }
    }

    /// Which task of `n_tasks` reads which of so many values whole; nothing where tasks read blocks.
    pub(crate) fn listed(&self, n_tasks: usize, n_values: usize) -> Option<Listed> {
        let tasks = self.tasks.start as usize..self.tasks.end as usize;
        let pairs = match self.how {
            TableHow::Block => return None,
            TableHow::Same => tasks.zip(0..n_values).collect(),
            TableHow::Runs => {
                let starts = std::iter::once(0).chain(self.ends.iter().copied());
                let runs = starts.zip(self.ends.iter()).map(|(start, end)| start as usize..*end as usize);
                tasks.zip(runs).flat_map(|(task, run)| run.map(move |value| (task, value))).collect()
            }
            TableHow::Whole | TableHow::Each => {
                tasks.flat_map(|task| (0..n_values).map(move |value| (task, value))).collect()
            }
        };
        Some(Listed::new(pairs, (n_tasks, n_values)))
    }

    /// How many pairs of a task and a value there are of which the one reads the other whole.
    fn n_pairs(&self, n_values: u64) -> u64 {
        let n_readers = self.tasks.end - self.tasks.start;
        match self.how {
            TableHow::Block => 0,
            TableHow::Same => n_readers,
            TableHow::Runs => n_values,
            TableHow::Whole | TableHow::Each => n_readers.saturating_mul(n_values),
        }
    }

    fn check(&self, n_tasks: u64, (op, grid): (&Op, &Grid)) -> Result<(), String> {
        let (Range { start, end }, n_values) = (self.tasks.clone(), grid.n_chunks());
        if start > end || end > n_tasks {
            return Err(format!("tasks {start} to {end} of {n_tasks}"));
        }
        let n_readers = end - start;
        let gives = match op {
            Op::Table(stage) if stage.gives > 0 => Some(u64::from(stage.gives)),
            Op::Values(_) => None,
            Op::Calls(_) => return Err("values of others than tables".into()),
            // Which chunks are needed is known of one axis.
            _ if self.how == TableHow::Same && n_readers == n_values && grid.axes().len() == 1 => {
                return Ok(());
            }
            _ if grid.axes().len() != 1 => {
                return Err(format!("an array of {} axes, expected one", grid.axes().len()));
            }
            _ => return Err(format!("an array of {n_values} chunks, one each for {n_readers} tasks")),
        };
        if self.how != TableHow::Runs && !self.ends.is_empty() {
            return Err("ends of runs where there are none".into());
        }
        match self.how {
            TableHow::Same if n_readers == n_values => Ok(()),
            TableHow::Same => Err(format!("{n_values} values, one each for {n_readers} tasks")),
            TableHow::Block if n_readers < n_tasks => {
                Err(format!("blocks for {n_readers} of {n_tasks} tasks"))
            }
            TableHow::Block if gives.is_some_and(|gives| gives == n_tasks) => Ok(()),
            TableHow::Block => Err(format!("values of {gives:?} blocks, one each for {n_tasks} tasks")),
            TableHow::Runs => {
                let rising = self.ends.windows(2).all(|w| w[0] <= w[1]);
                let within = self.ends.last().is_none_or(|end| *end <= n_values);
                let fits = rising && within && self.ends.len() as u64 == n_readers;
                let why = || format!("{} runs of {n_values} values for {n_readers} tasks", self.ends.len());
                if fits { Ok(()) } else { Err(why()) }
            }
            TableHow::Whole | TableHow::Each if self.n_pairs(n_values) > PAIRS_MAX => {
                Err(format!("{n_values} values for each of {n_readers} tasks, 4194304 in all at most"))
            }
            TableHow::Whole | TableHow::Each => Ok(()),
        }
    }
}

impl TableStage {
    /// Whether it fits a node of this grid and dtype and what it reads.
    pub(crate) fn check(&self, (grid, dtype): (&Grid, DType), inputs: &[(&Op, &Grid)]) -> Result<(), String> {
        let n_tasks = grid.n_chunks();
        let of_values = *grid == values_grid(n_tasks as usize) && dtype == DType::U8;
        if n_tasks == 0 || self.gives > 0 && !of_values {
            return Err(format!("{n_tasks} tasks of tables are not one axis of so many values"));
        }
        if n_tasks > TASKS_MAX {
            return Err(format!("{n_tasks} tasks of one stage, 1048576 at most"));
        }
        if self.bytes_guess > GUESS_BYTES_MAX {
            return Err(format!("a value is taken to have {} bytes", self.bytes_guess));
        }
        if self.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(format!("{} bytes of what it does, 16777216 at most", self.payload.len()));
        }
        if self.reads.len() != inputs.len() {
            return Err(format!("{} inputs, of which {} are read", inputs.len(), self.reads.len()));
        }
        for (slot, (read, input)) in self.reads.iter().zip(inputs).enumerate() {
            read.check(n_tasks, *input).map_err(|why| format!("input {slot}: {why}"))?;
        }
        Ok(())
    }

    /// Pairs of a task and a value that it reads whole, in all.
    pub(crate) fn n_pairs<'a>(&self, inputs: impl Iterator<Item = &'a Grid>) -> u64 {
        let of = |(read, grid): (&TableRead, &Grid)| read.n_pairs(grid.n_chunks());
        self.reads.iter().zip(inputs).map(of).fold(0, u64::saturating_add)
    }

    /// The input of its stage that reads so many values of a stage whole.
    pub(crate) fn whole(
        &self,
        slot: usize,
        of: StageIdx,
        (n_tasks, n_values): (usize, usize),
    ) -> Option<Input> {
        let listed = self.reads[slot].listed(n_tasks, n_values)?;
        Some(Input { stage: of, map: InputMap::Listed(Arc::new(listed)) })
    }
}

impl Expr {
    /// The array on this grid whose chunks the tasks of a query's stage give.
    ///
    /// # Errors
    /// [`ExprError::Program`] where the stage does not fit what it reads.
    pub fn table_array(
        stage: TableStage,
        (grid, dtype): (Grid, DType),
        inputs: &[Expr],
    ) -> Result<Expr, ExprError> {
        let stage = TableStage { gives: 0, ..stage };
        let read: Vec<(&Op, &Grid)> = inputs.iter().map(|expr| (expr.op(), expr.grid())).collect();
        let fits = stage.check((&grid, dtype), &read);
        fits.map_err(|why| ExprError::Program { node: inputs.len() as u32, why })?;
        Expr::make(Op::Table(Arc::new(stage)), inputs.to_vec(), grid, dtype)
    }

    /// The values that so many tasks of a query's stage give.
    ///
    /// # Errors
    /// [`ExprError::Program`] where the stage does not fit what it reads.
    pub fn table(stage: TableStage, n_tasks: usize, inputs: &[Expr]) -> Result<Expr, ExprError> {
        let grid = values_grid(n_tasks);
        let read: Vec<(&Op, &Grid)> = inputs.iter().map(|expr| (expr.op(), expr.grid())).collect();
        let fits = stage.check((&grid, DType::U8), &read);
        fits.map_err(|why| ExprError::Program { node: inputs.len() as u32, why })?;
        Expr::make(Op::Table(Arc::new(stage)), inputs.to_vec(), grid, DType::U8)
    }
}
