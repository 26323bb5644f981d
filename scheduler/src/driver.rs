//! The task that owns the scheduler's state machine: posts become events, actions become messages.
//!
//! Owns the senders of all sessions, the clock and the timer. Decides nothing. Never waits for a worker or a client:
//! one whose queue is full, or stays long, is disconnected.

use crate::Transport;
use crate::catalog::Catalog;
use crate::journal::Journal;
use crate::leases::Leases;
use crate::planner::{Planned, Planner};
use crate::works::{Work, Works};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use tilework_plan::{ClientId, ClusterState, Hello, JobId, JobNumber, TaskRange, Update, WorkerId};
use tilework_proto::session::{BEHIND_MAX, UPDATE_QUEUE_MAX, client_of};
use tilework_proto::{
    FromClient, FromWorker, Inlined, NameAnswer, NameError, NameRequest, ToClient, ToWorker,
};
use tilework_scheduler_core::{Action, Event, Scheduler};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;
use tracing::{debug, info, warn};

/// Messages that may wait for a client to whom small results are passed on with the next one.
const PASSING_QUEUE_MAX: usize = 64;

/// Held as long as a session is wanted: dropping it ends the forwarding of what comes from the other side.
pub(crate) type Line = oneshot::Sender<()>;

/// What can be posted to the driver.
#[derive(Debug)]
pub(crate) enum Post {
    Attach {
        worker: WorkerId,
        hello: Hello,
        instructions: mpsc::Sender<ToWorker>,
        line: Line,
    },
    FromWorker {
        worker: WorkerId,
        message: FromWorker,
    },
    WorkerGone {
        worker: WorkerId,
    },
    Connect {
        client: ClientId,
        updates: mpsc::Sender<ToClient>,
        line: Line,
    },
    FromClient {
        client: ClientId,
        /// The message, or why it is none.
        message: Result<FromClient, String>,
    },
    /// A client submitted a program, which was planned.
    Submitted {
        client: ClientId,
        job: JobId,
        planned: Planned,
    },
    ClientGone {
        client: ClientId,
    },
    State(oneshot::Sender<ClusterState>),
    /// End a job; the answer is whether there is one.
    Cancel {
        number: JobNumber,
        by: String,
        reply: oneshot::Sender<bool>,
    },
    /// End, by whose wish.
    Stop {
        by: Option<String>,
    },
}

struct WorkerLine {
    instructions: mpsc::Sender<ToWorker>,
    last_words: Option<String>,
    _line: Line,
}

struct ClientLine {
    updates: mpsc::Sender<ToClient>,
    /// Since when more wait for it than should.
    behind_since: Option<Instant>,
    /// The least number that the client's next job may have.
    next_job: u64,
    introduced: bool,
    _line: Line,
}

impl ClientLine {
    /// Messages that wait for it.
    fn n_waiting(&self) -> usize {
        self.updates.max_capacity() - self.updates.capacity()
    }

    /// Whether it has been behind for too long.
    fn is_stuck(&mut self) -> bool {
        if self.n_waiting() <= UPDATE_QUEUE_MAX {
            self.behind_since = None;
            return false;
        }
        self.behind_since.get_or_insert_with(Instant::now).elapsed() > BEHIND_MAX
    }
}

struct Driver {
    core: Scheduler,
    started: Instant,
    transport: Transport,
    workers: BTreeMap<WorkerId, WorkerLine>,
    clients: BTreeMap<ClientId, ClientLine>,
    /// Events that arose while actions were carried out.
    pending: VecDeque<Event>,
    /// Whether events are being handled: what arises meanwhile waits its turn.
    settling: bool,
    journal: Journal,
    leases: Leases,
    works: Works,
    catalog: Catalog,
    /// Small results that came beside the reports that are being handled.
    passing: Option<Passing>,
}

/// Small results on their way from a worker to clients.
struct Passing {
    worker: WorkerId,
    /// Whose they are, rising.
    tasks: Vec<TaskRange>,
    inlined: Vec<Inlined>,
}

