//! One connection to the scheduler: what comes over it and what is sent, until it ends.
//!
//! Owns the order in which messages, posts and the timer are looked at. Must not know what the state machine makes of them.

use super::{Driver, Post};
use crate::inline;
use crate::planning::{self, PlannedInstructions, planned};
use std::time::Duration;
use tilework_plan::Instruction;
use tilework_proto::{FromWorker, ToWorker, WorkerSession};
use tilework_worker_core::{Event, Planned};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tracing::{error, warn};

/// Events that are handled before what they led to is sent on.
const BATCH_MAX: usize = 256;
/// The pause between two looks at the memory of the process while tasks run.
const WEIGH_PAUSE: Duration = Duration::from_millis(50);
/// The same where another process takes the worker's place: its other tasks may end, those that do not will not.
const REPLACE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a session ended.
pub(super) enum SessionEnd {
    /// The connection broke.
    Lost,
    /// The scheduler closed it, and said why.
    Closing(String),
    /// The scheduler does not take the worker as things are, and said why.
    Refused(String),
    /// The scheduler has ended.
    Ended,
    /// The worker was told to end.
    Stop,
}

impl Driver {
    /// Serves one connection until it ends.
    pub(super) async fn serve(
        &mut self,
        session: WorkerSession,
        posts: &mut mpsc::Receiver<Post>,
    ) -> SessionEnd {
        let WorkerSession { mut from_scheduler, to_scheduler, .. } = session;
        let leave_by = tokio::time::sleep(Duration::MAX);
        tokio::pin!(leave_by);
        let mut weighing = tokio::time::interval(WEIGH_PAUSE);
        weighing.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.tick();
        loop {
            if let Some(why) = self.replaced.clone().filter(|_| !self.leaving) {
                error!("{why}");
                self.leaving = true;
                leave_by.as_mut().reset(tokio::time::Instant::now() + REPLACE_TIMEOUT);
                for message in [FromWorker::LastWords(why), FromWorker::Leaving] {
                    if to_scheduler.send(message).await.is_err() {
                        return ended(&mut from_scheduler).await;
                    }
                }
            }
            if !self.reports.is_empty() {
                let reports = std::mem::take(&mut self.reports);
                let inlined = inline::of(&reports, &self.shared.plans, &self.shared.store);
                if to_scheduler.send(FromWorker::Reports { reports, inlined }).await.is_err() {
                    return ended(&mut from_scheduler).await;
                }
            }
            let wake = self.core.next_wake_us().map(|us| self.started + Duration::from_micros(us));
            let tick = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = from_scheduler.recv(), if self.planning.is_none() => match message {
                    Some(message) => {
                        if let Some(end) = self.told(message, &mut from_scheduler) {
                            return end;
                        }
                    }
                    None => return SessionEnd::Lost,
                },
                planned = planned(&mut self.planning) => self.instructed(planned),
                post = posts.recv() => match self.take(post, posts) {
                    Taken::Handled => {}
                    Taken::Leave => {
                        self.leaving = true;
                        leave_by.as_mut().reset(tokio::time::Instant::now() + self.leave);
                        if to_scheduler.send(FromWorker::Leaving).await.is_err() {
                            return ended(&mut from_scheduler).await;
                        }
                    }
                    Taken::Stop => return SessionEnd::Stop,
                },
                Some(done) = self.transfers.join_next() => {
                    if let Ok(event) = done {
                        self.handle([event]);
                    }
                }
                () = tick => self.tick(),
                _ = weighing.tick(), if self.is_to_be_weighed() => self.weigh(),
                () = &mut leave_by, if self.leaving => {
                    if self.replaced.is_none() {
                        let n_tasks = self.running.len();
                        warn!(n_tasks, "told to end {:.0?} ago, and tasks go on: ending without them", self.leave);
                    }
                    return SessionEnd::Stop;
                }
            }
        }
    }

    /// Handles a message and those that wait behind it.
    fn told(&mut self, first: ToWorker, more: &mut mpsc::Receiver<ToWorker>) -> Option<SessionEnd> {
        let mut message = first;
        for _ in 1..BATCH_MAX {
            if let Some(end) = self.told_one(message) {
                return Some(end);
            }
            if self.planning.is_some() {
                return None;
            }
            message = more.try_recv().ok()?;
        }
        self.told_one(message)
    }

    fn told_one(&mut self, message: ToWorker) -> Option<SessionEnd> {
        match message {
            ToWorker::Instructions { programs, instructions } => match planning::of(programs, instructions) {
                Ok(planned) => self.instructed(planned),
                Err(planning) => self.planning = Some(planning),
            },
            ToWorker::Closing(why) => return Some(SessionEnd::Closing(why)),
            ToWorker::Refused(why) => return Some(SessionEnd::Refused(why)),
            ToWorker::Ended => return Some(SessionEnd::Ended),
            ToWorker::Welcome(_) => {}
        }
        None
    }

    fn instructed(&mut self, PlannedInstructions { instructions, made }: PlannedInstructions) {
        let mut over = Vec::new();
        for (job, made) in made {
            let planned = match made {
                Ok(lowered) => {
                    let plan = lowered.plan.clone();
                    self.shared.plans.define(job, lowered);
                    Planned::of(plan)
                }
                Err(error) => {
                    error!(job = job.0, error, "a program that cannot be planned");
                    Planned::failed(error)
                }
            };
            self.handle([Event::Planned { job, planned }]);
        }
        for instruction in &instructions {
            if let Instruction::Forget(job) = instruction {
                over.extend(self.shared.plans.of(*job));
            }
            self.shared.plans.learn(instruction);
            match instruction {
                Instruction::Forget(job) => self.sources.forget(Some(*job)),
                Instruction::Peer { worker, addresses } => {
                    self.addresses.insert(*worker, addresses.clone());
                }
                Instruction::PeerGone(worker) => {
                    let addresses = self.addresses.remove(worker).unwrap_or_default();
                    self.peers.left(*worker, &addresses);
                }
                _ => {}
            }
        }
        self.handle([Event::Told(instructions)]);
        if !over.is_empty() {
            // To drop a large plan takes long, and nobody waits for it.
            tokio::task::spawn_blocking(move || drop(over));
        }
    }

    /// Handles a post and those that wait behind it.
    fn take(&mut self, first: Option<Post>, more: &mut mpsc::Receiver<Post>) -> Taken {
        let mut post = first;
        for _ in 1..BATCH_MAX {
            match self.take_one(post) {
                Taken::Handled => {}
                end => return end,
            }
            match more.try_recv() {
                Ok(next) => post = Some(next),
                Err(_) => return Taken::Handled,
            }
        }
        self.take_one(post)
    }

    fn take_one(&mut self, post: Option<Post>) -> Taken {
        match post {
            Some(Post::Events(events)) => self.handle(events),
            Some(Post::Leave) => return Taken::Leave,
            Some(Post::Stop) | None => return Taken::Stop,
        }
        Taken::Handled
    }
}

enum Taken {
    Handled,
    Leave,
    Stop,
}

/// The sending half is closed: what the scheduler last said tells why.
async fn ended(from_scheduler: &mut mpsc::Receiver<ToWorker>) -> SessionEnd {
    while let Some(message) = from_scheduler.recv().await {
        match message {
            ToWorker::Closing(why) => return SessionEnd::Closing(why),
            ToWorker::Refused(why) => return SessionEnd::Refused(why),
            ToWorker::Ended => return SessionEnd::Ended,
            ToWorker::Instructions { .. } | ToWorker::Welcome(_) => {}
        }
    }
    SessionEnd::Lost
}
