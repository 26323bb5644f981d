//! The jobs of a session: one thread takes in what the scheduler says and hands it to whom it concerns.
//!
//! Owns the table of jobs and their release. Must not know what carries the messages.

use super::board::Board;
use super::data::{DataPlane, Holder, Upload};
use super::fetch;
use super::line::{Line, Reconnect};
use super::names::Asked;
use super::processes::Processes;
use super::progress::Progress;
use super::wait::wait_for;
use crate::error::{Error, Result};
use crate::literal::Literal;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tilework_expr::{Lowered, Program};
use tilework_kernels::Chunk;
use tilework_plan::{Figures, JobError, JobId, LeaseId, Plan, TaskKey, TaskRange, Update};
use tilework_proto::{ClientLink, ClientSession, Inlined, LinkError, ToClient};
use tokio::sync::mpsc;

/// Times that a chunk is put to a worker before the scheduler is told that it cannot be.
const PUT_ATTEMPTS: u32 = 4;
/// The pause after the first of them that fails; it doubles with each.
const PUT_PAUSE: Duration = Duration::from_millis(50);

/// What is known of a connection that ended without a word.
const LOST: &str = "the connection to the scheduler was lost";

/// Jobs whose figures are kept, the latest ones.
const RUNS_KEPT: usize = 64;

/// The literals of a program.
pub(super) type Literals = Vec<Arc<Literal>>;

/// Who takes in the news of a job.
pub(super) trait Audience: Send + Sync {
    /// Takes in what the scheduler says, and small results among those that it names.
    fn tell(&self, update: Update, inlined: &[Inlined]);
    /// No more news will come.
    fn close(&self, why: &str);
    /// Whether somebody waits for the job's end and notes what it took.
    fn is_waited_for(&self) -> bool;
}

impl Audience for Board {
    fn tell(&self, update: Update, inlined: &[Inlined]) {
        Board::tell(self, update, inlined);
    }

    fn close(&self, why: &str) {
        Board::close(self, why);
    }

    fn is_waited_for(&self) -> bool {
        true
    }
}

struct Entry {
    /// Over which it was submitted.
    link: ClientLink,
    plan: Arc<Plan>,
    literals: BTreeMap<u64, Arc<Literal>>,
    audience: Arc<dyn Audience>,
    /// What was submitted, until it is noted what it took, where nobody waits for that.
    unnoted: Option<Arc<Program>>,
}

/// What is kept of a job: its plan, its literals by their names, and who takes in its news.
type OfJob = (Arc<Plan>, BTreeMap<u64, Arc<Literal>>, Arc<dyn Audience>);

/// The table of jobs that are not released.
pub(crate) struct Jobs {
    /// Locked before the table.
    line: Mutex<Line>,
    data: Arc<dyn DataPlane>,
    table: Mutex<BTreeMap<JobId, Entry>>,
    pub(super) asked: Asked,
    closed: Mutex<Option<String>>,
    n_tasks_done: AtomicU64,
    /// What the latest jobs took, oldest first.
    runs: Mutex<VecDeque<(Arc<Program>, Figures)>>,
    /// The workers, where they are processes of the session's own: it knows how they ended.
    processes: Option<Arc<Processes>>,
}

impl Jobs {
    /// Starts taking in what the scheduler says.
    pub(super) fn start(
        session: ClientSession,
        data: Arc<dyn DataPlane>,
        processes: Option<Arc<Processes>>,
        reconnect: Option<Reconnect>,
    ) -> Result<Arc<Jobs>> {
        let ClientSession { link, updates, .. } = session;
        let jobs = Arc::new(Jobs {
            line: Mutex::new(Line::new(link, reconnect)),
            data,
            table: Mutex::default(),
            asked: Asked::default(),
            closed: Mutex::new(None),
            n_tasks_done: AtomicU64::new(0),
            runs: Mutex::default(),
            processes,
        });
        jobs.listen(0, updates)?;
        Ok(jobs)
    }

    /// Takes in what comes over a connection, on a thread of its own.
    fn listen(self: &Arc<Self>, number: u64, updates: mpsc::Receiver<ToClient>) -> Result<()> {
        let weak = Arc::downgrade(self);
        let body = move || Jobs::take_all_in(&weak, number, updates);
        let thread = std::thread::Builder::new().name("tilework-jobs".into()).spawn(body);
        thread.map(drop).map_err(|e| Error::Cluster(format!("cannot start a thread: {e}")))
    }

