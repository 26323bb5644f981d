//! What an event costs the scheduler's core while many jobs are there, and many workers: nothing may loop over all; and what
//! a task costs that reads a block of every result of another stage, and should cost the same however many those are.
//! Prints for each case the mean time of an event and of a task, and both beside those of the smallest case.
//!
//! Knows the scheduler's core. Must not know workers' insides: these do at once what they are told.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tilework_expr::{
    BinaryOp, Calls, Chunks, DType, Expr, FileKind, FileRef, Fold, Kernel, Lowered, Program,
};
use tilework_plan::{
    ClientId, Hello, Instruction, JobId, LeaseId, Plan, Report, Stored, TaskRange, Update, WorkerId,
};
use tilework_scheduler_core::{Action, Event, Limits, Prepared, Scheduler};

/// Tasks that a worker ends with a report.
const BATCH: u64 = 8;
/// Counts of jobs and of workers.
const SIZES: [usize; 3] = [10, 100, 1000];
/// Counts of values that are made of as many blocks.
const EXCHANGES: [usize; 4] = [1000, 3000, 10_000, 30_000];
/// Bytes of a value.
const VALUE_BYTES: u64 = 100_000;

/// What a case costs at a size.
type Case = fn(usize) -> Cost;

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    let cases: [(&str, Case); 3] = [
        ("jobs at once, 10 workers", many_jobs),
        ("jobs whose results are kept, 10 workers", kept_jobs),
        ("workers, 10 jobs at once", many_workers),
    ];
    for (what, case) in cases.into_iter().filter(|(what, _)| what.starts_with(&only)) {
        print(what, SIZES.map(|n| (n, case)));
    }
    let what = "values of a block for each of as many tasks, 10 workers";
    if what.starts_with(&only) {
        print(what, EXCHANGES.map(|n| (n, exchange as Case)));
    }
}

fn print<const N: usize>(what: &str, cases: [(usize, Case); N]) {
    println!("{what}");
    let mut least = None;
    for (n, case) in cases {
        let cost = case(n);
        let (event, task) = (cost.event_us(), cost.task_us());
        let (of_event, of_task) = *least.get_or_insert((event, task));
        println!(
            "{n:>6}: {event:.2} us an event ({:.2}), {task:.3} us a task ({:.2}); {} events, longest {:.1} ms, peak memory \
             {} MiB",
            event / of_event,
            task / of_task,
            cost.events,
            cost.longest.as_secs_f64() * 1e3,
            peak_mib()
        );
    }
}

/// A thousand sums, so many at a time.
fn many_jobs(at_once: usize) -> Cost {
    let mut cluster = Cluster::of(10);
    cluster.run(&plan(1000, true), 1000, at_once);
    cluster.cost
}

/// A hundred sums one after the other, while the results of so many jobs are kept.
fn kept_jobs(kept: usize) -> Cost {
    let mut cluster = Cluster::of(10);
    cluster.keeps = true;
    cluster.run(&plan(100, false), kept, 1);
    (cluster.keeps, cluster.cost) = (false, Cost::default());
    cluster.run(&plan(10_000, true), 100, 1);
    cluster.cost
}

/// Ten sums at a time, of so many tasks that each worker has some hundreds of each.
fn many_workers(workers: usize) -> Cost {
    let mut cluster = Cluster::of(workers);
    cluster.run(&plan(100 * workers, true), 20, 10);
    cluster.cost
}

/// So many values, each of as many blocks, and as many calls that take a block of each.
fn exchange(n: usize) -> Cost {
    let mut cluster = Cluster::of(10);
    let kernel = Kernel {
        offset: 8,
        build: "51".into(),
        name: "simulated".into(),
        params: Vec::new(),
        inputs: Vec::new(),
        output: DType::U8,
    };
    let calls = |gives, takes| Calls {
        kernel: Arc::new(kernel.clone()),
        params: Arc::from([]),
        ends: vec![0; n].into(),
        args: Arc::from([]),
        arg_ends: vec![0; n].into(),
        line: None,
        terms: None,
        gives,
        takes,
    };
    let values = Expr::calls(calls(n as u32, false), &[]).expect("calls of nothing");
    let taken = Expr::calls(calls(0, true), &[values]).expect("calls of blocks");
    let plan = Lowered::of(&Program::new(&[taken])).expect("built expressions can be planned").plan;
    cluster.run(&plan, 1, 1);
    assert_eq!(cluster.cost.tasks, 2 * n as u64);
    cluster.cost
}

/// The sum over a sum of two stored arrays in chunks of one element, or the elements.
fn plan(n: usize, sum: bool) -> Arc<Plan> {
    let read = |name: &str| {
        let file = FileRef { kind: FileKind::Npy, path: name.to_owned(), member: String::new() };
        Expr::read((file, Stored::Rows), &[n], &Chunks::from(1), DType::F64).expect("a good shape")
    };
    let of = read("a").binary(BinaryOp::Add, &read("b")).expect("equal shapes");
    let output = if sum { of.reduce_all(Fold::Sum).expect("a sum") } else { of };
    Lowered::of(&Program::new(&[output])).expect("built expressions can be planned").plan
}

/// What the scheduler's core took.
#[derive(Default)]
struct Cost {
    events: u64,
    tasks: u64,
    spent: Duration,
    longest: Duration,
}