impl Passing {
    fn of(worker: WorkerId, mut inlined: Vec<Inlined>) -> Option<Passing> {
        inlined.sort_by_key(|i| (i.tasks.job, i.tasks.stage, i.tasks.chunks.start));
        // What is said twice counts once.
        inlined.dedup_by(|b, a| {
            (a.tasks.job, a.tasks.stage) == (b.tasks.job, b.tasks.stage)
                && b.tasks.chunks.start < a.tasks.chunks.end
        });
        let tasks = inlined.iter().map(|i| i.tasks.clone()).collect();
        (!inlined.is_empty()).then_some(Passing { worker, tasks, inlined })
    }

    /// Those that go with an update.
    fn with(&self, core: &Scheduler, update: &Update) -> Vec<Inlined> {
        let named = core.passes_on(update, self.worker, &self.tasks);
        named.into_iter().map(|(i, chunks)| self.inlined[i].part(chunks)).collect()
    }
}

/// Runs until [`Post::Stop`], or until nobody can post any more.
pub(crate) async fn drive(core: Scheduler, mut posts: mpsc::Receiver<Post>, transport: Transport) {
    let mut driver = Driver {
        core,
        started: Instant::now(),
        transport,
        workers: BTreeMap::new(),
        clients: BTreeMap::new(),
        pending: VecDeque::new(),
        settling: false,
        journal: Journal::default(),
        leases: Leases::drawn(),
        works: Works::default(),
        catalog: Catalog::default(),
        passing: None,
    };
    let stopped_by = loop {
        let wake = driver.core.next_wake_us().map(|us| driver.started + Duration::from_micros(us));
        if wake.is_some_and(|at| at <= Instant::now()) {
            // What has come is handled before: whoever said something must not be taken for silent.
            let until_us = driver.now_us();
            if let Some(by) = driver.catch_up(&mut posts) {
                break by;
            }
            driver.handle_at(until_us, Event::Tick);
            continue;
        }
        let tick = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            post = posts.recv() => match post {
                Some(Post::Stop { by }) => break by,
                None => break None,
                Some(post) => driver.take(post),
            },
            () = tick => {}
        }
    };
    posts.close();
    driver.close_all(stopped_by);
}

impl Driver {
    /// Handles the posts that are there; where one of them ends the scheduler, by whose wish.
    fn catch_up(&mut self, posts: &mut mpsc::Receiver<Post>) -> Option<Option<String>> {
        for _ in 0..posts.len() {
            match posts.try_recv() {
                Ok(Post::Stop { by }) => return Some(by),
                Ok(post) => self.take(post),
                Err(_) => break,
            }
        }
        None
    }

    fn take(&mut self, post: Post) {
        match post {
            Post::Attach { worker, hello, instructions, line } => {
                self.journal.worker_joined(worker, &hello);
                self.workers.insert(worker, WorkerLine { instructions, last_words: None, _line: line });
                self.handle(Event::WorkerJoined { worker, hello });
            }
            Post::FromWorker { worker, message } => self.worker_said(worker, message),
            Post::WorkerGone { worker } => self.worker_gone(worker, "its connection closed"),
            Post::Connect { client, updates, line } => {
                debug!(client = client.0, "client connected");
                self.clients.insert(
                    client,
                    ClientLine { updates, behind_since: None, next_job: 0, introduced: false, _line: line },
                );
            }
            Post::FromClient { client, message } => self.client_said(client, message),
            Post::Submitted { client, job, planned } => self.submitted(client, job, planned),
            Post::ClientGone { client } => self.client_gone(client),
            // The asker may have gone; that is its business.
            Post::State(reply) => {
                let mut state = self.core.state(self.now_us());
                self.works.describe(&mut state, &self.catalog);
                drop(reply.send(state));
            }
            Post::Cancel { number, by, reply } => {
                let job = self.works.numbered(number);
                if let Some(job) = job {
                    self.handle(Event::JobCancelled { job, by });
                }
                // Err: the asker has gone; that is its business.
                let _ = reply.send(job.is_some());
            }
            Post::Stop { .. } => {}
        }
    }

