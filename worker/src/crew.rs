//! Tasks in a row: those that were handed over wait in one queue, from which each thread of the pool takes the next;
//! the ends of short ones are posted together. To wake a thread for each task and the driver for each end costs more
//! than a short task does.
//!
//! Owns the queue and which ends wait for others. Must not know why a task runs, nor when one may.

use crate::driver::Post;
use crate::pool::{Pool, compute};
use crate::store::{Epoch, Store, Stored};
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tilework_expr::Lowered;
use tilework_kernels::Feed;
use tilework_plan::{LeaseId, TaskError, TaskKey};
use tilework_worker_core::{Event, Source};
use tokio::sync::{Notify, mpsc};

/// Ends that are posted together, at most.
const ENDS_MAX: usize = 32;
/// A task that took longer, microseconds, is not short: its end is posted at once, and so is what waits before
/// another one like it begins.
const SHORT_US: u64 = 50;

/// A task that was handed over: whether a thread is at it, since when, and whether it is wanted no more.
#[derive(Debug, Default)]
pub(crate) struct Running {
    began: OnceLock<Instant>,
    stop: AtomicBool,
    told: Notify,
}

impl Running {
    /// A thread begins with it.
    pub(crate) fn begin(&self) {
        // Err: it has begun, which is no matter.
        let _ = self.began.set(Instant::now());
    }

    /// Has it stop where it can.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.told.notify_waiters();
    }

    /// Completes when it is to stop.
    pub(crate) async fn stopped(&self) {
        let told = self.told.notified();
        if !self.stop.load(Ordering::SeqCst) {
            told.await;
        }
    }

    /// How long a thread has been at it; nothing where none is.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.began.get().map(Instant::elapsed)
    }
}

/// A task, and all that it takes to compute it.
#[derive(Debug)]
pub(crate) struct Job {
    pub lease: LeaseId,
    pub task: TaskKey,
    pub lowered: Arc<Lowered>,
    pub feeds: Vec<Feed>,
    pub running: Arc<Running>,
    /// The connection under which it was asked for.
    pub epoch: Epoch,
}

/// The threads of the pool at work on one queue.
#[derive(Debug)]
pub(crate) struct Crew {
    pool: Pool,
    queue: Arc<Queue>,
}

#[derive(Debug)]
struct Queue {
    waiting: Mutex<Waiting>,
    store: Arc<Store>,
    inbox: mpsc::WeakSender<Post>,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Calls of [`Queue::work`] that have begun, or will, and not ended.
    hands: usize,
}

thread_local! {
    /// Whether this thread is at work on a queue, perhaps while it waits for a part of its task.
    static AT_WORK: Cell<bool> = const { Cell::new(false) };
}

impl Crew {
    /// Results go to the store, ends to the inbox.
    pub(crate) fn new(pool: Pool, store: Arc<Store>, inbox: mpsc::WeakSender<Post>) -> Crew {
        Crew { pool, queue: Arc::new(Queue { waiting: Mutex::default(), store, inbox }) }
    }

    /// Computes these after those that came before.
    pub(crate) fn compute(&self, jobs: impl IntoIterator<Item = Job>) {
        let mut waiting = self.queue.lock();
        waiting.jobs.extend(jobs);
        let more = waiting.jobs.len().min(self.pool.n_threads().saturating_sub(waiting.hands));
        waiting.hands += more;
        drop(waiting);
        for _ in 0..more {
            let queue = self.queue.clone();
            self.pool.spawn(move || queue.begin());
        }
    }
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nothing panics while the queue is locked")
    }

    /// The next job, or one hand less.
    fn next(&self) -> Option<Job> {
        let mut waiting = self.lock();
        let job = waiting.jobs.pop_front();
        waiting.hands -= usize::from(job.is_none());
        job
    }

    /// Works on this thread until nothing waits. A thread that does so already is in the middle of a task and has come
    /// here while it waits for a part of it: it helps with one task, so that its own does not wait for all others.
    fn begin(self: Arc<Self>) {
        if !AT_WORK.replace(true) {
            self.work();
            AT_WORK.set(false);
        } else if let Some(job) = self.next() {
            self.post(&mut vec![self.end_of(job).0]);
            rayon::spawn_fifo(move || self.begin());
        }
    }

    fn work(&self) {
        let mut ends = Vec::with_capacity(ENDS_MAX);
        // The stage of the last task, where it was short.
        let mut short = None;
        while let Some(job) = self.next() {
            let stage = (job.task.job, job.task.stage);
            if short != Some(stage) {
                self.post(&mut ends);
            }
            let (end, busy_us) = self.end_of(job);
            ends.push(end);
            short = (busy_us <= SHORT_US).then_some(stage);
            if short.is_none() || ends.len() == ENDS_MAX {
                self.post(&mut ends);
            }
        }
        self.post(&mut ends);
    }

    /// Computes a task and keeps its chunk; says how it ended, and how long it took.
    fn end_of(&self, job: Job) -> (Event, u64) {
        let Job { lease, task, lowered, feeds, running, epoch } = job;
        running.begin();
        let (result, busy_us) = compute(&lowered, task, &feeds, &running.stop);
        drop(feeds);
        let result = result.map(|chunk| {
            let bytes = chunk.bytes() as u64;
            self.store.insert(epoch, Source::Held(task), Stored { content: chunk.into(), part: None });
            bytes
        });
        (finished(lease, task, result, busy_us), busy_us)
    }

    fn post(&self, ends: &mut Vec<Event>) {
        if !ends.is_empty()
            && let Some(inbox) = self.inbox.upgrade()
        {
            // Err: the worker has ended.
            let _ = inbox.blocking_send(Post::Events(std::mem::take(ends)));
        }
    }
}