    fn take_all_in(weak: &Weak<Jobs>, number: u64, mut updates: mpsc::Receiver<ToClient>) {
        let mut why = LOST.to_owned();
        while let Some(message) = updates.blocking_recv() {
            let Some(jobs) = weak.upgrade() else { return };
            match message {
                ToClient::Update { job, update, inlined } => jobs.take_in(job, update, &inlined),
                ToClient::Named { ticket, answer } => jobs.asked.answered(ticket, answer),
                ToClient::Closing(reason) => why = reason,
                _ => {}
            }
        }
        if let Some(jobs) = weak.upgrade() {
            let mut line = jobs.line();
            jobs.lose(&mut line, number, &why);
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection is no more, and with it its jobs.
    fn lose(&self, line: &mut Line, number: u64, why: &str) {
        if line.lose(number, why) {
            self.close_all(why);
        }
    }

    fn close_all(&self, why: &str) {
        let open = std::mem::take(&mut *self.table.lock().unwrap_or_else(PoisonError::into_inner));
        open.values().for_each(|entry| entry.audience.close(why));
        self.asked.close(why);
    }

    /// Submits a program. It is released when the returned job is dropped.
    pub(super) fn submit(
        self: &Arc<Self>,
        program: Arc<Program>,
        literals: Literals,
        progress: Progress,
    ) -> Result<Job> {
        let board = Arc::new(Board::default());
        let submitted = self.submit_to(Arc::clone(&board) as _, program, literals)?;
        Ok(Job { submitted, board, progress: Mutex::new(progress) })
    }

    /// Submits a program of whose news others take care. It is released when what is returned is dropped.
    pub(super) fn submit_to(
        self: &Arc<Self>,
        audience: Arc<dyn Audience>,
        program: Arc<Program>,
        literals: Literals,
    ) -> Result<Submitted> {
        let lowered = Lowered::of(&program)?;
        if audience.is_waited_for() {
            super::tiny::warn(&lowered);
        }
        let plan = lowered.plan;
        let literals = literals.into_iter().map(|l| (l.id, l)).collect();
        let (id, link) = self.send(&program, (Arc::clone(&plan), literals, audience))?;
        Ok(Submitted { id, link, jobs: Arc::clone(self), program, plan })
    }

    /// Sends a program to the scheduler, over a new connection where the one that there was is lost.
    fn send(self: &Arc<Self>, program: &Arc<Program>, of_job: OfJob) -> Result<(JobId, ClientLink)> {
        let mut of_job = Some(of_job);
        self.over_a_connection(|link| {
            // The lock is held over the submission, so that no news of the job finds the table without it.
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            let id = wait_for(link.submit(Arc::clone(program)))?;
            let (plan, literals, audience) = of_job.take().expect("a job is submitted once");
            let unnoted = (!audience.is_waited_for()).then(|| Arc::clone(program));
            table.insert(id, Entry { link: link.clone(), plan, literals, audience, unnoted });
            Ok((id, link.clone()))
        })
    }

    /// Sends something to the scheduler, again over a new connection where the one that there was is lost.
    pub(super) fn over_a_connection<T>(
        self: &Arc<Self>,
        mut send: impl FnMut(&ClientLink) -> std::result::Result<T, LinkError>,
    ) -> Result<T> {
        let mut line = self.line();
        loop {
            if let Some(why) = &*self.closed.lock().unwrap_or_else(PoisonError::into_inner) {
                return Err(Error::Cluster(why.clone()));
            }
            if let Some(session) = line.renew()? {
                self.listen(line.number(), session.updates)?;
            }
            match send(&line.link) {
                Ok(sent) => return Ok(sent),
                // It is lost, and that has not been heard yet.
                Err(LinkError::Closed) => {
                    let number = line.number();
                    self.lose(&mut line, number, LOST);
                }
                Err(e) => return Err(Error::Cluster(e.to_string())),
            }
        }
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

    fn take_in(self: &Arc<Self>, job: JobId, update: Update, inlined: &[Inlined]) {
        if let Update::Lost { worker } = update {
            self.data.lost(worker);
        }
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = table.get_mut(&job) else { return };
        if let Update::Done { figures, .. } = &update
            && let Some(program) = entry.unnoted.take()
        {
            self.ran(&program, *figures);
        }
        let Update::Upload { lease, tasks, literal, worker, addresses } = update else {
            let audience = Arc::clone(&entry.audience);
            drop(table);
            return audience.tell(self.with_ends(update), inlined);
        };
        let Some(literal) = entry.literals.get(&literal).cloned() else { return };
        let (plan, audience, link) =
            (Arc::clone(&entry.plan), Arc::clone(&entry.audience), entry.link.clone());
        drop(table);
        let putting = Putting {
            jobs: Arc::clone(self),
            link,
            data: Arc::clone(&self.data),
            to: Holder { worker, addresses },
            lease,
        };
        let (waits, told, first) = (literal.waits(), Arc::clone(&audience), tasks.chunks.start);
        let upload = move || putting.all(&tasks, &literal, &plan, &*audience);
        if waits {
            // The threads that make chunks would all wait, and none be left to make what they wait for.
            let thread = std::thread::Builder::new().name("tilework-fetch".into()).spawn(upload);
            if let Err(error) = thread {
                let message = format!("cannot start a thread that fetches its chunks: {error}");
                let operation = "literal".into();
                let error = JobError::Operation { operation, chunk: first, message };
                told.tell(Update::Failed(error), &[]);
            }
        } else {
            chunk_threads().spawn_fifo(upload);
        }
    }

    /// Says how the session's own workers ended, where that is why a job or some of its tasks failed.
    fn with_ends(&self, mut update: Update) -> Update {
        let (Update::Failed(error) | Update::TasksFailed { error, .. }) = &mut update else { return update };
        let Some(processes) = &self.processes else { return update };
        let known = match error {
            JobError::Deadly { last_words, .. } => Some((last_words, processes.how_the_last_ended())),
            JobError::NoWorker { ended, .. } => Some((ended, processes.how_they_ended())),
            _ => None,
        };
        if let Some((said, Some(ends))) = known {
            *said = ends;
        }
        update
    }

    fn is_open(&self, job: JobId) -> bool {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&job)
    }

    /// Ends all jobs, and those to come: the session's own processes have ended.
    #[cfg(feature = "cluster")]
    pub(super) fn close(&self, why: &str) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
        self.close_all(why);
    }
}

/// What came of putting a chunk.
enum Put {
    Done,
    /// The scheduler was told that it cannot be put there.
    Failed,
    /// There is no use in putting it, nor the next.
    Unwanted,
}

/// Chunks on their way to the worker that waits for them.
struct Putting {
    jobs: Arc<Jobs>,
    link: ClientLink,
    data: Arc<dyn DataPlane>,
    to: Holder,
    lease: LeaseId,
}

impl Putting {
    fn all(&self, tasks: &TaskRange, literal: &Literal, plan: &Plan, audience: &dyn Audience) {
        let mut attempts_max = PUT_ATTEMPTS;
        for key in tasks.keys() {
            if self.data.is_lost(self.to.worker) {
                return;
            }
            let chunk = match literal.chunk(key.chunk, &plan.out_region(tasks.stage, key.chunk)) {
                Ok(chunk) => chunk,
                Err(error) => return audience.tell(Update::Failed(error), &[]),
            };
            match self.one(key, &chunk, attempts_max) {
                Put::Done => {}
                // A worker that could not be reached for one is not tried as long for each of the others.
                Put::Failed => attempts_max = 1,
                Put::Unwanted => return,
            }
        }
    }