    fn worker_said(&mut self, worker: WorkerId, message: FromWorker) {
        let Some(line) = self.workers.get_mut(&worker) else { return };
        match self.transport.carry(message) {
            Ok(FromWorker::Reports { reports, inlined }) => {
                let reports = self.leases.reports(reports);
                self.passing = Passing::of(worker, inlined);
                self.handle(Event::WorkerReported { worker, reports });
                self.passing = None;
            }
            Ok(FromWorker::Leaving) => self.handle(Event::WorkerLeaving { worker }),
            Ok(FromWorker::LastWords(words)) => line.last_words = Some(words),
            Ok(FromWorker::Hello(_)) => {
                self.close_worker(worker, "a second hello on one connection".into(), ToWorker::Closing);
            }
            Err(why) => self.close_worker(worker, why, ToWorker::Closing),
        }
    }

    fn client_said(&mut self, client: ClientId, message: Result<FromClient, String>) {
        let Some(line) = self.clients.get_mut(&client) else { return };
        match message {
            // Programs come planned.
            Ok(FromClient::Submit { .. }) => {}
            Ok(FromClient::Release(job)) => {
                let (owner, n) = client_of(job);
                if owner != client || u64::from(n) >= line.next_job {
                    return self.not_its_job(client, job);
                }
                self.handle(Event::JobReleased { job });
            }
            Ok(FromClient::LetGo { job, results }) => {
                let (owner, n) = client_of(job);
                if owner != client || u64::from(n) >= line.next_job {
                    return self.not_its_job(client, job);
                }
                self.handle(Event::ResultsLetGo { job, results });
            }
            Ok(FromClient::PutFailed { lease, task, why }) => {
                if client_of(task.job).0 != client {
                    return self.not_its_job(client, task.job);
                }
                warn!(client = client.0, ?task, why, "a chunk could not be put");
                let lease = self.leases.revealed(lease);
                self.handle(Event::PutFailed { lease, task, why });
            }
            Ok(FromClient::Named { ticket, request }) => {
                let answer = self.answer(client, request);
                self.tell_client(client, ToClient::Named { ticket, answer });
            }
            Ok(FromClient::Hello(hello)) if !line.introduced => {
                line.introduced = true;
                self.journal.client_joined(client, hello.clone());
                self.handle(Event::ClientJoined { client, hello });
            }
            Ok(FromClient::Hello(_)) => {
                self.close_client(client, "a second hello on one connection".into());
            }
            Err(why) => self.close_client(client, why),
        }
    }

    /// What is asked about names.
    fn answer(&mut self, client: ClientId, request: NameRequest) -> Result<NameAnswer, NameError> {
        match request {
            NameRequest::Publish { job, name, program } => {
                if client_of(job).0 != client || !self.core.can_be_published(job) {
                    return Err(NameError::Refused("it is no result that this client holds".to_owned()));
                }
                let by = self.journal.client(client);
                self.catalog.publish(job, name.clone(), (program, by.clone()))?;
                info!("{by} published '{name}'");
                self.handle(Event::JobPublished { job });
                Ok(NameAnswer::Done)
            }
            NameRequest::Get(name) => self.catalog.get(&name).map(NameAnswer::Found),
            NameRequest::List => Ok(NameAnswer::All(self.catalog.all())),
            NameRequest::Unpublish(name) => {
                let job = self.catalog.unpublish(&name)?;
                info!("{} unpublished '{name}'", self.journal.client(client));
                self.handle(Event::JobUnpublished { job });
                Ok(NameAnswer::Done)
            }
        }
    }

    fn submitted(&mut self, client: ClientId, job: JobId, planned: Planned) {
        let Some(line) = self.clients.get_mut(&client) else { return drop_elsewhere(planned) };
        let (owner, n) = client_of(job);
        if owner != client || u64::from(n) < line.next_job {
            drop_elsewhere(planned);
            return self.not_its_job(client, job);
        }
        line.next_job = u64::from(n) + 1;
        let Planned { work, prepared } = planned;
        self.works.insert(job, work);
        self.handle(Event::JobSubmitted { job, client, prepared });
    }

