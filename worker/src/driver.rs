//! The task that owns the worker's state machine: messages, results and transfers become events; actions become
//! tasks on the pool, transfers and reports.
//!
//! Owns the connection to the scheduler, the clock and the timer. Decides nothing, and computes nothing: kernels run
//! on the pool, files on blocking threads.

use crate::crew::{Crew, Job, Running, finished};
use crate::heap::{self, Scales};
use crate::inline;
use crate::peers::{Lent, Missed, Peers, Shelf, Wanted, block};
use crate::planning::{self, PlannedInstructions, Planning, planned};
use crate::plans::Plans;
use crate::pool::Pool;
use crate::source::Sources;
use crate::spill::{Disk, Order, Writer};
use crate::store::{Epoch, Store, Stored};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tilework_expr::Lowered;
use tilework_kernels::native::forget_unused;
use tilework_kernels::{Feed, FreedShare};
use tilework_plan::quantities::bytes;
use tilework_plan::{Hello, Instruction, LeaseId, Part, Report, TaskError, TaskKey, WorkerId};
use tilework_proto::{FromWorker, LinkError, ToWorker, WorkerLink, WorkerSession};
use tilework_worker_core::{Action, Event, FetchId, Planned, Source, SpillId, Whence, Worker};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::{debug, error, info, warn};

/// Events that are handled before what they led to is sent on.
const BATCH_MAX: usize = 256;
/// The first pause between two tries to reach the scheduler.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(20);
/// The longest pause between two tries to reach the scheduler.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);
/// The part of the worker's memory that freed chunks may keep for the next ones, while nobody needs it.
const FREED_PART: usize = 8;
/// And the most bytes of it.
const FREED_BYTES_MAX: usize = 1 << 30;
/// The part of the worker's memory that its process may have beside what is in use before the heap is trimmed.
const HEAP_PART: u64 = 8;
/// How long a worker without anything to do keeps freed chunks, and what its calls have made of a value.
const FREED_IDLE: Duration = Duration::from_secs(1);
/// The pause between two looks at the memory of the process while tasks run.
const WEIGH_PAUSE: Duration = Duration::from_millis(50);
/// The first pause before a worker that the scheduler does not take tries again.
const REFUSED_PAUSE: Duration = Duration::from_millis(250);
/// The most that one try to reach the scheduler counts for: one in which the worker itself was stopped may take any time.
const TRY_MAX: Duration = Duration::from_secs(15);
/// How long the scheduler may take to let a leaving worker go, where tasks may go on for any time.
pub(crate) const LEAVE_TIMEOUT: Duration = Duration::from_secs(60);
/// The same where another process takes the worker's place: its other tasks may end, those that do not will not.
const REPLACE_TIMEOUT: Duration = Duration::from_secs(10);

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
    pub reads: Arc<Semaphore>,
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
            reads: self.reads.clone(),
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

