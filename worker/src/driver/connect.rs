//! The way to the scheduler: connecting, again and again, and what is dropped when a connection is gone.
//!
//! Owns for how long that is tried. Must not know what is said over a connection.

use super::session::SessionEnd;
use super::{Driver, Post, WorkerError};
use std::time::{Duration, Instant};
use tilework_plan::{Hello, WorkerId};
use tilework_proto::{LinkError, WorkerLink, WorkerSession};
use tilework_worker_core::Event;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

/// The first pause between two tries to reach the scheduler.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(20);
/// The longest pause between two tries to reach the scheduler.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);
/// The first pause before a worker that the scheduler does not take tries again.
const REFUSED_PAUSE: Duration = Duration::from_millis(250);
/// The most that one try to reach the scheduler counts for: one in which the worker itself was stopped may take any time.
const TRY_MAX: Duration = Duration::from_secs(15);

impl Driver {
    /// Connects and serves, again and again.
    pub(super) async fn live(
        &mut self,
        link: &dyn WorkerLink,
        hello: &Hello,
        patience: Duration,
        posts: &mut mpsc::Receiver<Post>,
    ) -> Result<(), WorkerError> {
        loop {
            let Some(session) = self.connect(link, hello, patience, posts).await? else {
                return Ok(());
            };
            let (worker, since) = (session.worker, Instant::now());
            info!(worker = worker.0, "connected to the scheduler");
            self.joined(worker);
            let end = self.serve(session, posts).await;
            self.disconnected(worker);
            if !matches!(end, SessionEnd::Refused(_)) {
                (self.refused_for, self.rest) = (Duration::ZERO, Duration::ZERO);
            }
            match end {
                SessionEnd::Stop => return Ok(()),
                SessionEnd::Ended => {
                    info!("the scheduler has ended");
                    return Ok(());
                }
                SessionEnd::Closing(_) | SessionEnd::Refused(_) | SessionEnd::Lost if self.leaving => {
                    return Ok(());
                }
                // It was one of the workers, and may be again: nothing was heard of it for too long, perhaps.
                SessionEnd::Closing(why) => {
                    warn!(why, "the scheduler ended the connection; joining again");
                    self.rest = REFUSED_PAUSE;
                }
                // Its name is taken, perhaps by a worker that has died and for which this one is the replacement.
                SessionEnd::Refused(why) => {
                    self.refused_for += since.elapsed().min(TRY_MAX) + self.rest;
                    if self.refused_for > patience {
                        return Err(WorkerError::Dismissed(why));
                    }
                    warn!(why, "the scheduler does not take this worker; trying again");
                    self.rest = (self.rest * 2).clamp(REFUSED_PAUSE, RETRY_PAUSE_MAX);
                }
                SessionEnd::Lost => warn!("the connection to the scheduler broke"),
            }
        }
    }

    /// A new connection; `None` where the worker is told to end meanwhile.
    async fn connect(
        &mut self,
        link: &dyn WorkerLink,
        hello: &Hello,
        patience: Duration,
        posts: &mut mpsc::Receiver<Post>,
    ) -> Result<Option<WorkerSession>, WorkerError> {
        let mut tried_for = Duration::ZERO;
        let mut pause = RETRY_PAUSE_MIN;
        let mut before = self.rest;
        loop {
            if self.replaced.is_some() {
                return Ok(None);
            }
            let started = Instant::now();
            let rest = pause;
            let wait = std::mem::take(&mut before);
            let attempt = async {
                tokio::time::sleep(wait).await;
                let opened = link.open(hello.clone()).await;
                if let Err(LinkError::Unreachable(_)) = opened {
                    tokio::time::sleep(rest).await;
                }
                opened
            };
            tokio::pin!(attempt);
            let opened = loop {
                tokio::select! {
                    opened = &mut attempt => break opened,
                    post = posts.recv() => match post {
                        Some(Post::Events(events)) => self.handle(events),
                        Some(Post::Leave | Post::Stop) | None => return Ok(None),
                    },
                }
            };
            tried_for += started.elapsed().min(TRY_MAX);
            match opened {
                Ok(session) => return Ok(Some(session)),
                Err(error @ LinkError::Unreachable(_)) if tried_for < patience => {
                    debug!(%error, "the scheduler is not there");
                }
                Err(error @ LinkError::Unreachable(_)) => {
                    return Err(WorkerError::Alone(tried_for, error));
                }
                Err(error) => return Err(error.into()),
            }
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
    }

    fn joined(&mut self, worker: WorkerId) {
        self.reports.clear();
        self.planning = None;
        self.peers.joined(worker, self.shared.shelf());
        self.shared.number.send_replace(Some(worker));
    }

    fn disconnected(&mut self, worker: WorkerId) {
        self.shared.number.send_replace(None);
        self.peers.left(worker, &[]);
        self.handle([Event::Disconnected]);
        self.transfers.abort_all();
        self.running.values().for_each(|(_, task)| task.stop());
        self.shared.store.clear();
        self.shared.plans.clear();
        self.sources.forget(None);
        for (_, addresses) in self.addresses.drain() {
            self.peers.let_go(&addresses);
        }
        self.epoch = self.shared.store.epoch();
    }
}
