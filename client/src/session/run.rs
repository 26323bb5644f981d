//! The ways to compute expressions: for their values, for what they write, or to keep them; each on a session that is named or
//! on the current one.
//!
//! Owns what is done in each of the places where a computation runs. Must not decide which it is.

use super::held::Held;
use super::jobs::Job;
use super::own::FIRST_WORKER_WAIT;
use super::planned::Planned;
use super::progress::Progress;
use super::route::{Route, Want, route};
use super::runs::Digest;
use super::{Session, at_once, tiny};
use crate::array::chunks_of;
use crate::error::Result;
use crate::literal::{InMemory, Literal};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tilework_expr::Expr;
use tilework_kernels::Chunk;
use tilework_plan::Figures;

/// Computes the expressions on the current session and returns the chunks of each, in order.
pub(crate) fn run(outputs: &[Expr]) -> Result<Vec<Vec<Chunk>>> {
    chunks(None, outputs)
}

/// Computes the expressions on the current session for their effect (files written) alone.
pub(crate) fn execute(outputs: &[Expr]) -> Result<()> {
    match route(None, outputs, Want::Effect)? {
        Route::Here(planned) | Route::AtOnce(_, planned) => at_once::compute(&planned).map(drop),
        Route::Submit(session, planned) => session.start(planned)?.wait(),
    }
}

/// Computes the expressions on the current session and keeps their chunks: see [`Session::persist`].
pub(crate) fn persist(outputs: &[Expr]) -> Result<Vec<Expr>> {
    kept(None, outputs)
}

fn chunks(on: Option<&Session>, outputs: &[Expr]) -> Result<Vec<Vec<Chunk>>> {
    match route(on, outputs, Want::Values)? {
        Route::Here(planned) => Ok(at_once::compute(&planned)?.0),
        Route::AtOnce(session, planned) => session.compute_at_once(&planned),
        Route::Submit(session, planned) => Ok(session.gathered(planned)?.0),
    }
}

fn kept(on: Option<&Session>, outputs: &[Expr]) -> Result<Vec<Expr>> {
    match route(on, outputs, Want::Kept)? {
        Route::Here(planned) | Route::AtOnce(_, planned) => kept_here(outputs, at_once::compute(&planned)?.0),
        Route::Submit(session, planned) => {
            let job = session.start(planned)?;
            job.wait()?;
            kept_there(outputs, job, &session)
        }
    }
}

/// Expressions that read chunks in this process.
fn kept_here(outputs: &[Expr], chunks: Vec<Vec<Chunk>>) -> Result<Vec<Expr>> {
    let kept = outputs.iter().zip(chunks).map(|(e, chunks)| {
        let (id, data) = Literal::attach(InMemory { grid: e.grid().clone(), chunks });
        Ok(Expr::literal(&e.shape(), &chunks_of(e.grid()), e.dtype(), id, data)?)
    });
    kept.collect()
}

/// Expressions that read the outputs of a job of a session.
fn kept_there(outputs: &[Expr], job: Job, session: &Session) -> Result<Vec<Expr>> {
    let id = job.id();
    let held = Held::outputs(job, session, outputs.iter().map(|e| e.grid().clone()));
    let held = outputs.iter().zip(held).enumerate().map(|(i, (e, held))| {
        let (output, grid, held) = (i as u32, e.grid().clone(), Arc::new(held));
        Ok(match e.op().gives_values() {
            true => Expr::held_values(id.0, output, grid.n_chunks() as usize, held)?,
            false => Expr::held(id.0, output, grid, e.dtype(), held)?,
        })
    });
    held.collect()
}

impl Session {
    /// Computes the expressions and returns the chunks of each, in order.
    pub(crate) fn run(&self, outputs: &[Expr]) -> Result<Vec<Vec<Chunk>>> {
        chunks(Some(self), outputs)
    }

    /// The same of what is computed by workers alone, with what that took.
    #[cfg(feature = "dataframe")]
    pub(crate) fn run_measured(&self, outputs: &[Expr]) -> Result<(Vec<Vec<Chunk>>, Figures)> {
        match route(Some(self), outputs, Want::Values)? {
            Route::Here(planned) | Route::AtOnce(_, planned) => {
                Ok((at_once::compute(&planned)?.0, Figures::default()))
            }
            Route::Submit(session, planned) => session.gathered(planned),
        }
    }

    /// What workers compute, brought here, with what it took.
    fn gathered(&self, planned: Planned) -> Result<(Vec<Vec<Chunk>>, Figures)> {
        self.start(planned)?.gather(self.0.data.as_ref(), self.gather_limit())
    }

    /// Computes the expressions, leaves their chunks on the workers, and returns expressions that read them there. A task that
    /// asks for it computes and keeps them by itself.
    pub(crate) fn persist(&self, outputs: &[Expr]) -> Result<Vec<Expr>> {
        kept(Some(self), outputs)
    }

    /// Computes the expressions, leaves the chunks of those of `kept` on the workers, and returns expressions that read them
    /// there, and the chunks of the others, in order.
    #[cfg(feature = "dataframe")]
    pub(crate) fn keep(&self, kept: &[Expr], others: &[Expr]) -> Result<(Vec<Expr>, Vec<Vec<Chunk>>)> {
        let outputs = [kept, others].concat();
        let job = self.start(Planned::on(Some(self), &outputs, FIRST_WORKER_WAIT)?)?;
        job.wait()?;
        let chunks = job.gather_from(self.0.data.as_ref(), kept.len(), self.gather_limit())?;
        Ok((kept_there(kept, job, self)?, chunks))
    }

    /// What the workers run for those who do not wait for it.
    pub(crate) fn planned(&self, outputs: &[Expr]) -> Result<Planned> {
        Planned::on(Some(self), outputs, FIRST_WORKER_WAIT)
    }

    /// What would be run, to be looked at.
    pub(crate) fn preview(&self, outputs: &[Expr]) -> Result<Planned> {
        Planned::on(Some(self), outputs, Duration::ZERO)
    }

    /// What the latest run of a program took; `None` where it did not run, or many others ran since.
    pub(crate) fn figures_of(&self, planned: &Planned) -> Option<Figures> {
        self.0.jobs.figures_of(Digest::of(&planned.program))
    }

    /// The chunks of what is worth no worker, computed by this thread. It is noted as what a worker does.
    fn compute_at_once(&self, planned: &Planned) -> Result<Vec<Vec<Chunk>>> {
        let started = Instant::now();
        let (chunks, n_tasks) = at_once::compute(planned)?;
        let elapsed_us = started.elapsed().as_nanos().div_ceil(1000) as u64;
        let figures = Figures { n_tasks, elapsed_us, busy_us: elapsed_us, ..Figures::default() };
        self.0.jobs.ran(Digest::of(&planned.program), figures);
        Ok(chunks)
    }

    /// Hands a computation to the workers.
    fn start(&self, planned: Planned) -> Result<Job> {
        tiny::warn(&planned.lowered);
        let progress = Progress::new(*self.0.progress.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.jobs.submit(planned, progress)
    }
}