/// Why a session ended.
enum SessionEnd {
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
    /// Connects and serves, again and again.
    async fn live(
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

    /// Serves one connection until it ends.
    async fn serve(&mut self, session: WorkerSession, posts: &mut mpsc::Receiver<Post>) -> SessionEnd {
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

    /// Whether the process may have more memory than before, or has too much.
    fn is_to_be_weighed(&self) -> bool {
        self.scales.as_ref().is_some_and(|s| s.show_too_much() || !self.running.is_empty())
    }

    /// Tells the state machine what memory the process has beyond what it may have.
    fn weigh(&mut self) {
        let Some(scales) = &mut self.scales else { return };
        let had = scales.show_too_much();
        let Some(overweight) = scales.weigh() else { return };
        if overweight > 0 && !had {
            warn!("the process has {} more memory than it may have: one task at a time", bytes(overweight));
            // It takes a while, and nobody waits for it.
            tokio::task::spawn_blocking(heap::trim);
        }
        self.handle([Event::Overweight(overweight)]);
    }

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

    /// Lets freed chunks keep what is left of the worker's memory, up to a part of it.
    fn share_freed(&mut self) {
        let used = self.core.usage();
        if used.running > 0 {
            self.busy_at = Instant::now();
        } else if self.busy_at.elapsed() > FREED_IDLE {
            return self.freed.set(0);
        }
        let left = self.memory_bytes.saturating_sub(usize::try_from(used.bytes()).unwrap_or(usize::MAX));
        self.freed.set(left.min(self.memory_bytes / FREED_PART).min(FREED_BYTES_MAX));
    }

    fn fetch(&mut self, fetch: FetchId, from: WorkerId, key: TaskKey, part: Option<Part>) {
        let addresses = self.addresses.get(&from).cloned().unwrap_or_default();
        let wanted = Wanted { from, addresses, key, part: part.clone(), bytes_max: self.memory_bytes };
        let (store, epoch) = (self.shared.store.clone(), self.epoch);
        let get = self.peers.get(wanted);
        self.transfers.spawn(async move {
            match get.await {
                Ok(chunk) => {
                    let bytes = chunk.bytes() as u64;
                    store.insert(epoch, Source::Fetched(fetch), Stored { chunk, part });
                    Event::Fetched { fetch, bytes }
                }
                Err(Missed { away, why }) => {
                    debug!(?key, from = from.0, why, "a transfer failed");
                    Event::FetchFailed { fetch, away, why }
                }
            }
        });
    }

    /// Reads a chunk, or a part of it, from the disk.
    fn load(&mut self, fetch: FetchId, key: TaskKey, part: Option<Part>) {
        let (store, epoch) = (self.shared.store.clone(), self.epoch);
        let shelf = self.shared.shelf();
        self.transfers.spawn_blocking(move || {
            let failed = |why: String| {
                warn!(?key, why, "a chunk on the disk cannot be read: it will be made again");
                Event::FetchFailed { fetch, away: false, why }
            };
            let chunk = match shelf.find(key, part.as_ref()) {
                Ok(Lent::Shared(chunk)) => chunk,
                Ok(Lent::OnDisk { spilled, part, .. }) => match spilled.read_part(part.as_ref()) {
                    Ok(chunk) => chunk,
                    Err(error) => return failed(error.to_string()),
                },
                // It was dropped meanwhile.
                Err(why) => return Event::FetchFailed { fetch, away: false, why },
            };
            let bytes = chunk.bytes() as u64;
            store.insert(epoch, Source::Fetched(fetch), Stored { chunk, part });
            Event::Fetched { fetch, bytes }
        });
    }

    /// Writes a chunk to the disk.
    fn spill(&mut self, spill: SpillId, key: TaskKey) {
        let ended = move |result| Event::Spilled { spill, key, result };
        let Some(chunk) = self.shared.store.begin_write(key, spill) else {
            return self.post(async move { ended(Err("it is not there".to_owned())) });
        };
        if self.writer.is_none() {
            let disk = self.disk.clone().expect("chunks are written only where there is a disk");
            let (store, inbox) = (self.shared.store.clone(), self.inbox.clone());
            let done = move |spill, key, written: Result<_, String>| {
                if let Err(why) = &written {
                    warn!(why, "a chunk cannot be written to the disk");
                }
                let result = written.map(|spilled| store.end_write(key, spill, spilled));
                if let Some(inbox) = inbox.upgrade() {
                    // Err: the worker has ended.
                    let _ = inbox.blocking_send(Post::Events(vec![Event::Spilled { spill, key, result }]));
                }
            };
            match Writer::start(disk, done) {
                Ok(writer) => self.writer = Some(writer),
                Err(e) => return self.post(async move { ended(Err(e.to_string())) }),
            }
        }
        let writer = self.writer.as_ref().expect("it was just started");
        writer.write(Order { spill, key, chunk });
    }

    fn run(&mut self, lease: LeaseId, task: TaskKey, feeds: &[tilework_worker_core::Feed]) {
        let running = Arc::new(Running::default());
        self.running.insert(task, (lease, running.clone()));
        let (lowered, feeds) = match self.prepare(task, feeds) {
            Ok(prepared) => prepared,
            Err(error) => return self.post(async move { finished(lease, task, Err(error), 0) }),
        };
        let epoch = self.epoch;
        if !Sources::serves(&lowered.work(task.stage).kind) {
            return self.jobs.push(Job { lease, task, lowered, feeds, running, epoch });
        }
        let performed = self.sources.clone().perform((lowered, task), feeds, running);
        let store = self.shared.store.clone();
        self.post(async move {
            let (result, busy_us) = performed.await;
            let kept = result.map(|chunk| {
                let bytes = chunk.as_ref().map_or(0, |chunk| chunk.bytes() as u64);
                if let Some(chunk) = chunk {
                    store.insert(epoch, Source::Held(task), Stored { chunk, part: None });
                }
                bytes
            });
            finished(lease, task, kept, busy_us)
        });
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

    /// What a task is one of, and its inputs' elements.
    fn prepare(
        &self,
        task: TaskKey,
        feeds: &[tilework_worker_core::Feed],
    ) -> Result<(Arc<Lowered>, Vec<Feed>), TaskError> {
        let missing = |what: String| TaskError::Worker(format!("{what} is not on this worker"));
        let lowered = self.shared.plans.of(task.job).ok_or_else(|| missing(format!("job {}", task.job.0)))?;
        let (plan, stage) = (&lowered.plan, lowered.plan.stage(task.stage));
        let feed = |f: &tilework_worker_core::Feed| {
            let stored =
                self.shared.store.get(&f.source).ok_or_else(|| missing(format!("chunk {:?}", f.key)))?;
            let of = plan.behind(stage.inputs[f.slot].stage);
            let (region, chunk) = match stored.part {
                Some(Part::Box(region)) => (region, stored.chunk),
                // Of what is here whole, its block.
                None if plan.reads_blocks(task.stage, f.slot) => {
                    let block = block(&stored.chunk, task.chunk.0).map_err(TaskError::Worker)?;
                    (plan.out_region(of, f.key.chunk), block)
                }
                Some(Part::Block(_)) | None => (plan.out_region(of, f.key.chunk), stored.chunk),
            };
            Ok(Feed { slot: f.slot, chunk_idx: f.key.chunk, region, chunk })
        };
        let feeds = feeds.iter().map(feed).collect::<Result<_, _>>()?;
        Ok((lowered, feeds))
    }
}

/// A sign of life says what memory this process has. Where that is much more than what is in use, what is free goes back.
fn with_memory(report: Report, memory_bytes: u64) -> Report {
    match report {
        Report::Alive { bytes_held, bytes_on_disk, .. } => {
            let bytes_resident = heap::bytes_resident().unwrap_or(0);
            if heap::is_kept_small() && bytes_resident > bytes_held + memory_bytes / HEAP_PART {
                // It takes a while, and nobody waits for it.
                tokio::task::spawn_blocking(heap::trim);
            }
            Report::Alive { bytes_held, bytes_on_disk, bytes_resident }
        }
        report => report,
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
