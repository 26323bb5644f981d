//! The jobs of a session: one thread takes in what the scheduler says and hands it to whom it concerns.
//!
//! Owns the table of jobs and their release. Must not know what carries the messages.

use super::board::Board;
use super::data::{DataPlane, Holder};
use super::fetch;
use super::line::{Line, Reconnect};
use super::names::Asked;
use super::planned::Planned;
use super::processes::Processes;
use super::progress::Progress;
use super::putting::{Putting, chunk_threads};
use super::runs::{Digest, Runs};
use super::wait::wait_for;
use crate::error::{ClusterError, Error, Result};
use crate::literal::Literal;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tilework_expr::Program;
use tilework_kernels::Chunk;
use tilework_plan::{Figures, JobError, JobId, Plan, StageIdx, Update};
use tilework_proto::{ClientLink, ClientSession, Inlined, LinkError, ToClient};
use tokio::sync::mpsc;

/// What is known of a connection that ended without a word.
fn lost() -> ClusterError {
    ClusterError::Lost("the connection to the scheduler was lost".to_owned())
}

/// Who takes in the news of a job.
pub(super) trait Audience: Send + Sync {
    /// Takes in what the scheduler says, and small results among those that it names.
    fn tell(&self, update: Update, inlined: &[Inlined]);
    /// No more news will come.
    fn close(&self, why: &ClusterError);
    /// Whether somebody waits for the job's end and notes what it took.
    fn is_waited_for(&self) -> bool;
}

impl Audience for Board {
    fn tell(&self, update: Update, inlined: &[Inlined]) {
        Board::tell(self, update, inlined);
    }

    fn close(&self, why: &ClusterError) {
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
    /// Whether its tasks are still to be counted when it is done, for nobody waits for that.
    uncounted: bool,
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
    closed: Mutex<Option<ClusterError>>,
    n_tasks_done: AtomicU64,
    runs: Mutex<Runs>,
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
        thread.map(drop).map_err(|e| Error::system("start a thread", e))
    }

    fn take_all_in(weak: &Weak<Jobs>, number: u64, mut updates: mpsc::Receiver<ToClient>) {
        let mut why = lost();
        while let Some(message) = updates.blocking_recv() {
            let Some(jobs) = weak.upgrade() else { return };
            match message {
                ToClient::Update { job, update, inlined } => jobs.take_in(job, update, &inlined),
                ToClient::Named { ticket, answer } => jobs.asked.answered(ticket, answer),
                ToClient::Closing(reason) => why = ClusterError::Lost(reason),
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
    fn lose(&self, line: &mut Line, number: u64, why: &ClusterError) {
        if line.lose(number, why) {
            self.close_all(why);
        }
    }

    fn close_all(&self, why: &ClusterError) {
        let open = std::mem::take(&mut *self.table.lock().unwrap_or_else(PoisonError::into_inner));
        open.values().for_each(|entry| entry.audience.close(why));
        self.asked.close(why);
    }

    /// Submits a program. It is released when the returned job is dropped.
    pub(super) fn submit(self: &Arc<Self>, planned: Planned, progress: Progress) -> Result<Job> {
        let board = Arc::new(Board::default());
        let program = Digest::of(&planned.program);
        let submitted = self.submit_to(Arc::clone(&board) as _, planned)?;
        Ok(Job { submitted, program, board, progress: Mutex::new(progress) })
    }

    /// Submits a program of whose news others take care. It is released when what is returned is dropped.
    pub(super) fn submit_to(
        self: &Arc<Self>,
        audience: Arc<dyn Audience>,
        planned: Planned,
    ) -> Result<Submitted> {
        let Planned { program, literals, lowered } = planned;
        let plan = lowered.plan;
        let literals = literals.into_iter().map(|l| (l.id, l)).collect();
        let (id, link) = self.send(&program, (Arc::clone(&plan), literals, audience))?;
        Ok(Submitted { id, link, jobs: Arc::clone(self), plan })
    }

    /// Sends a program to the scheduler, over a new connection where the one that there was is lost.
    fn send(self: &Arc<Self>, program: &Arc<Program>, of_job: OfJob) -> Result<(JobId, ClientLink)> {
        let mut of_job = Some(of_job);
        self.over_a_connection(|link| {
            // The lock is held over the submission, so that no news of the job finds the table without it.
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            let id = wait_for(link.submit(Arc::clone(program)))?;
            let (plan, literals, audience) = of_job.take().expect("a job is submitted once");
            let uncounted = !audience.is_waited_for();
            table.insert(id, Entry { link: link.clone(), plan, literals, audience, uncounted });
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
                return Err(why.clone().into());
            }
            if let Some(session) = line.renew()? {
                self.listen(line.number(), session.updates)?;
            }
            match send(&line.link) {
                Ok(sent) => return Ok(sent),
                // It is lost, and that has not been heard yet.
                Err(LinkError::Closed) => {
                    let number = line.number();
                    self.lose(&mut line, number, &lost());
                }
                Err(e) => return Err(ClusterError::from(e).into()),
            }
        }
    }

    /// Tasks of the jobs that ended well.
    pub(super) fn n_tasks_done(&self) -> u64 {
        self.n_tasks_done.load(Ordering::Relaxed)
    }

    /// Notes what a run took.
    pub(super) fn ran(&self, program: Digest, figures: Figures) {
        self.count(&figures);
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).note(program, figures);
    }

    fn count(&self, figures: &Figures) {
        self.n_tasks_done.fetch_add(figures.n_tasks, Ordering::Relaxed);
    }

    /// What the latest run of a program took, if it is among those that are kept.
    pub(super) fn figures_of(&self, program: Digest) -> Option<Figures> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).of(program)
    }

