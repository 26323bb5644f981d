//! Where the chunks of a job's outputs are, told to its client: a number of chunks is looked at with each event, for nobody
//! else is served meanwhile.
//!
//! Knows outputs and holders. Must not know how a job comes to its end.

use crate::event::JobEnd;
use crate::holdings::push_holding;
use crate::limits::Bug;
use crate::scheduler::Scheduler;
use std::collections::BTreeSet;
use tilework_plan::{ChunkIdx, Figures, Holding, JobId, TaskKey, Update, WorkerId};

/// How far an announcement is.
#[derive(Default)]
pub(crate) struct Announcement {
    /// The outputs of which all chunks were looked at.
    outputs: Vec<Vec<Holding>>,
    /// What was found of the next one.
    list: Vec<Holding>,
    /// The chunk of it that is looked at next.
    next: u64,
    holders: BTreeSet<WorkerId>,
}

impl Scheduler {
    /// All outputs of a job exist: its client will be told where, if none of them is lost meanwhile.
    pub(crate) fn begin_announcing(&mut self, id: JobId) {
        self.announcing.insert(id, Announcement::default());
        self.announce_some();
    }

    /// A job's client is not to be told any more, for an output was lost, or nobody wants to know; whether it was about
    /// to be.
    pub(crate) fn end_announcing(&mut self, id: JobId) -> bool {
        self.announcing.remove(&id).is_some()
    }

    /// Goes on with the announcements that are under way.
    pub(crate) fn announce_some(&mut self) {
        while self.announce_left > 0
            && let Some((id, mut announcement)) = self.announcing.pop_first()
        {
            if self.look_for_holders(id, &mut announcement) {
                self.announce(id, announcement);
            } else {
                self.announcing.insert(id, announcement);
            }
        }
    }

    /// Whether all chunks were looked at.
    fn look_for_holders(&mut self, id: JobId, a: &mut Announcement) -> bool {
        let job = &self.jobs[&id];
        while let Some(&stage) = job.plan.outputs.get(a.outputs.len()) {
            let (of, made) = job.stage(stage).canonical;
            let table = &self.jobs[&of].stage(made).table;
            // An output without chunks is looked at too.
            let end = table.n_tasks().min(a.next.saturating_add(self.announce_left));
            self.announce_left = self.announce_left.saturating_sub((end - a.next).max(1));
            for chunk in a.next..end {
                if let Some(holder) = table.get(chunk).holder() {
                    let key = TaskKey { job: of, stage: made, chunk: ChunkIdx(chunk) };
                    push_holding(&mut a.list, key, holder);
                }
            }
            a.next = end;
            if end < table.n_tasks() {
                return false;
            }
            a.holders.extend(a.list.iter().map(|holding| holding.worker));
            a.outputs.push(std::mem::take(&mut a.list));
            a.next = 0;
            if self.announce_left == 0 && a.outputs.len() < job.plan.outputs.len() {
                return false;
            }
        }
        true
    }

    fn announce(&mut self, id: JobId, announcement: Announcement) {
        let Announcement { outputs, holders, .. } = announcement;
        // All that exists is told of at once, those that failed before.
        self.tell_of_failed(id);
        self.untold.remove(&id);
        let job = self.jobs.get_mut(&id).expect("the job that is announced");
        job.singles.forget_made();
        let (done, total) = job.progress();
        let figures = Figures { elapsed_us: self.now_us - job.submitted_us, ..job.figures };
        let of = |w: &WorkerId| self.workers.get(w).map(|s| (*w, s.hello.addresses.clone()));
        let addresses = holders.iter().filter_map(of).collect();
        self.note_end(id, JobEnd::Computed);
        self.update(id, Update::Progress { done, total });
        self.update(id, Update::Done { outputs, addresses, figures });
    }

    /// An output of a job is lost: what was found of the others may not be so any more.
    pub(crate) fn unannounce(&mut self, id: JobId) {
        if !self.limits.plays(Bug::AnnouncementGoesOn) {
            self.end_announcing(id);
        }
    }
}
