//! Queries run on sessions. Must not know what they are made of.

use super::program;
use crate::error::{Error, Result};
use crate::session::{Session, session_for};
use tilework_frame::arrow::array::RecordBatch;
use tilework_frame::{Execute, FrameError, LocalExecute, Planned, TaskError};
use tilework_plan::JobError;
use tilework_worker_tables::{TAG, of_value};

/// Runs queries on a session: this one, or the current one when a query is run.
pub(super) struct OnSession(pub(super) Option<Session>);

impl Execute for OnSession {
    fn run(&self, planned: &Planned) -> std::result::Result<Vec<Vec<RecordBatch>>, FrameError> {
        let session = session_for(self.0.as_ref()).map_err(of_session)?;
        match session {
            Some(session) => execute(planned, &session).map_err(of_session),
            // A task that asks for a table's rows makes them by itself.
            None => LocalExecute::shared()?.run(planned),
        }
    }
}

fn of_session(error: Error) -> FrameError {
    match error {
        Error::Frame(error) => error,
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
fn execute(planned: &Planned, session: &Session) -> Result<Vec<Vec<RecordBatch>>> {
    let values = session.run(&[program::of(&planned.graph)?])?;
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
    values.iter().flatten().enumerate().map(partition).collect()
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