    fn take_in(self: &Arc<Self>, job: JobId, update: Update, inlined: &[Inlined]) {
        if let Update::Lost { worker } = update {
            self.data.lost(worker);
        }
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = table.get_mut(&job) else { return };
        if let Update::Done { figures, .. } = &update
            && std::mem::take(&mut entry.uncounted)
        {
            self.count(figures);
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
        let (data, to) = (Arc::clone(&self.data), Holder { worker, addresses });
        let putting = Putting { jobs: Arc::clone(self), link, data, to, lease };
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

    /// Whether a job is not released.
    pub(super) fn is_open(&self, job: JobId) -> bool {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&job)
    }

    /// Ends all jobs, and those to come: the session's own processes have ended.
    #[cfg(feature = "cluster")]
    pub(super) fn close(&self, why: &ClusterError) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.clone());
        self.close_all(why);
    }
}

/// A submitted job, released when dropped.
pub(super) struct Submitted {
    id: JobId,
    link: ClientLink,
    jobs: Arc<Jobs>,
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
    program: Digest,
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
        self.figures().map(drop)
    }

    /// Waits until all outputs exist, and says what that took.
    fn figures(&self) -> Result<Figures> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let located = self.board.done(&mut progress)?;
        self.submitted.jobs.ran(self.program, located.figures);
        Ok(located.figures)
    }

    /// Waits until all outputs exist and gets their chunks, up to some bytes.
    pub(super) fn gather(&self, data: &dyn DataPlane, bytes_max: u64) -> Result<(Vec<Vec<Chunk>>, Figures)> {
        let figures = self.figures()?;
        Ok((self.gather_from(data, 0, bytes_max)?, figures))
    }

    /// Gets the chunks of the outputs but for the first ones, up to some bytes. All exist.
    pub(super) fn gather_from(
        &self,
        data: &dyn DataPlane,
        first: usize,
        bytes_max: u64,
    ) -> Result<Vec<Vec<Chunk>>> {
        let plan = &self.submitted.plan;
        let n_chunks = |(output, stage): (usize, &StageIdx)| match output < first {
            true => 0,
            false => plan.n_tasks(*stage) as usize,
        };
        let n_chunks: Vec<usize> = plan.outputs.iter().enumerate().map(n_chunks).collect();
        let mut chunks = fetch::all(&self.board, data, (&n_chunks, bytes_max))?;
        Ok(chunks.split_off(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::data::{Answer, Asked as Request, Taker, Upload};
    use crate::session::progress::Setting;
    use tilework_expr::{Chunks, Expr, Scalar};
    use tilework_plan::{ClientId, TaskKey, WorkerId};
    use tilework_proto::FromClient;

    /// Workers that are all gone.
    struct Gone;

    impl DataPlane for Gone {
        fn put(&self, _: &Holder, _: Upload) -> std::result::Result<(), String> {
            Err("it is gone".to_owned())
        }

        fn get(&self, _: &Holder, _: TaskKey, taker: Taker) -> Request {
            taker(Answer::Nothing("it is gone".to_owned()));
            Request::answered()
        }

        fn lost(&self, _: WorkerId) {}

        fn is_lost(&self, _: WorkerId) -> bool {
            true
        }
    }

    /// A session over a connection of which these are the other ends.
    fn started(
        reconnect: Option<Reconnect>,
    ) -> (Arc<Jobs>, mpsc::Receiver<FromClient>, mpsc::Sender<ToClient>) {
        let (requests, sent) = mpsc::channel(64);
        let (news, updates) = mpsc::channel(4);
        let link = ClientLink::new(ClientId(1), requests, None);
        let session = ClientSession { link, updates, carried: None };
        (Jobs::start(session, Arc::new(Gone), None, reconnect).unwrap(), sent, news)
    }

    fn submitted(jobs: &Arc<Jobs>) -> Result<Job> {
        let ones = Expr::full(&[4], &Chunks::from(1), Scalar::new(1.0)).unwrap();
        let planned = Planned::of(Program::new(&[ones]), Vec::new()).unwrap();
        jobs.submit(planned, Progress::new(Setting::Off))
    }

    #[track_caller]
    fn is_lost<T>(result: Result<T>, why: &str) {
        let error = result.err().expect("the connection is lost");
        assert_eq!(error.cluster(), Some(&ClusterError::Lost(why.to_owned())), "{error}");
    }

    #[test]
    fn a_lost_connection_is_told_as_one_to_those_who_wait_and_to_those_who_come() {
        let (jobs, sent, news) = started(None);
        let job = submitted(&jobs).unwrap();
        news.blocking_send(ToClient::Closing("it was stopped".to_owned())).unwrap();
        drop((news, sent));
        is_lost(job.wait(), "it was stopped");
        is_lost(submitted(&jobs), "it was stopped");

        let refused = || Err("connection refused".to_owned());
        let (jobs, sent, _news) = started(Some(Box::new(refused)));
        drop(sent);
        let why = "the connection to the scheduler was lost; it cannot be reached again: connection refused";
        is_lost(submitted(&jobs), why);
    }

    #[cfg(feature = "cluster")]
    #[test]
    fn where_no_worker_is_left_nothing_is_run() {
        let (jobs, _sent, _news) = started(None);
        let job = submitted(&jobs).unwrap();
        let none = ClusterError::NoWorkers("all have ended".to_owned());
        jobs.close(&none);
        for result in [job.wait(), submitted(&jobs).map(drop)] {
            assert_eq!(result.unwrap_err().cluster(), Some(&none));
        }
    }
}
