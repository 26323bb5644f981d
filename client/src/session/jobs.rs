//! The jobs of a session: one thread takes in what the scheduler says and hands it to whom it concerns.
//!
//! Owns the table of jobs and their release. Must not know what carries the messages.

use super::Session;
use super::data::{DataPlane, Holder, Upload};
use super::progress::Progress;
use super::wait::wait_for;
use crate::error::{Error, Result};
use crate::literal::{Literal, Provider, chunk_at};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tilework_expr::{
    ChunkIdx, Figures, Grid, Holding, JobError, JobId, Plan, Program, Region, TaskKey, TaskRange, Update,
    WorkerId,
};
use tilework_kernels::Chunk;
use tilework_proto::{ClientLink, ClientSession, ToClient};

/// How long a client waits for the scheduler to name new holders of chunks that were lost when it fetched them.
const REGATHER_WAIT: Duration = Duration::from_secs(60);

/// Jobs whose figures are kept, the latest ones.
const RUNS_KEPT: usize = 64;

/// The literals of a program.
pub(super) type Literals = Vec<Arc<Literal>>;

/// What the outputs of a finished job are made of.
struct Located {
    outputs: Vec<Vec<Holding>>,
    addresses: BTreeMap<WorkerId, Vec<String>>,
}

struct Entry {
    plan: Arc<Plan>,
    literals: BTreeMap<u64, Arc<Literal>>,
    news: mpsc::Sender<Update>,
}

/// The table of jobs that are not released.
pub(crate) struct Jobs {
    link: ClientLink,
    table: Mutex<BTreeMap<JobId, Entry>>,
    closed: Mutex<Option<String>>,
    n_tasks_done: AtomicU64,
    /// What the latest jobs took, oldest first.
    runs: Mutex<VecDeque<(Arc<Program>, Figures)>>,
}

impl Jobs {
    /// Starts taking in what the scheduler says.
    pub(crate) fn start(session: ClientSession, data: Arc<dyn DataPlane>) -> Result<Arc<Jobs>> {
        let ClientSession { link, mut updates } = session;
        let jobs = Arc::new(Jobs {
            link,
            table: Mutex::default(),
            closed: Mutex::new(None),
            n_tasks_done: AtomicU64::new(0),
            runs: Mutex::default(),
        });
        let weak = Arc::downgrade(&jobs);
        let body = move || {
            let mut why = "the connection to the scheduler was lost".to_owned();
            while let Some(message) = updates.blocking_recv() {
                let Some(jobs) = weak.upgrade() else { return };
                match message {
                    ToClient::Update { job, update } => jobs.take_in(job, update, &data),
                    ToClient::Closing(reason) => why = reason,
                    _ => {}
                }
            }
            if let Some(jobs) = weak.upgrade() {
                jobs.close(why);
            }
        };
        let thread = std::thread::Builder::new().name("tilework-jobs".into()).spawn(body);
        thread.map_err(|e| Error::Cluster(format!("cannot start a thread: {e}")))?;
        Ok(jobs)
    }

