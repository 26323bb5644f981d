//! How fast the tasks of a job are done, and how long the rest of them will take.
//!
//! Knows counts and measured times. Must not know who does the tasks.

use crate::job::{Job, StageState};
use tilework_plan::StageIdx;

/// How fast tasks are done, over a stretch of time that has just ended and one that has just begun.
#[derive(Clone, Copy, Default)]
pub(crate) struct Pace {
    /// Tasks that were done in the last stretch that is complete, and how long it took, microseconds.
    last: (u64, u64),
    /// When the one that is under way began, and tasks that were done by then.
    since: (u64, u64),
}

impl Pace {
    /// A stretch is at least this long, microseconds.
    const STRETCH_US: u64 = 2_000_000;

    /// From now on.
    pub fn new(now_us: u64) -> Pace {
        Pace { last: (0, 0), since: (now_us, 0) }
    }

    /// So many tasks are done now.
    pub fn note(&mut self, now_us: u64, n_done: u64) {
        let (since_us, before) = self.since;
        if now_us.saturating_sub(since_us) >= Self::STRETCH_US {
            self.last = (n_done.saturating_sub(before), now_us - since_us);
            self.since = (now_us, n_done);
        }
    }

    /// Tasks that were done of late, and in how many microseconds: in the stretch under way where that is as long as one,
    /// or the first.
    pub fn of_late(&self, now_us: u64, n_done: u64) -> (u64, u64) {
        let (since_us, before) = self.since;
        let under_way = now_us.saturating_sub(since_us);
        if self.last.1 == 0 || under_way >= Self::STRETCH_US {
            (n_done.saturating_sub(before), under_way)
        } else {
            self.last
        }
    }
}

impl Job {
    /// Time that is left until all its tasks are done, microseconds: the time so far, by the share of the work that is
    /// done. A task's work is its stage's measured time; where none was measured, the mean of those that were. In a plan of
    /// very many stages, all tasks count alike.
    pub fn left_us(&self, now_us: u64) -> Option<u64> {
        let elapsed = u128::from(now_us.saturating_sub(self.submitted_us));
        if self.stages.len() > Self::STAGES_LOOKED_AT_MAX {
            let (n_done, n_needed) = self.progress();
            let left = u128::from(n_needed.saturating_sub(n_done));
            return u64::try_from((elapsed * left).checked_div(u128::from(n_done))?).ok();
        }
        let own = (0..self.stages.len()).filter(|&i| !self.stands_for_others(StageIdx(i as u32)));
        let stages = own.map(|i| &self.stages[i]);
        let measured = stages.clone().filter(|s| s.mean_us > 0).map(|s| (s.table.n_done().max(1), s.mean_us));
        let (n, us) = measured
            .fold((0u128, 0u128), |(n, us), (d, m)| (n + u128::from(d), us + u128::from(d) * u128::from(m)));
        let typical = us.checked_div(n)?;
        let work = |s: &StageState, n: u64| {
            u128::from(n) * if s.mean_us > 0 { u128::from(s.mean_us) } else { typical }
        };
        let (done, left) = stages.fold((0, 0), |(done, left), s| {
            let (n_done, n) = (s.table.n_done(), s.need.n_tasks());
            (done + work(s, n_done), left + work(s, n.saturating_sub(n_done)))
        });
        u64::try_from(elapsed.saturating_mul(left).checked_div(done)?).ok()
    }
}
