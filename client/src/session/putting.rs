//! Chunks on their way from this process to the workers that wait for them.
//!
//! Owns the threads that make and put them, and how often it is tried. Must not know jobs, but whether one is still there.

use super::data::{DataPlane, Holder, Upload};
use super::jobs::{Audience, Jobs};
use super::wait::wait_for;
use crate::literal::Literal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tilework_kernels::Chunk;
use tilework_plan::{LeaseId, Plan, TaskKey, TaskRange, Update};
use tilework_proto::ClientLink;

/// Times that a chunk is put to a worker before the scheduler is told that it cannot be.
const PUT_ATTEMPTS: u32 = 4;
/// The pause after the first of them that fails; it doubles with each.
const PUT_PAUSE: Duration = Duration::from_millis(50);

/// What came of putting a chunk.
enum Put {
    Done,
    /// The scheduler was told that it cannot be put there.
    Failed,
    /// There is no use in putting it, nor the next.
    Unwanted,
}

/// A literal's chunks and the worker that waits for them.
pub(super) struct Putting {
    pub(super) jobs: Arc<Jobs>,
    pub(super) link: ClientLink,
    pub(super) data: Arc<dyn DataPlane>,
    pub(super) to: Holder,
    pub(super) lease: LeaseId,
}

impl Putting {
    /// Makes and puts the chunks of some tasks, one after another.
    pub(super) fn all(&self, tasks: &TaskRange, literal: &Literal, plan: &Plan, audience: &dyn Audience) {
        let mut attempts_max = PUT_ATTEMPTS;
        for key in tasks.keys() {
            if self.data.is_lost(self.to.worker) {
                return;
            }
            let chunk = match literal.chunk(key.chunk, &plan.out_region(tasks.stage, key.chunk)) {
                Ok(chunk) => chunk,
                Err(error) => return audience.tell(Update::Failed(error), &[]),
            };
            match self.one(key, (&chunk, literal.lends()), attempts_max) {
                Put::Done => {}
                // A worker that could not be reached for one is not tried as long for each of the others.
                Put::Failed => attempts_max = 1,
                Put::Unwanted => return,
            }
        }
    }

    /// Puts a chunk, tries again where that fails, and tells the scheduler where it fails for good: the worker lives, as
    /// far as the scheduler knows, and would wait for ever.
    fn one(&self, key: TaskKey, (chunk, borrowed): (&Chunk, bool), attempts_max: u32) -> Put {
        let mut pause = PUT_PAUSE;
        let mut attempts = 0;
        loop {
            // It may panic where the session ends meanwhile (its runtime's timers do), which must not end the process.
            let upload = || Upload { lease: self.lease, key, chunk: chunk.clone(), borrowed };
            let put = catch_unwind(AssertUnwindSafe(|| self.data.put(&self.to, upload())));
            let why = match put {
                Ok(Ok(())) => return Put::Done,
                Ok(Err(why)) => why,
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
pub(super) fn chunk_threads() -> &'static rayon::ThreadPool {
    static THREADS: LazyLock<rayon::ThreadPool> = LazyLock::new(|| {
        let builder = rayon::ThreadPoolBuilder::new().thread_name(|i| format!("tilework-chunks-{i}"));
        let builder = builder.start_handler(|_| tilework_worker::mark_task_thread());
        builder.build().expect("the system has threads for a few more")
    });
    &THREADS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::literal::InMemory;
    use crate::session::data::{Asked, Taker};
    use crate::session::planned::Planned;
    use crate::session::progress::{Progress, Setting};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tilework_expr::{DType, Expr, Program};
    use tilework_plan::{ClientId, Grid, StageIdx, WorkerId};
    use tilework_proto::{ClientSession, FromClient};
    use tokio::sync::mpsc;

    const N_CHUNKS: usize = 16;

    /// A worker to which nothing can be put, of which that is known after so many attempts.
    struct Gone {
        attempts: AtomicUsize,
        known_after: usize,
    }

    impl DataPlane for Gone {
        fn put(&self, _: &Holder, _: Upload) -> std::result::Result<(), String> {
            self.attempts.fetch_add(1, Ordering::Relaxed);
            Err("connection refused".into())
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
        let planned = Planned::of(Program::new(&[expr]), vec![Arc::clone(&literal)]).unwrap();
        let plan = Arc::clone(&planned.lowered.plan);
        let (requests, mut sent) = mpsc::channel(64);
        let (_updates, updates) = mpsc::channel(1);
        let link = ClientLink::new(ClientId(1), requests, None);
        let gone = Arc::new(Gone { attempts: AtomicUsize::new(0), known_after });
        let data: Arc<dyn DataPlane> = Arc::clone(&gone) as _;
        let session = ClientSession { link: link.clone(), updates, carried: None };
        let jobs = Jobs::start(session, Arc::clone(&data), None, None).unwrap();
        let job = jobs.submit(planned, Progress::new(Setting::Off)).unwrap();
        let stage = (0..).map(StageIdx).find(|s| plan.n_tasks(*s) == N_CHUNKS as u64).unwrap();
        let tasks = TaskRange { job: job.id(), stage, chunks: 0..N_CHUNKS as u64 };
        let to = Holder { worker: WorkerId(1), addresses: vec![] };
        let putting = Putting { jobs: Arc::clone(&jobs), link, data, to, lease: LeaseId(1) };
        putting.all(&tasks, &literal, &plan, &**job.board());
        let failed = std::iter::from_fn(|| sent.try_recv().ok());
        let failed = failed.filter(|m| matches!(m, FromClient::PutFailed { .. })).count();
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