    /// Submits a program. It is released when the returned job is dropped.
    pub(super) fn submit(
        self: &Arc<Self>,
        program: Arc<Program>,
        literals: Literals,
        progress: Progress,
    ) -> Result<Job> {
        let plan = Arc::new(Plan::of(&program)?);
        super::tiny::warn(&plan);
        let (news, from_scheduler) = mpsc::channel();
        let literals = literals.into_iter().map(|l| (l.id, l)).collect();
        let entry = Entry { plan: Arc::clone(&plan), literals, news };
        // The lock is held over the submission, so that no news of the job finds the table without it.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = &*self.closed.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(Error::Cluster(why.clone()));
        }
        let id =
            wait_for(self.link.submit(Arc::clone(&program))).map_err(|e| Error::Cluster(e.to_string()))?;
        table.insert(id, entry);
        drop(table);
        let (jobs, news) = (Arc::clone(self), from_scheduler);
        Ok(Job { id, jobs, program, plan, news, progress, located: None, n_located: 0 })
    }

    /// Tasks of the jobs that ended well.
    pub(super) fn n_tasks_done(&self) -> u64 {
        self.n_tasks_done.load(Ordering::Relaxed)
    }

    /// Notes what a run took.
    pub(super) fn ran(&self, program: &Arc<Program>, figures: Figures) {
        self.n_tasks_done.fetch_add(figures.n_tasks, Ordering::Relaxed);
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.len() == RUNS_KEPT {
            runs.pop_front();
        }
        runs.push_back((Arc::clone(program), figures));
    }

    /// What the latest run of a program took, if it is among those that are kept.
    pub(super) fn figures_of(&self, program: &Program) -> Option<Figures> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.iter().rev().find(|(p, _)| **p == *program).map(|(_, figures)| *figures)
    }

    fn take_in(&self, job: JobId, update: Update, data: &Arc<dyn DataPlane>) {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = table.get(&job) else { return };
        let Update::Upload { lease, tasks, literal, worker, addresses } = update else {
            // Whoever waits may just have gone; then the job is about to be released.
            let _ = entry.news.send(update);
            return;
        };
        let Some(literal) = entry.literals.get(&literal).cloned() else { return };
        let (plan, data, news) = (Arc::clone(&entry.plan), Arc::clone(data), entry.news.clone());
        drop(table);
        let (waits, told, chunk) = (literal.waits(), news.clone(), tasks.chunks.start);
        let upload = move || {
            let to = Holder { worker, addresses };
            for key in tasks.keys() {
                let chunk = match literal.chunk(key.chunk, &plan.out_region(tasks.stage, key.chunk)) {
                    Ok(chunk) => chunk,
                    Err(error) => {
                        // Err: whoever waits has gone.
                        let _ = news.send(Update::Failed(error));
                        return;
                    }
                };
                // A failed upload needs no word: the worker is lost, and its leases are granted anew elsewhere. It may
                // panic where the session ends meanwhile (its runtime's timers do), which must not end the process.
                let put = || data.put(&to, Upload { lease, key, chunk });
                if !matches!(catch_unwind(AssertUnwindSafe(put)), Ok(Ok(()))) {
                    return;
                }
            }
        };
        if waits {
            // The threads that make chunks would all wait, and none be left to make what they wait for.
            let thread = std::thread::Builder::new().name("tilework-fetch".into()).spawn(upload);
            if let Err(error) = thread {
                let message = format!("cannot start a thread that fetches its chunks: {error}");
                // Err: whoever waits has gone.
                let _ = told.send(Update::Failed(JobError::Operation {
                    operation: "literal".into(),
                    chunk,
                    message,
                }));
            }
        } else {
            chunk_threads().spawn_fifo(upload);
        }
    }

    fn close(&self, why: String) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        self.table.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn why_closed(&self) -> Error {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        Error::Cluster(closed.clone().unwrap_or_else(|| "the session was closed".into()))
    }
}

/// The threads that make and put chunks. They are not rayon's own, on all of which a program may wait for arrays: a
/// `par_iter` whose function sums a lazy view does. Functions of the user's that run here must not wait for arrays,
/// whose literals would need these threads, any more than those that run on workers.
fn chunk_threads() -> &'static rayon::ThreadPool {
    static THREADS: LazyLock<rayon::ThreadPool> = LazyLock::new(|| {
        let builder = rayon::ThreadPoolBuilder::new().thread_name(|i| format!("tilework-chunks-{i}"));
        let builder = builder.start_handler(|_| tilework_worker::mark_task_thread());
        builder.build().expect("the system has threads for a few more")
    });
    &THREADS
}

/// A submitted job, released when dropped.
pub(super) struct Job {
    id: JobId,
    jobs: Arc<Jobs>,
    program: Arc<Program>,
    plan: Arc<Plan>,
    news: mpsc::Receiver<Update>,
    progress: Progress,
    /// Where the outputs' chunks are, once they exist.
    located: Option<Located>,
    /// How often that was said.
    n_located: u64,
}

