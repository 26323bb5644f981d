//! What there is to do after an event until everything is at rest, in one order.
//!
//! Knows the order, and why there is an end to it. Must not know how anything is done.

use crate::scheduler::Scheduler;

/// What there may be to do. A point does what it finds, all of it or the first, and says whether there was any; it has its
/// turn when there is nothing for those before it.
///
/// What has ended comes first, so that nobody works for it. Then what is ready finds its place, and workers with room get what
/// there is for them. Only when all of them have enough, or found nothing, those that found nothing are given something at
/// others' cost, from the cheapest on.
const AGENDA: [fn(&mut Scheduler) -> bool; 11] = [
    Scheduler::fail_jobs,
    Scheduler::settle_jobs,
    Scheduler::open_barriers,
    Scheduler::place_ready,
    Scheduler::fill_next,
    Scheduler::steal_roots,
    Scheduler::make_room,
    Scheduler::force_root,
    Scheduler::steal_ready,
    Scheduler::revoke_for_idle,
    Scheduler::finish_leaving,
];

impl Scheduler {
    /// Brings everything to rest: does what is next on the agenda until there is nothing.
    ///
    /// There is an end to it because all of this happens within one event: no worker reports, and nobody comes. So
    ///
    /// - workers are lost, jobs fail and priorities rise for good, and chunks are lost or dropped while none is made: that
    ///   happens a bounded number of times. Only this, and the settling of jobs that follows from it or from outputs that
    ///   exist, takes back what workers were granted. In between,
    /// - a lease stays, and has at least one task: there are no more than workers have room for;
    /// - a ready task is placed once. One that finds no place is looked at again only after something has ended;
    /// - it changes its queue for the worker that is being filled, or an idle one. That one then gets a lease, or has
    ///   something more urgent at the head of its queue than before, or has enough; whose queue was taken from is not looked
    ///   at again for that;
    /// - a worker that is being filled gets a lease or ready tasks, or puts chunks of other jobs to use, which is so many roots
    ///   less, or its turn is over;
    /// - what is done at others' cost is done only where it brings a lease, moves a ready task, drops a chunk or ends a job.
    pub(crate) fn come_to_rest(&mut self) {
        while AGENDA.iter().any(|point| point(self)) {}
    }
}
