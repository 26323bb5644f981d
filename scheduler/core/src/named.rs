//! Jobs whose outputs are kept under a name, whatever becomes of their clients.
//!
//! Knows that they are kept. Must not know the names.

use crate::limits::Bug;
use crate::scheduler::Scheduler;
use tilework_plan::JobId;

impl Scheduler {
    /// Whether a job's outputs can be kept under a name: it is there, its client holds it, and so it has not failed.
    #[must_use]
    pub fn can_be_published(&self, job: JobId) -> bool {
        self.jobs.get(&job).is_some_and(|j| j.client_phase.holds())
    }

    pub(crate) fn publish_job(&mut self, id: JobId) {
        if self.can_be_published(id) && !self.limits.plays(Bug::PublicationIgnored) {
            self.jobs.get_mut(&id).expect("the job that is published").is_published = true;
        }
    }

    pub(crate) fn unpublish_job(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id).filter(|j| j.is_published) else { return };
        job.is_published = false;
        if !self.limits.plays(Bug::PublicationKept) {
            self.unsettled.insert(id);
            self.let_go_of_kept(id);
        }
    }
}