    /// Puts a chunk, tries again where that fails, and tells the scheduler where it fails for good: the worker lives, as
    /// far as the scheduler knows, and would wait for ever.
    fn one(&self, key: TaskKey, chunk: &Chunk, attempts_max: u32) -> Put {
        let mut pause = PUT_PAUSE;
        let mut attempts = 0;
        loop {
            // It may panic where the session ends meanwhile (its runtime's timers do), which must not end the process.
            let upload = || Upload { lease: self.lease, key, chunk: chunk.clone() };
            let put = catch_unwind(AssertUnwindSafe(|| self.data.put(&self.to, upload())));
            let why = match put {
                Ok(Ok(())) => return Put::Done,
                Ok(Err(error)) => error.to_string(),
                Err(_) => return Put::Unwanted,
            };
            attempts += 1;
            // Where the worker is gone, the scheduler has told it, and asks for the chunks again.
            if !self.jobs.is_open(key.job) || self.data.is_lost(self.to.worker) {
                return Put::Unwanted;
            }
            if attempts >= attempts_max {
                // Err: the session has ended.
                let _ = wait_for(self.link.put_failed(self.lease, key, why));
                return Put::Failed;
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
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
pub(super) struct Submitted {
    id: JobId,
    link: ClientLink,
    jobs: Arc<Jobs>,
    program: Arc<Program>,
    plan: Arc<Plan>,
}

impl Submitted {
    pub(super) fn id(&self) -> JobId {
        self.id
    }

    /// Over which connection it was submitted.
    pub(super) fn link(&self) -> &ClientLink {
        &self.link
    }

    /// Notes what it took.
    pub(super) fn ran(&self, figures: Figures) {
        self.jobs.ran(&self.program, figures);
    }
}

impl Drop for Submitted {
    fn drop(&mut self) {
        let entry = self.jobs.table.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
        // Without the lock: with who took in its news, other jobs may go.
        drop(entry);
        if let Err(job) = self.link.try_release(self.id) {
            let link = self.link.clone();
            // The queue is full: wait for room elsewhere than in a destructor.
            chunk_threads().spawn_fifo(move || {
                let _ = wait_for(link.release(job));
            });
        }
    }
}

/// A submitted job of arrays, released when dropped.
pub(super) struct Job {
    submitted: Submitted,
    board: Arc<Board>,
    progress: Mutex<Progress>,
}

impl Job {
    pub(super) fn id(&self) -> JobId {
        self.submitted.id
    }

    /// The news of it.
    pub(super) fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Waits until all outputs exist.
    pub(super) fn wait(&self) -> Result<()> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let located = self.board.done(&mut progress)?;
        self.submitted.ran(located.figures);
        Ok(())
    }

    /// Waits until all outputs exist and gets their chunks.
    pub(super) fn gather(&self, data: &dyn DataPlane) -> Result<Vec<Vec<Chunk>>> {
        self.wait()?;
        let plan = &self.submitted.plan;
        let n_chunks: Vec<usize> = plan.outputs.iter().map(|s| plan.n_tasks(*s) as usize).collect();
        fetch::all(&self.board, data, &n_chunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::literal::InMemory;
    use crate::session::data::{Asked, Taker};
    use std::sync::atomic::AtomicUsize;
    use tilework_expr::{DType, Expr};
    use tilework_plan::{Grid, StageIdx, WorkerId};

    const N_CHUNKS: usize = 16;

    /// A worker to which nothing can be put, of which that is known after so many attempts.
    struct Gone {
        attempts: AtomicUsize,
        known_after: usize,
    }

    impl DataPlane for Gone {
        fn put(&self, _: &Holder, _: Upload) -> Result<()> {
            self.attempts.fetch_add(1, Ordering::Relaxed);
            Err(Error::Cluster("connection refused".into()))
        }

        fn get(&self, _: &Holder, _: TaskKey, _: Taker) -> Asked {
            unreachable!("nothing is fetched")
        }

        fn lost(&self, _: WorkerId) {}

        fn is_lost(&self, _: WorkerId) -> bool {
            self.attempts.load(Ordering::Relaxed) >= self.known_after
        }
    }

    /// How often it was tried to put a literal's chunks, and for how many the scheduler was told that it failed.
    fn put_all(known_after: usize) -> (usize, usize) {
        let grid = Grid::regular(&[N_CHUNKS], &[1]);
        let one = Chunk::from_bytes(&[DType::U8], &[1], &[7]).unwrap();
        let chunks = vec![one; N_CHUNKS];
        let (id, data) = Literal::attach(InMemory { grid: grid.clone(), chunks });
        let literal = Literal::of(&data).unwrap();
        let chunks = crate::array::chunks_of(&grid);
        let expr = Expr::literal(&[N_CHUNKS], &chunks, DType::U8, id, data).unwrap();
        let program = Arc::new(Program::replacing(&[expr], |_| None));
        let (requests, mut sent) = mpsc::channel(64);
        let (_updates, updates) = mpsc::channel(1);
        let link = ClientLink::new(tilework_plan::ClientId(1), requests, None);
        let gone = Arc::new(Gone { attempts: AtomicUsize::new(0), known_after });
        let data: Arc<dyn DataPlane> = Arc::clone(&gone) as _;
        let session = ClientSession { link: link.clone(), updates, carried: None };
        let jobs = Jobs::start(session, Arc::clone(&data), None, None).unwrap();
        let job = jobs
            .submit(program, vec![Arc::clone(&literal)], Progress::new(super::super::progress::Setting::Off))
            .unwrap();
        let plan = &job.submitted.plan;
        let stage = (0..).map(StageIdx).find(|s| plan.n_tasks(*s) == N_CHUNKS as u64).unwrap();
        let tasks = TaskRange { job: job.id(), stage, chunks: 0..N_CHUNKS as u64 };
        let to = Holder { worker: WorkerId(1), addresses: vec![] };
        let putting = Putting { jobs: Arc::clone(&jobs), link, data, to, lease: LeaseId(1) };
        putting.all(&tasks, &literal, plan, &*job.board);
        let failed = std::iter::from_fn(|| sent.try_recv().ok());
        let failed = failed.filter(|m| matches!(m, tilework_proto::FromClient::PutFailed { .. })).count();
        (gone.attempts.load(Ordering::Relaxed), failed)
    }

    #[test]
    fn a_worker_that_is_gone_is_not_tried_for_each_of_its_chunks() {
        assert_eq!(put_all(0), (0, 0));
        assert_eq!(put_all(1), (1, 0));
        // Of one that is there for the scheduler, it is told of each chunk.
        assert_eq!(put_all(usize::MAX), (PUT_ATTEMPTS as usize + N_CHUNKS - 1, N_CHUNKS));
    }
}
