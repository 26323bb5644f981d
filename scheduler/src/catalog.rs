//! The names under which results are kept.
//!
//! Owns which job is kept under which name, what reads it, and why names were lost. Must not know what keeps a job.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;
use tilework_expr::Program;
use tilework_plan::{JobError, JobId};
use tilework_proto::names::{NAMES_MAX, check_name};
use tilework_proto::{NameError, Named};

/// Lost names of which is remembered why.
const LOST_MAX: usize = 64;
/// Listed lengths of chunks of what is published, at most: all of it is told at once.
const EFFORT_MAX: usize = 4096;
/// Names that an error lists.
const LISTED_MAX: usize = 20;

#[derive(Debug)]
struct Entry {
    job: JobId,
    program: Arc<Program>,
    by: String,
    since: Instant,
}

/// All names.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    names: BTreeMap<String, Entry>,
    of_job: BTreeMap<JobId, String>,
    lost: VecDeque<(String, String)>,
}

impl Catalog {
    /// Gives a job a name.
    ///
    /// # Errors
    /// Where the name is taken or none, the job has one already, or there are too many.
    pub fn publish(
        &mut self,
        job: JobId,
        name: String,
        (program, by): (Arc<Program>, String),
    ) -> Result<(), NameError> {
        if let Some(taken) = self.names.get(&name) {
            return Err(NameError::Taken { name, by: taken.by.clone() });
        }
        check_name(&name)?;
        if program.planning_effort(EFFORT_MAX) >= EFFORT_MAX || program.outputs.len() != 1 {
            let why = format!(
                "what reads it is no result with less than {EFFORT_MAX} listed lengths of chunks: rechunk it evenly"
            );
            return Err(NameError::Refused(why));
        }
        if self.names.len() == NAMES_MAX {
            return Err(NameError::Refused(format!("there are {NAMES_MAX} names already")));
        }
        if let Some(other) = self.of_job.get(&job) {
            return Err(NameError::Refused(format!("it is published as '{other}' already")));
        }
        self.lost.retain(|(lost, _)| *lost != name);
        self.of_job.insert(job, name.clone());
        self.names.insert(name, Entry { job, program, by, since: Instant::now() });
        Ok(())
    }

    /// What reads what has a name.
    pub fn get(&self, name: &str) -> Result<Arc<Program>, NameError> {
        self.names.get(name).map(|entry| Arc::clone(&entry.program)).ok_or_else(|| self.unknown(name))
    }

    /// Takes a name away; the job that had it.
    pub fn unpublish(&mut self, name: &str) -> Result<JobId, NameError> {
        let entry = self.names.remove(name).ok_or_else(|| self.unknown(name))?;
        self.of_job.remove(&entry.job);
        Ok(entry.job)
    }

    /// What had a name cannot be had any more.
    pub fn lose(&mut self, job: JobId, why: &JobError) {
        let Some(name) = self.of_job.remove(&job) else { return };
        self.names.remove(&name);
        if self.lost.len() == LOST_MAX {
            self.lost.pop_front();
        }
        self.lost.push_back((name, why.to_string()));
    }

    /// The name of a job.
    pub fn name_of(&self, job: JobId) -> Option<&str> {
        self.of_job.get(&job).map(String::as_str)
    }

    /// All names, in their order.
    pub fn all(&self) -> Vec<Named> {
        let named = |(name, entry): (&String, &Entry)| Named {
            name: name.clone(),
            program: Arc::clone(&entry.program),
            by: entry.by.clone(),
            age_us: entry.since.elapsed().as_micros() as u64,
        };
        self.names.iter().map(named).collect()
    }

    fn unknown(&self, name: &str) -> NameError {
        let name = name.to_owned();
        match self.lost.iter().find(|(lost, _)| *lost == name) {
            Some((_, why)) => NameError::Lost { name, why: why.clone() },
            None => NameError::Unknown { name, there: self.names.keys().take(LISTED_MAX).cloned().collect() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilework_expr::{Chunks, Expr, Scalar};

    fn program() -> Arc<Program> {
        Arc::new(Program::new(&[Expr::full(&[1], &Chunks::Auto, Scalar::new(1.0)).unwrap()]))
    }

    #[test]
    fn names_are_given_once_and_lost_ones_say_why() {
        let mut catalog = Catalog::default();
        let mut publish =
            |job, name: &str| catalog.publish(JobId(job), name.to_owned(), (program(), "a (1)".to_owned()));
        publish(1, "x").unwrap();
        let taken = NameError::Taken { name: "x".to_owned(), by: "a (1)".to_owned() };
        assert_eq!(publish(2, "x"), Err(taken));
        for wrong in ["", "a\nb", &"é".repeat(128)] {
            assert!(matches!(publish(2, wrong), Err(NameError::Refused(_))), "{wrong}");
        }
        assert!(matches!(publish(1, "y"), Err(NameError::Refused(why)) if why.contains("'x'")));
        publish(2, "ÿ").unwrap();
        catalog.lose(JobId(1), &JobError::Program("it is gone".to_owned()));
        let why = "the program was refused: it is gone".to_owned();
        assert_eq!(catalog.get("x"), Err(NameError::Lost { name: "x".to_owned(), why }));
        let there = vec!["ÿ".to_owned()];
        assert_eq!(catalog.unpublish("z"), Err(NameError::Unknown { name: "z".to_owned(), there }));
        assert_eq!(catalog.unpublish("ÿ"), Ok(JobId(2)));
        assert_eq!(catalog.name_of(JobId(2)), None);
        catalog.publish(JobId(3), "x".to_owned(), (program(), String::new())).unwrap();
        assert_eq!(catalog.all().len(), 1);
    }
}
