//! Queries run on sessions. Must not know what they are made of.

use super::program::{self, Programs};
use super::stored::OnWorkers;
use crate::error::{Error, Result};
use crate::session::{Session, session_for};
use std::sync::Arc;
use tilework_frame::arrow::array::RecordBatch;
use tilework_frame::{Execute, FrameError, Kept, Piece, Planned, RunFigures, TaskError, keep_here, run_here};
use tilework_plan::{Figures, JobError};
use tilework_worker::spill_space;
use tilework_worker_tables::{TAG, disk, of_value};

/// Runs queries on a session: this one, or the current one when a query is run.
pub(super) struct OnSession(pub(super) Option<Session>);

impl Execute for OnSession {
    fn run(&self, planned: &Planned) -> std::result::Result<Vec<Vec<RecordBatch>>, FrameError> {
        self.run_measured(planned).map(|(rows, _)| rows)
    }

    fn run_measured(
        &self,
        planned: &Planned,
    ) -> std::result::Result<(Vec<Vec<RecordBatch>>, Option<RunFigures>), FrameError> {
        let session = session_for(self.0.as_ref()).map_err(of_session)?;
        match session {
            Some(session) => {
                let (rows, took) = execute(planned, &session).map_err(of_session)?;
                Ok((rows, Some(figures(&took))))
            }
            // A task that asks for a table's rows makes them by itself, on its own thread and its worker's disk.
            None => Ok((run_here(planned, spill_space().map(disk))?, None)),
        }
    }

    fn keep(&self, queries: &[Planned], count_nulls: bool) -> std::result::Result<Vec<Kept>, FrameError> {
        let session = session_for(self.0.as_ref()).map_err(of_session)?;
        match session {
            Some(session) => keep(queries, &session, count_nulls).map_err(of_session),
            None => keep_here(queries, count_nulls, spill_space().map(disk)),
        }
    }
}

fn figures(took: &Figures) -> RunFigures {
    let mut figures = RunFigures::default();
    figures.n_tasks = took.n_tasks;
    figures.bytes_put = took.bytes_put;
    figures.bytes_moved = took.bytes_moved;
    figures.bytes_spilled = took.bytes_spilled;
    figures.bytes_held_max = took.bytes_held_max;
    figures.busy_us = took.busy_us;
    figures.elapsed_us = took.elapsed_us;
    figures
}

fn of_session(error: Error) -> FrameError {
    match error {
        Error::Frame(error) => error,
        Error::TooLargeToGather { bytes, limit } => FrameError::TooLarge { bytes, limit_bytes: limit },
        Error::Job(JobError::Memory { operation: stage, needed, limit, .. }) => {
            FrameError::Memory { stage, needed_bytes: needed, limit_bytes: limit }
        }
        Error::Job(JobError::Detailed { chunk: task, message, detail, .. }) => {
            match TaskError::from_bytes(&detail) {
                Some((stage, error)) => FrameError::Task { stage, task, error },
                // Of another version.
                None => FrameError::executor(message),
            }
        }
        Error::Job(JobError::NoWorker { waiting, .. }) if waiting.contains(TAG) => {
            FrameError::executor(format!(
                "no worker of the cluster has tables: start workers with `tilework worker --program ./my_program` \
             (tilework.sbatch does so by itself), or from a `tilework` that was built with the feature `dataframe` \
             ({waiting})"
            ))
        }
        other => FrameError::executor(other),
    }
}

/// The rows of a query, partition by partition, computed on a session.
fn execute(planned: &Planned, session: &Session) -> Result<(Vec<Vec<RecordBatch>>, Figures)> {
    let (values, took) = session.run_measured(&[program::of(&planned.graph)?])?;
    let stage = planned.graph.stages.last().map_or_else(String::new, |stage| stage.name.clone());
    let failed = |task: usize| {
        let stage = stage.clone();
        move |error: TaskError| FrameError::Task { stage, task: task as u64, error }
    };
    let partition = |(task, value): (usize, &tilework_kernels::Chunk)| {
        let pieces = value.planes.iter().map(of_value).collect::<std::result::Result<Vec<_>, _>>();
        let pieces = pieces.map_err(failed(task))?.into_iter().flatten();
        let batches: std::result::Result<Vec<_>, _> = pieces.map(|p| p.batches(&planned.schema)).collect();
        Ok(batches.map_err(failed(task))?.into_iter().flatten().collect())
    };
    let rows: Result<_> = values.iter().flatten().enumerate().map(partition).collect();
    Ok((rows?, took))
}

/// Keeps the rows of queries on a session's workers, and learns what each partition holds.
fn keep(queries: &[Planned], session: &Session, count_nulls: bool) -> Result<Vec<Kept>> {
    let (mut programs, mut rows, mut told) = (Programs::default(), Vec::new(), Vec::new());
    for query in queries {
        let mut stages = programs.stages(&query.with_facts(count_nulls)?)?;
        told.extend(stages.pop());
        rows.extend(stages.pop());
    }
    let (held, chunks) = session.keep(&rows, &told)?;
    let kept = queries.iter().zip(held.into_iter().zip(chunks)).map(|(query, (values, told))| {
        let pieces: std::result::Result<Vec<_>, _> = told.iter().map(|c| of_value(&c.planes[0])).collect();
        let failed = |error| FrameError::Task { stage: "facts".to_owned(), task: 0, error };
        let pieces: Vec<Piece> = pieces.map_err(failed)?.into_iter().flatten().collect();
        let facts = query.facts(&pieces, count_nulls)?;
        Ok(Kept { schema: query.schema.clone(), rows: Arc::new(OnWorkers::new(values)?), facts })
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_without_tables_is_told_from_one_that_lacks_something_else() {
        let error = |tag: &str| {
            let waiting = format!("no worker that is there has the tag '{tag}'; none has any tag");
            let error = JobError::NoWorker { waiting, waited_s: 30, ended: "none has ended".into() };
            of_session(Error::Job(error)).to_string()
        };
        assert!(error(TAG).contains("built with the feature `dataframe`"), "{}", error(TAG));
        assert!(error("gpu").starts_with("no worker for 30 s"), "{}", error("gpu"));
    }
}