    fn not_its_job(&mut self, client: ClientId, job: JobId) {
        self.close_client(client, format!("job {} is not one that it may name", job.0));
    }

    fn handle(&mut self, event: Event) {
        self.handle_at(self.now_us(), event);
    }

    fn handle_at(&mut self, now_us: u64, event: Event) {
        self.pending.push_back(event);
        if self.settling {
            return;
        }
        self.settling = true;
        let mut actions = Vec::new();
        let mut now_us = Some(now_us);
        while let Some(event) = self.pending.pop_front() {
            // Those that arise meanwhile come later.
            let now_us = now_us.take().unwrap_or_else(|| self.now_us());
            self.core.handle(now_us, event, &mut actions);
            if let Some(leftovers) = self.core.take_leftovers() {
                drop_elsewhere(leftovers);
            }
            for action in actions.drain(..) {
                self.act(action);
            }
        }
        self.settling = false;
    }

    fn now_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Tell { worker, instructions } => {
                let programs = self.works.defined(&instructions);
                let instructions = self.leases.instructions(instructions);
                self.tell(worker, ToWorker::Instructions { programs, instructions });
            }
            Action::Update { job, update } => self.update(job, self.leases.update(update)),
            Action::Disconnect { worker, why } => self.close_worker(worker, why, ToWorker::Closing),
            Action::Refuse { worker, why } => self.close_worker(worker, why, ToWorker::Refused),
            Action::Unpublished { job, why } => {
                let name = self.catalog.name_of(job).unwrap_or_default();
                warn!(name, %why, "what was published is lost");
                self.catalog.lose(job, &why);
            }
            Action::Forget(job) => {
                if let Some(work) = self.works.remove(job).filter(Work::is_large) {
                    drop_elsewhere(work);
                }
            }
            Action::Began { job, number, client, n_tasks } => {
                self.works.number(job, number);
                let now_us = self.now_us();
                self.journal.job_began(now_us, (number, client), n_tasks, || self.works.title(job));
            }
            Action::Ended { number, end, figures, .. } => {
                let now_us = self.now_us();
                self.journal.job_ended(now_us, number, &end, &figures);
            }
        }
    }

    fn tell(&mut self, worker: WorkerId, message: ToWorker) {
        let Some(line) = self.workers.get(&worker) else { return };
        match self.transport.carry(message).map(|m| line.instructions.try_send(m)) {
            Ok(Ok(())) => {}
            Ok(Err(TrySendError::Closed(_))) => self.worker_gone(worker, "its connection closed"),
            Ok(Err(TrySendError::Full(_))) => {
                self.worker_gone(worker, "it does not take its instructions: its queue is full");
            }
            Err(why) => self.worker_gone(worker, &why),
        }
    }

    fn update(&mut self, job: JobId, update: Update) {
        let (client, _) = client_of(job);
        let Some(line) = self.clients.get(&client) else { return };
        let is_progress = matches!(update, Update::Progress { .. });
        if is_progress && line.n_waiting() > UPDATE_QUEUE_MAX / 2 {
            return; // the next one says the same and more
        }
        // One that is behind asks for its results itself.
        let keeps_up = line.n_waiting() <= PASSING_QUEUE_MAX;
        let passing = self.passing.as_ref().filter(|_| keeps_up);
        let inlined = passing.map_or_else(Vec::new, |passing| passing.with(&self.core, &update));
        self.tell_client(client, ToClient::Update { job, update, inlined });
    }

    fn tell_client(&mut self, client: ClientId, message: ToClient) {
        let Some(line) = self.clients.get_mut(&client) else { return };
        let message = match self.transport.carry(message) {
            Ok(message) => message,
            Err(why) => return self.close_client(client, why),
        };
        match line.updates.try_send(message) {
            Ok(()) if !line.is_stuck() => {}
            Err(TrySendError::Closed(_)) => self.client_gone(client),
            Ok(()) | Err(TrySendError::Full(_)) => {
                warn!(client = client.0, waiting = line.n_waiting(), "client does not take its updates");
                self.client_gone(client);
            }
        }
    }

    /// The worker's connection is gone, or is from now on.
    fn worker_gone(&mut self, worker: WorkerId, why: &str) {
        let Some(line) = self.workers.remove(&worker) else { return };
        let why = line.last_words.unwrap_or_else(|| why.to_owned());
        self.journal.worker_lost(worker, &why);
        self.handle(Event::WorkerLost { worker, why });
    }

    fn client_gone(&mut self, client: ClientId) {
        if self.clients.remove(&client).is_some() {
            self.journal.client_left(client);
            self.handle(Event::ClientLost { client });
        }
    }

    fn close_worker(&mut self, worker: WorkerId, why: String, last: fn(String) -> ToWorker) {
        if let Some(line) = self.workers.get(&worker) {
            // Full: it learns by the end of its queue.
            let _ = line.instructions.try_send(last(why.clone()));
            self.worker_gone(worker, &why);
        }
    }

    fn close_client(&mut self, client: ClientId, why: String) {
        if let Some(line) = self.clients.get(&client) {
            warn!(client = client.0, why, "client disconnected");
            let _ = line.updates.try_send(ToClient::Closing(why));
            self.client_gone(client);
        }
    }

    fn close_all(self, by: Option<String>) {
        for line in self.workers.values() {
            // Full: it learns by the end of its queue.
            let _ = line.instructions.try_send(ToWorker::Ended);
        }
        let why = by.map_or_else(|| "it was stopped".to_owned(), |by| format!("it was stopped by {by}"));
        for line in self.clients.values() {
            let _ = line.updates.try_send(ToClient::Closing(why.clone()));
        }
    }
}