/// What the state machine is told of the end of a task.
pub(crate) fn finished(lease: LeaseId, task: TaskKey, result: Result<u64, TaskError>, busy_us: u64) -> Event {
    Event::Finished { lease, task, result, busy_us }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilework_expr::{Chunks, DType, Expr, Fold, Program, Scalar};
    use tilework_plan::{ChunkIdx, JobId, StageIdx};

    /// The tasks of the first stage of a sum over so many chunks.
    fn jobs(n: u64) -> Vec<Job> {
        let cut = Chunks::Axes(vec![tilework_expr::AxisChunks::Len(1)]);
        let ones = Expr::full(&[n as usize], &cut, Scalar::new(1.0)).unwrap();
        assert_eq!(ones.dtype(), DType::F64);
        let sum = ones.reduce_all(Fold::Sum).unwrap();
        let lowered = Arc::new(Lowered::of(&Program::new(&[sum])).unwrap());
        let job = |chunk| Job {
            lease: LeaseId(1),
            task: TaskKey { job: JobId(1), stage: StageIdx(0), chunk: ChunkIdx(chunk) },
            lowered: lowered.clone(),
            feeds: Vec::new(),
            running: Arc::default(),
            epoch: Epoch::default(),
        };
        (0..n).map(job).collect()
    }

    fn crew(threads: usize) -> (Crew, mpsc::Sender<Post>, mpsc::Receiver<Post>) {
        let (inbox, posts) = mpsc::channel(4);
        (Crew::new(Pool::new(threads, None).unwrap(), Arc::default(), inbox.downgrade()), inbox, posts)
    }

    /// The chunk numbers of the next `n` ends.
    fn ended(posts: &mut mpsc::Receiver<Post>, n: usize) -> Vec<u64> {
        let mut chunks = Vec::new();
        while chunks.len() < n {
            let Some(Post::Events(events)) = posts.blocking_recv() else { panic!("no post") };
            for event in events {
                let Event::Finished { task, result: Ok(_), .. } = event else { panic!("{event:?}") };
                chunks.push(task.chunk.0);
            }
        }
        chunks
    }

    #[test]
    fn every_task_ends_once_and_its_chunk_is_kept() {
        let (crew, _inbox, mut posts) = crew(2);
        let mut jobs = jobs(1000);
        let later = jobs.split_off(500);
        crew.compute(jobs);
        let mut chunks = ended(&mut posts, 1);
        crew.compute(later);
        chunks.extend(ended(&mut posts, 1000 - chunks.len()));
        chunks.sort_unstable();
        assert_eq!(chunks, (0..1000).collect::<Vec<_>>());
        assert_eq!(crew.queue.store.bytes(), 8000);
    }

    #[test]
    fn a_thread_in_the_middle_of_a_task_helps_with_one_other() {
        let (crew, _inbox, mut posts) = crew(1);
        let queue = crew.queue.clone();
        *queue.lock() = Waiting { jobs: jobs(3).into(), hands: 1 };
        let (tell, left) = std::sync::mpsc::channel();
        crew.pool.spawn(move || {
            AT_WORK.set(true);
            queue.clone().begin();
            tell.send(queue.lock().jobs.len()).unwrap();
            AT_WORK.set(false);
        });
        assert_eq!(left.recv(), Ok(2));
        assert_eq!(ended(&mut posts, 3), [0, 1, 2]);
    }
}