impl Job {
    pub(super) fn id(&self) -> JobId {
        self.id
    }

    /// Waits until all outputs exist.
    pub(super) fn wait(&mut self) -> Result<()> {
        loop {
            match self.news.recv() {
                Err(mpsc::RecvError) => return Err(self.jobs.why_closed()),
                Ok(Update::Progress { done, total }) => self.progress.show(done, total),
                Ok(Update::Done { outputs, addresses, figures }) => {
                    self.progress.finish();
                    self.jobs.ran(&self.program, figures);
                    self.found(outputs, addresses);
                    return Ok(());
                }
                Ok(Update::Failed(error)) => return Err(error.into()),
                Ok(Update::Upload { .. }) => {}
            }
        }
    }

    fn found(&mut self, outputs: Vec<Vec<Holding>>, addresses: Vec<(WorkerId, Vec<String>)>) {
        self.located = Some(Located { outputs, addresses: addresses.into_iter().collect() });
        self.n_located += 1;
    }

    /// Waits until all outputs exist and gets their chunks. Chunks that are lost meanwhile are made again by the
    /// scheduler, and looked for where it then says.
    pub(super) fn gather(&mut self, data: &dyn DataPlane) -> Result<Vec<Vec<Chunk>>> {
        self.wait()?;
        let n_chunks = |&stage| self.plan.n_tasks(stage) as usize;
        let mut found: Vec<Vec<Option<Chunk>>> =
            self.plan.outputs.iter().map(|stage| vec![None; n_chunks(stage)]).collect();
        loop {
            let located = self.located.as_ref().expect("waited for above");
            let missing = get_missing(located, &mut found, data)?;
            if missing == 0 {
                let whole = found.into_iter().map(|chunks| chunks.into_iter().flatten().collect());
                return Ok(whole.collect());
            }
            self.look_again(missing)?;
        }
    }

    /// Waits until the scheduler says anew where the chunks are, some of which are missing.
    fn look_again(&mut self, missing: usize) -> Result<()> {
        let since = Instant::now();
        loop {
            match self.news.recv_timeout(REGATHER_WAIT) {
                Ok(Update::Done { outputs, addresses, .. }) => {
                    self.found(outputs, addresses);
                    return Ok(());
                }
                Ok(Update::Failed(error)) => return Err(error.into()),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(self.jobs.why_closed()),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let waited = since.elapsed().as_secs();
                    return Err(Error::Cluster(format!(
                        "{missing} chunks of the result could not be fetched from the workers that hold them, and \
                         the scheduler named no others within {waited} s"
                    )));
                }
                Ok(_) => {}
            }
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.jobs.table.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
        if let Err(job) = self.jobs.link.try_release(self.id) {
            let link = self.jobs.link.clone();
            // The queue is full: wait for room elsewhere than in a destructor.
            chunk_threads().spawn_fifo(move || {
                let _ = wait_for(link.release(job));
            });
        }
    }
}

impl Located {
    /// Who holds a chunk of an output, and what it is called there.
    fn holder(&self, output: usize, chunk: ChunkIdx) -> Option<(Holder, TaskKey)> {
        let mut all = self.outputs.get(output)?.iter();
        let Holding { chunks, worker } = all.find(|h| h.chunks.chunks.contains(&chunk.0))?;
        Some((self.holder_of(*worker), TaskKey { job: chunks.job, stage: chunks.stage, chunk }))
    }

    fn holder_of(&self, worker: WorkerId) -> Holder {
        Holder { worker, addresses: self.addresses.get(&worker).cloned().unwrap_or_default() }
    }
}

/// An output, one of its chunks, and that chunk if it was there.
type Got = (usize, TaskKey, Option<Chunk>);