/// Drops what may be a large program or job: that takes long, and nobody waits for it.
fn drop_elsewhere<T: Send + 'static>(what: T) {
    tokio::task::spawn_blocking(move || drop(what));
}

/// Posts what a worker sends, until its end is dropped or its session is over.
pub(crate) async fn forward_worker(
    worker: WorkerId,
    mut reports: mpsc::Receiver<FromWorker>,
    inbox: mpsc::WeakSender<Post>,
    mut cut: oneshot::Receiver<()>,
) {
    while let Some(message) = next(&mut reports, &mut cut).await {
        if !send(&inbox, Post::FromWorker { worker, message }).await {
            return;
        }
    }
    // Otherwise there is no scheduler to tell.
    send(&inbox, Post::WorkerGone { worker }).await;
}

/// What becomes of a client's messages on their way to the driver.
pub(crate) struct ClientWay {
    pub client: ClientId,
    pub transport: Transport,
    pub planner: Planner,
}

impl ClientWay {
    /// The post that a message becomes; programs are planned for it.
    async fn post(&self, message: FromClient) -> Post {
        let client = self.client;
        match self.transport.carry(message) {
            Ok(FromClient::Submit { job, program }) => {
                Post::Submitted { client, job, planned: self.planner.plan(job, program).await }
            }
            message => Post::FromClient { client, message },
        }
    }
}

/// Posts what a client sends, until its end is dropped or its session is over.
pub(crate) async fn forward_client(
    way: ClientWay,
    mut requests: mpsc::Receiver<FromClient>,
    inbox: mpsc::WeakSender<Post>,
    mut cut: oneshot::Receiver<()>,
) {
    while let Some(message) = next(&mut requests, &mut cut).await {
        if !send(&inbox, way.post(message).await).await {
            return;
        }
    }
    // Otherwise there is no scheduler to tell.
    send(&inbox, Post::ClientGone { client: way.client }).await;
}

/// The next message of a session that lasts.
async fn next<T>(messages: &mut mpsc::Receiver<T>, cut: &mut oneshot::Receiver<()>) -> Option<T> {
    tokio::select! {
        message = messages.recv() => message,
        _ = cut => None,
    }
}

/// Posts; whether there is a scheduler that takes it.
async fn send(inbox: &mpsc::WeakSender<Post>, post: Post) -> bool {
    let Some(inbox) = inbox.upgrade() else { return false };
    inbox.send(post).await.is_ok()
}