impl Cost {
    fn event_us(&self) -> f64 {
        self.spent.as_secs_f64() * 1e6 / self.events as f64
    }

    fn task_us(&self) -> f64 {
        self.spent.as_secs_f64() * 1e6 / self.tasks as f64
    }
}

/// A scheduler and workers that do what they are told, some tasks at a time and all at the same pace.
struct Cluster {
    scheduler: Scheduler,
    now_us: u64,
    /// What each worker has yet to do.
    queues: Vec<VecDeque<(LeaseId, TaskRange)>>,
    actions: Vec<Action>,
    /// Jobs under way.
    open: BTreeSet<JobId>,
    last_job: u64,
    /// Whether jobs that are done are not released.
    keeps: bool,
    cost: Cost,
}

impl Cluster {
    fn of(workers: usize) -> Cluster {
        let mut cluster = Cluster {
            scheduler: Scheduler::new(Limits { silence_max_us: None, ..Limits::default() }),
            now_us: 0,
            queues: vec![VecDeque::new(); workers],
            actions: Vec::new(),
            open: BTreeSet::new(),
            last_job: 0,
            keeps: false,
            cost: Cost::default(),
        };
        for w in 0..workers {
            let hello = Hello {
                name: format!("w{w}"),
                incarnation: 1,
                threads: 8,
                memory_bytes: 1 << 40,
                spill_bytes: 0,
                addresses: Vec::new(),
                build: None,
                tags: tilework_plan::Tags::new(),
            };
            cluster.handle(Event::WorkerJoined { worker: WorkerId(w as u32), hello });
        }
        cluster.cost = Cost::default();
        cluster
    }

    /// Runs a plan so many times, some at a time.
    fn run(&mut self, plan: &Arc<Plan>, times: usize, at_once: usize) {
        let (mut left, start_us) = (times, cpu_us());
        while left > 0 || !self.open.is_empty() {
            while left > 0 && self.open.len() < at_once {
                left -= 1;
                self.last_job += 1;
                let job = JobId(self.last_job);
                self.open.insert(job);
                let prepared = Prepared::of(job, plan.clone());
                self.handle(Event::JobSubmitted { job, client: ClientId(1), prepared });
            }
            let before = self.cost.events;
            for w in 0..self.queues.len() {
                self.work(w);
            }
            if before == self.cost.events {
                assert!(self.scheduler.next_wake_us().is_some(), "nothing is done");
                self.handle(Event::Tick);
            }
        }
        self.cost.spent += Duration::from_micros(cpu_us() - start_us);
    }

    /// A worker ends some tasks and says so.
    fn work(&mut self, w: usize) {
        let mut left = BATCH;
        let mut reports = Vec::new();
        while let Some((lease, tasks)) = self.queues[w].front_mut().filter(|_| left > 0) {
            let n = left.min(tasks.chunks.end - tasks.chunks.start);
            let done = TaskRange { chunks: tasks.chunks.start..tasks.chunks.start + n, ..tasks.clone() };
            reports.push(Report::Done {
                lease: *lease,
                tasks: done,
                busy_us: 100 * n,
                bytes_fetched: 0,
                sizes: vec![VALUE_BYTES; n as usize],
            });
            left -= n;
            tasks.chunks.start += n;
            if tasks.chunks.is_empty() {
                self.queues[w].pop_front();
            }
        }
        if !reports.is_empty() {
            self.cost.tasks += BATCH - left;
            self.handle(Event::WorkerReported { worker: WorkerId(w as u32), reports });
        }
    }

    fn handle(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            self.now_us += 1;
            let start = Instant::now();
            self.scheduler.handle(self.now_us, event, &mut self.actions);
            self.cost.longest = start.elapsed().max(self.cost.longest);
            self.cost.events += 1;
            for action in std::mem::take(&mut self.actions) {
                match action {
                    Action::Tell { worker, instructions } => self.told(worker, instructions, &mut events),
                    Action::Update { job, update: Update::Done { .. } } => {
                        self.open.remove(&job);
                        if !self.keeps {
                            events.push_back(Event::JobReleased { job });
                        }
                    }
                    Action::Update { update: Update::Failed(why), .. } => panic!("{why}"),
                    _ => {}
                }
            }
        }
    }

    fn told(&mut self, worker: WorkerId, instructions: Vec<Instruction>, events: &mut VecDeque<Event>) {
        let queue = &mut self.queues[worker.0 as usize];
        for instruction in instructions {
            match instruction {
                Instruction::Lease { lease, tasks, .. } => queue.push_back((lease, tasks)),
                Instruction::Revoke { lease, tasks } => {
                    let mut back = TaskRange { chunks: tasks.chunks.end..tasks.chunks.end, ..tasks };
                    for (_, has) in queue.iter_mut().filter(|(l, _)| *l == lease) {
                        let from = has.chunks.start.max(tasks.chunks.start);
                        back.chunks = from..has.chunks.end.max(from);
                        has.chunks.end = has.chunks.end.min(from);
                    }
                    queue.retain(|(_, has)| !has.chunks.is_empty());
                    events.push_back(Event::WorkerReported {
                        worker,
                        reports: vec![Report::Returned { lease, tasks: back }],
                    });
                }
                _ => {}
            }
        }
    }
}

/// Time that this thread was on a processor, microseconds, by Linux's count.
fn cpu_us() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1000
}

/// The most memory that this process had, by Linux's count.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1024
}