/// Gets every chunk that is not there yet; returns how many could not be had.
fn get_missing(located: &Located, found: &mut [Vec<Option<Chunk>>], data: &dyn DataPlane) -> Result<usize> {
    let mut wanted: Vec<(usize, Holder, TaskKey)> = Vec::new();
    for (i, holdings) in located.outputs.iter().enumerate() {
        for Holding { chunks, worker } in holdings {
            let holder = located.holder_of(*worker);
            let open = keys_missing(chunks, &found[i]);
            wanted.extend(open.map(|key| (i, holder.clone(), key)));
        }
    }
    let n = data.gets_at_once().clamp(1, wanted.len().max(1));
    let per_thread = wanted.len().div_ceil(n).max(1);
    let got: Vec<Result<Vec<Got>>> = std::thread::scope(|scope| {
        let get = |part: &[(usize, Holder, TaskKey)]| {
            part.iter()
                .map(|(i, holder, key)| Ok((*i, *key, data.get(holder, *key)?)))
                .collect::<Result<Vec<_>>>()
        };
        if n == 1 {
            return vec![get(&wanted)];
        }
        let threads: Vec<_> = wanted.chunks(per_thread).map(|part| scope.spawn(move || get(part))).collect();
        let lost = || Err(Error::Cluster("a thread that gathered chunks panicked".into()));
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| lost())).collect()
    });
    for part in got {
        for (i, key, chunk) in part? {
            found[i][key.chunk.0 as usize] = chunk;
        }
    }
    Ok(found.iter().flatten().filter(|c| c.is_none()).count())
}

fn keys_missing<'a>(
    range: &TaskRange,
    found: &'a [Option<Chunk>],
) -> impl Iterator<Item = TaskKey> + use<'a> {
    range.keys().filter(|k| found.get(k.chunk.0 as usize).is_some_and(Option::is_none))
}

/// A job whose outputs stay on the workers of a session as long as this lives. So does the session.
struct Kept {
    job: Mutex<Job>,
    session: Session,
}

impl Kept {
    /// Fetches a chunk of an output, which is made again where it was lost.
    fn fetch(&self, output: usize, chunk: ChunkIdx) -> Result<Chunk> {
        loop {
            let job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
            let n_located = job.n_located;
            let held = job.located.as_ref().and_then(|l| l.holder(output, chunk));
            drop(job);
            if let Some((holder, key)) = held
                && let Some(chunk) = self.session.0.data.get(&holder, key)?
            {
                return Ok(chunk);
            }
            let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
            // Another thread may have heard of it meanwhile.
            if job.n_located == n_located {
                job.look_again(1)?;
            }
        }
    }
}

/// What hangs on a held expression: one output of a job that is kept.
pub(crate) struct Held {
    kept: Arc<Kept>,
    /// Fetches the chunks, for where they are not held.
    literal: Arc<Literal>,
}

impl Held {
    /// An output of a job of a session.
    pub(super) fn outputs(job: Job, session: &Session, grids: impl Iterator<Item = Grid>) -> Vec<Held> {
        let kept = Arc::new(Kept { job: Mutex::new(job), session: session.clone() });
        let held = grids.enumerate().map(|(output, grid)| {
            let fetched = Fetched { kept: Arc::clone(&kept), output, grid };
            Held { kept: Arc::clone(&kept), literal: Arc::new(Literal::new(fetched)) }
        });
        held.collect()
    }

    pub(super) fn is_of(&self, session: &Session) -> bool {
        self.kept.session.is(session)
    }

    /// What takes its place on another session.
    pub(super) fn literal(&self) -> &Arc<Literal> {
        &self.literal
    }
}

/// The chunks of an output that is held by another session.
struct Fetched {
    kept: Arc<Kept>,
    output: usize,
    grid: Grid,
}

impl Provider for Fetched {
    fn chunk(&self, region: &Region) -> Result<Chunk> {
        self.kept.fetch(self.output, chunk_at(&self.grid, region)).map_err(|error| {
            Error::Cluster(format!(
                "an array that another session's workers hold cannot be fetched from them ({error}); keep that \
                 session's processes running, or compute the array (`into_ndarray`) before they end"
            ))
        })
    }

    fn waits(&self) -> bool {
        true
    }
}
