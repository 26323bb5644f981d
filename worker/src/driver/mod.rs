//! The task that owns the worker's state machine: messages, results and transfers become events; actions become
//! tasks on the pool, transfers and reports.
//!
//! Owns the connection to the scheduler, the clock and the timer. Decides nothing, and computes nothing: kernels run
//! on the pool, files on blocking threads.

mod connect;
mod engines;
mod memory;
mod session;
mod transfers;

use self::memory::{FREED_IDLE, with_memory};
use crate::crew::{Crew, Job, Running};
use crate::heap::Scales;
use crate::peers::{Peers, Shelf, Uncounted};
use crate::planning::Planning;
use crate::plans::Plans;
use crate::pool::Pool;
use crate::source::Sources;
use crate::spill::{Disk, Writer};
use crate::store::{Epoch, Store};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tilework_kernels::FreedShare;
use tilework_kernels::native::forget_unused;
use tilework_plan::{Hello, LeaseId, Report, TaskKey, WorkerId};
use tilework_proto::{LinkError, WorkerLink};
use tilework_worker_core::{Action, Event, Whence, Worker};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// How long the scheduler may take to let a leaving worker go, where tasks may go on for any time.
pub(crate) const LEAVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a worker ended.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WorkerError {
    /// The scheduler did not want it.
    #[error("{0}")]
    Link(#[from] LinkError),
    /// The scheduler was gone for too long.
    #[error("no scheduler for {0:.0?}: {1}")]
    Alone(Duration, LinkError),
    /// The scheduler ended the connection.
    #[error("the scheduler ended the connection: {0}")]
    Dismissed(String),
    /// Threads of it do not come back: another process is to take its place.
    #[error("{0}")]
    Stuck(String),
}

/// What can be posted to the driver.
#[derive(Debug)]
pub(crate) enum Post {
    Events(Vec<Event>),
    /// Say goodbye, then end.
    Leave,
    /// End.
    Stop,
}

/// What the driver shares with the pool's threads, the chunk service and the handle.
#[derive(Debug)]
pub(crate) struct Shared {
    pub store: Arc<Store>,
    pub plans: Arc<Plans>,
    pub number: watch::Sender<Option<WorkerId>>,
    pub inbox: mpsc::WeakSender<Post>,
    /// See [`Shelf`].
    pub uncounted: Uncounted,
    /// Bytes of chunks that may go to the disk.
    pub spill_bytes: u64,
}

impl Shared {
    /// The worker's chunks, for others.
    pub fn shelf(&self) -> Shelf {
        Shelf {
            store: self.store.clone(),
            plans: self.plans.clone(),
            inbox: self.inbox.clone(),
            uncounted: self.uncounted.clone(),
        }
    }
}

/// All that a driver needs.
pub(crate) struct Setup {
    pub core: Worker,
    pub hello: Hello,
    pub link: Arc<dyn WorkerLink>,
    pub peers: Arc<dyn Peers>,
    pub pool: Pool,
    pub shared: Arc<Shared>,
    /// Where chunks go that memory does not hold.
    pub disk: Option<Disk>,
    /// How long it tries to reach a scheduler that is gone.
    pub patience: Duration,
    /// How long the scheduler may take to let it go when it leaves: the tasks that it runs may end.
    pub leave: Duration,
}

struct Driver {
    core: Worker,
    started: Instant,
    peers: Arc<dyn Peers>,
    crew: Crew,
    sources: Arc<Sources>,
    shared: Arc<Shared>,
    memory_bytes: usize,
    /// Tasks that run at a time.
    threads: u64,
    disk: Option<Arc<Disk>>,
    /// Started with the first write.
    writer: Option<Writer>,
    inbox: mpsc::WeakSender<Post>,
    /// Tasks that were asked for and are not handed to the crew yet.
    jobs: Vec<Job>,
    /// The tasks that were handed over, with those that are to stop.
    running: HashMap<TaskKey, (LeaseId, Arc<Running>)>,
    /// Whether the state machine was told that some take long.
    some_take_long: bool,
    addresses: HashMap<WorkerId, Vec<String>>,
    transfers: JoinSet<Event>,
    epoch: Epoch,
    /// What freed chunks may keep.
    freed: FreedShare,
    /// When there was something to do last.
    busy_at: Instant,
    /// When it was last looked for what calls use no more.
    swept_at: Instant,
    /// What the process has of memory, where all of it is this worker's.
    scales: Option<Scales>,
    /// Reports that are not sent yet.
    reports: Vec<Report>,
    /// Instructions whose programs are being planned; what comes behind them waits.
    planning: Option<Planning>,
    /// How long the scheduler has not taken this worker, one try after another.
    refused_for: Duration,
    /// The pause before the next connection.
    rest: Duration,
    /// How long it waits to be let go.
    leave: Duration,
    leaving: bool,
    /// Why another process is to take its place.
    replaced: Option<String>,
}

/// Runs a worker until it is told to stop, it has left, or the scheduler is gone for good.
pub(crate) async fn drive(
    setup: Setup,
    inbox: mpsc::WeakSender<Post>,
    mut posts: mpsc::Receiver<Post>,
) -> Result<(), WorkerError> {
    let Setup { core, hello, link, peers, pool, shared, disk, patience, leave } = setup;
    let sources = Arc::new(Sources::new(hello.threads as usize));
    let mut driver = Driver {
        core,
        started: Instant::now(),
        peers,
        crew: Crew::new(pool, shared.store.clone(), inbox.clone()),
        sources,
        memory_bytes: usize::try_from(hello.memory_bytes).unwrap_or(usize::MAX),
        threads: u64::from(hello.threads.max(1)),
        disk: disk.map(Arc::new),
        writer: None,
        inbox,
        jobs: Vec::new(),
        running: HashMap::new(),
        some_take_long: false,
        addresses: HashMap::new(),
        transfers: JoinSet::new(),
        epoch: shared.store.epoch(),
        freed: FreedShare::default(),
        busy_at: Instant::now(),
        swept_at: Instant::now(),
        scales: Scales::of(hello.memory_bytes),
        reports: Vec::new(),
        planning: None,
        refused_for: Duration::ZERO,
        rest: Duration::ZERO,
        leave,
        leaving: false,
        replaced: None,
        shared,
    };
    let ended = driver.live(&*link, &hello, patience, &mut posts).await;
    driver.replaced.take().map_or(ended, |why| Err(WorkerError::Stuck(why)))
}

impl Driver {
    /// Time has passed.
    fn tick(&mut self) {
        if self.swept_at.elapsed() >= FREED_IDLE {
            self.swept_at = Instant::now();
            forget_unused();
        }
        let long_us = self.core.long_us();
        let age_us = |task: &Running| task.age().map(|age| age.as_micros() as u64);
        let long = |task: &Running| age_us(task).filter(|age| *age >= long_us);
        let ages = self.running.iter().filter_map(|(task, (lease, r))| Some((*lease, *task, long(r)?)));
        let mut ages: Vec<_> = ages.collect();
        // In the same order whatever the map's is.
        ages.sort_unstable();
        let some = !ages.is_empty();
        if some || std::mem::replace(&mut self.some_take_long, some) {
            self.handle([Event::Ages(ages)]);
        }
        self.handle([Event::Tick]);
    }

    /// Handles events in order, then hands over the tasks that they led to.
    fn handle(&mut self, events: impl IntoIterator<Item = Event>) {
        let now_us = self.started.elapsed().as_micros() as u64;
        let mut actions = Vec::new();
        for event in events {
            if let Event::Finished { task, .. } = &event {
                self.running.remove(task);
            }
            self.core.handle(now_us, event, &mut actions);
            actions.drain(..).for_each(|action| self.act(action));
        }
        if !self.jobs.is_empty() {
            self.crew.compute(self.jobs.drain(..));
        }
        self.share_freed();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Fetch { fetch, from: Whence::Peer(from), key, part } => {
                self.fetch(fetch, from, key, part)
            }
            Action::Fetch { fetch, from: Whence::Disk, key, part } => self.load(fetch, key, part),
            Action::Spill { spill, key } => self.spill(spill, key),
            Action::Unload(key) => self.shared.store.unload(key),
            Action::Run { lease, task, feeds } => self.run(lease, task, &feeds),
            Action::Stop(task) => {
                if let Some((_, running)) = self.running.get(&task) {
                    running.stop();
                }
            }
            Action::Replace(why) => self.replaced = Some(why),
            Action::Free(source) => self.shared.store.remove(&source),
            Action::Report(reports) => {
                let memory = self.memory_bytes as u64;
                self.reports.extend(reports.into_iter().map(|report| with_memory(report, memory)));
            }
        }
    }

    /// Posts an event when it is there.
    fn post(&self, event: impl Future<Output = Event> + Send + 'static) {
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            let event = event.await;
            if let Some(inbox) = inbox.upgrade() {
                // Err: the worker has ended.
                let _ = inbox.send(Post::Events(vec![event])).await;
            }
        });
    }
}
