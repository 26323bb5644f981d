//! What a computation will do, before it runs, and what it took, after: `explain`.
//!
//! Owns the plan's description and its page. Must not run anything on the session.

mod forecast;
mod text;

use crate::array::ComputeAll;
use crate::array::kind::source::Source;
use crate::array::kinds::on_arrays;
use crate::error::{Result, or_panic};
use crate::session::{Session, WorkerSize};
use tilework_expr::{Element, Expr, Lowered};
use tilework_plan::{Figures, Grid, Need, StageIdx};

/// What is computed for an array, or for several at once: its stages, what a run is expected to take, and what the
/// latest run on the session took. `println!("{explain}")` shows it as a table.
///
/// ```
/// use tilework::prelude::*;
///
/// let x: Array2<f64> = tilework::random::in_chunks(500).uniform((2000, 2000), 0.0..1.0, 1);
/// let means = (&x * 2.0 + 1.0).mean_axis(Axis(0)).unwrap();
/// let plan = means.explain();
/// assert_eq!(plan.stages().iter().map(|s| s.n_tasks).sum::<u64>(), 16 + 4);
/// assert_eq!(plan.forecast().unwrap().bytes_moved, 0); // one worker
/// means.compute();
/// assert_eq!(means.explain().run().unwrap().n_tasks, 16 + 4);
/// println!("{}", means.explain());
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Explain {
    outputs: Vec<Output>,
    stages: Vec<StageExplain>,
    workers: Vec<WorkerSize>,
    forecast: Forecast,
    run: Option<Figures>,
}

/// One array that is computed.
#[derive(Clone, PartialEq, Debug)]
struct Output {
    dtype: tilework_expr::DType,
    grid: Grid,
    stage: StageIdx,
}

/// One operation over all chunks of its grid, as a row of the plan.
#[derive(Clone, PartialEq, Debug)]
pub struct StageExplain {
    /// What it does, as a formula in which `#3` is stage 3.
    pub operation: String,
    /// Tasks, one for each chunk of `shape` that the result depends on; none where the chunks are held already.
    pub n_tasks: u64,
    /// The shape of what the tasks go through: of the result, or of what is reduced.
    pub shape: Vec<usize>,
    /// The largest length of a chunk along each axis.
    pub chunk: Vec<usize>,
    /// Bytes that its tasks read, all together.
    pub bytes_read: u64,
    /// Bytes that its tasks make, all together.
    pub bytes_made: u64,
}

#[derive(Clone, PartialEq, Debug)]
enum Forecast {
    Figures(Figures),
    Fails(String),
    TooManyTasks,
    NoWorkers,
    /// Its end was not seen within so many steps.
    Endless(u64),
}

impl Explain {
    /// What computing the expressions on the session does.
    pub(crate) fn of(outputs: &[Expr], session: &Session) -> Result<Explain> {
        let planned = session.preview(outputs)?;
        let lowered = &planned.lowered;
        let plan = &lowered.plan;
        let stages = (0..plan.stages.len() as u32).map(StageIdx).zip(plan.needs());
        let workers = session.workers()?;
        Ok(Explain {
            outputs: (outputs.iter().zip(&plan.outputs))
                .map(|(e, &stage)| Output { dtype: e.dtype(), grid: e.grid().clone(), stage })
                .collect(),
            stages: stages.map(|(s, need)| stage(lowered, s, &need)).collect(),
            forecast: forecast::forecast(&planned.program, &workers, forecast::EVENTS_PER_TASK_MAX),
            workers,
            run: session.figures_of(&planned),
        })
    }

    /// The stages; those that others read come first.
    #[must_use]
    pub fn stages(&self) -> &[StageExplain] {
        &self.stages
    }

    /// What a run on the session's workers is expected to take, found by playing it: tasks and bytes are those of a run
    /// in which every task takes as long as its bytes let expect. Its times mean nothing. `None` where the plan has more
    /// than a million tasks, would fail, or was not seen to end.
    #[must_use]
    pub fn forecast(&self) -> Option<&Figures> {
        match &self.forecast {
            Forecast::Figures(figures) => Some(figures),
            _ => None,
        }
    }

    /// Why the run would fail on the session's workers (a chunk that fits into none of them), if it would.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match &self.forecast {
            Forecast::Fails(why) => Some(why),
            _ => None,
        }
    }

    /// What the latest run of the same arrays on the session took; `None` where they did not run together, or 64
    /// other runs came after.
    #[must_use]
    pub fn run(&self) -> Option<&Figures> {
        self.run.as_ref()
    }
}

fn stage(lowered: &Lowered, at: StageIdx, need: &Need) -> StageExplain {
    let plan = &lowered.plan;
    let grid = &plan.stage(at).grid;
    // What is held already is not made again, and what stands for others not at all.
    let is_held = plan.stage(at).stands_for_others();
    StageExplain {
        operation: lowered.describe(at),
        n_tasks: if is_held { 0 } else { need.n_tasks() },
        shape: grid.shape(),
        chunk: grid.chunk_shape_max(),
        bytes_read: plan.bytes_read(at, need),
        bytes_made: if is_held { 0 } else { plan.bytes_made(at, need) },
    }
}

on_arrays!({ A: Element } {
    /// What computing the array on the current session does, and what its latest run took: operations, chunks, tasks,
    /// bytes read, moved and held. Nothing is computed. Of an array whose values are in this process there is only that
    /// to say.
    ///
    /// # Errors
    /// A session that cannot be started; a scheduler that does not answer.
    pub fn try_explain(&self) -> Result<Explain> {
        self.try_explain_on(&Session::current()?)
    }

    /// As `try_explain`, on a session.
    ///
    /// # Errors
    /// An array that cannot be made an expression; a scheduler that does not answer.
    pub fn try_explain_on(&self, session: &Session) -> Result<Explain> {
        let expr = match self.node() {
            // What was computed can still be looked at.
            Some(node) => node.expr().clone(),
            None => Source::leaf(self)?,
        };
        Explain::of(&[expr], session)
    }

    /// What computing the array on the current session does, and what its latest run took.
    ///
    /// # Panics
    /// Where `try_explain` returns an error.
    #[must_use]
    #[track_caller]
    pub fn explain(&self) -> Explain {
        or_panic(self.try_explain())
    }
});

/// What computing several arrays in one run does: see [`Explain`].
///
/// # Errors
/// A session that cannot be started; a scheduler that does not answer.
pub fn try_explain_all<T: ComputeAll + ?Sized>(arrays: &T) -> Result<Explain> {
    Explain::of(&arrays.exprs()?, &Session::current()?)
}

/// What computing several arrays in one run does: see [`Explain`].
///
/// # Panics
/// Where [`try_explain_all`] returns an error.
#[must_use]
#[track_caller]
pub fn explain_all<T: ComputeAll + ?Sized>(arrays: &T) -> Explain {
    or_panic(try_explain_all(arrays))
}
