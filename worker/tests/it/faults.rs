//! What breaks on purpose, and what is left right.

use crate::support::{Build, Cluster, LONG, Mode, f64s, of_f64s, serve, until};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tilework_cluster::connection::ConnectionFile;
use tilework_cluster::listen::{Bound, bind};
use tilework_cluster::security::Identity;
use tilework_expr::{DType, Dist, FileKind, FileRef, Fold, Node, Op, Program, UnaryOp};
use tilework_kernels::Chunk;
use tilework_plan::{Grid, JobId, Stored, Update, region_shape};
use tilework_proto::session::BoxFuture;
use tilework_scheduler::{Limits, LinkError, SchedulerHandle, remote};
use tilework_worker::{
    ChunkClient, Config, GrpcLink, LocalPeers, Missed, Peers, Wanted, WorkerError, WorkerHandle,
};
use tokio::runtime::Runtime;

/// Chunks of the left factor of [`gated_program`].
const LEFT_CHUNKS: u64 = 100;

/// A matrix product of 100 chunks of costly elements and a literal: until that comes, all of them are held.
fn gated_program() -> Program {
    let (left, right) = (Grid::regular(&[400, 400], &[40, 40]), Grid::regular(&[400, 100], &[40, 100]));
    let mut b = Build::default();
    let dist = Dist::Uniform { low: 0.0, high: 1.0 };
    let noise = b.node(Op::Random { key: 3, dist }, &[], &left, DType::F64);
    let sine = b.node(Op::Unary(UnaryOp::Sin), &[noise], &left, DType::F64);
    let gate = b.node(Op::Literal { id: 1 }, &[], &right, DType::F64);
    let out = Grid::new(vec![left.axes()[0].clone(), right.axes()[1].clone()]);
    let product = b.node(Op::MatMul, &[sine, gate], &out, DType::F64);
    b.output(product)
}

fn twos(region: &[Range<usize>]) -> Chunk {
    let shape = region_shape(region);
    of_f64s(&vec![2.0; shape.iter().product()], &shape)
}

/// Submits the gated program and waits until all is done that can be before the literal comes: that is, before
/// the client looks at its updates.
async fn up_to_the_gate(cluster: &mut Cluster, program: &Program) -> JobId {
    cluster.literals.insert(1, twos);
    let job = cluster.submit(program).await;
    let scheduler = cluster.scheduler.clone();
    until("all of the left factor is held", async || {
        let state = scheduler.state().await.unwrap();
        let stages = state.jobs.iter().flat_map(|j| &j.stages);
        stages
            .clone()
            .any(|s| s.operation == "sin(uniform(0..1))" && s.total == LEFT_CHUNKS && s.held == s.total)
    })
    .await;
    job
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_in_the_middle_changes_nothing_of_the_result() {
    let program = gated_program();
    let mut calm = Cluster::start(Mode::Direct, 1).await;
    calm.literals.insert(1, twos);
    let expected = calm.compute(&program).await.unwrap();
    drop(calm);
    // One that ends in order lets go of the others, who go on reading from one another.
    let modes = [Mode::Encoded, Mode::Grpc];
    for (mode, killed) in modes.into_iter().flat_map(|mode| [(mode, true), (mode, false)]) {
        let mut cluster = Cluster::start(mode, 3).await;
        let job = up_to_the_gate(&mut cluster, &program).await;
        let victim = cluster.workers.remove(1);
        assert!(victim.bytes_held() > 0, "the worker that is killed holds nothing");
        if killed {
            victim.kill();
        } else {
            victim.stop().await;
        }
        drop(victim);
        let scheduler = cluster.scheduler.clone();
        until("the loss is noticed", async || scheduler.state().await.unwrap().workers.len() == 2).await;
        let outputs = cluster.finish(&program, job).await.unwrap();
        assert!(outputs == expected, "{mode:?}: other bits after a loss");
    }
}

#[test]
fn a_worker_whose_runtime_is_dropped_is_lost_at_once() {
    let ours = tokio::runtime::Runtime::new().unwrap();
    let theirs = tokio::runtime::Runtime::new().unwrap();
    let scheduler = ours.block_on(async { SchedulerHandle::start(Limits::default()) });
    let link = Arc::new(scheduler.clone());
    let config = Config::local("w", 1, 1 << 30);
    let worker = theirs.block_on(async {
        let worker = WorkerHandle::start(&config, link, Arc::new(LocalPeers::default())).unwrap();
        worker.joined().await.unwrap();
        worker
    });
    theirs.shutdown_background();
    ours.block_on(until("the loss is noticed", async || scheduler.state().await.unwrap().workers.is_empty()));
    drop(worker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_takes_its_jobs_along() {
    for mode in [Mode::Direct, Mode::Grpc] {
        let cluster = Cluster::start(mode, 1).await;
        let scheduler = cluster.scheduler.clone();
        cluster.submit(&gated_program()).await;
        until("the job is there", async || scheduler.state().await.unwrap().jobs.len() == 1).await;
        let Cluster { session, workers, .. } = cluster;
        drop(session);
        until("the job is gone", async || scheduler.state().await.unwrap().jobs.is_empty()).await;
        until("its chunks are gone", async || workers[0].bytes_held() == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_opens_nothing() {
    let cluster = Cluster::start(Mode::Grpc, 1).await;
    let mut file = cluster.file.clone();
    file.token = file.token.replace(|c: char| c.is_ascii_digit(), "a");
    let why = "the token does not match this cluster's: use the connection file that this scheduler wrote";
    let expected = LinkError::refused(&file.addresses.join(" or "), why);
    assert_eq!(remote::session(&file, LONG).await.unwrap_err(), expected);
    assert_eq!(remote::state(&file, LONG).await.unwrap_err(), expected);
    let link = Arc::new(GrpcLink::new(file.clone()));
    let peers = Arc::new(ChunkClient::new(&file.identity()));
    let worker = WorkerHandle::start(&Config::local("x", 1, 1 << 30), link, peers).unwrap();
    assert_eq!(worker.closed().await, Err(WorkerError::Link(expected)));
    let addresses = cluster.scheduler.state().await.unwrap();
    assert_eq!(addresses.workers.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_of_one_name_do_not_both_join() {
    for mode in [Mode::Direct, Mode::Grpc] {
        let cluster = Cluster::start(mode, 1).await;
        let second = cluster.worker_with("w0", Duration::from_secs(1));
        let end = second.closed().await;
        let Err(WorkerError::Dismissed(why)) = end else { panic!("{mode:?}: {end:?}") };
        assert!(why.contains("w0"), "{why}");
        assert_eq!(cluster.scheduler.state().await.unwrap().workers.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_above_the_limit_is_refused_with_its_size() {
    let mut cluster = Cluster::start(Mode::Grpc, 1).await;
    let path = "p".repeat(60 << 10);
    let read = |i: usize| Node {
        op: Op::Read(
            FileRef { kind: FileKind::Npy, path: format!("{path}{i}"), member: String::new() },
            Stored::Rows,
        ),
        inputs: vec![],
        grid: Grid::whole(&[1]),
        dtype: DType::U8,
    };
    let program = Program { nodes: (0..1200).map(read).collect(), outputs: vec![] };
    let error = cluster.session.link.submit(Arc::new(program)).await.unwrap_err();
    assert!(matches!(error, LinkError::TooLarge(e) if e.limit == 64 << 20), "{error}");
    // One that has to be cut goes through.
    let program = Program { nodes: (0..200).map(read).collect(), outputs: vec![] };
    let job = cluster.submit(&program).await;
    cluster.finish(&program, job).await.unwrap();
}

/// A scheduler on a runtime of its own, which can be dropped as if its process had been killed.
fn apart(bound: Bound, identity: Identity) -> (Runtime, SchedulerHandle) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let scheduler = runtime.block_on(async {
        let scheduler = SchedulerHandle::start(Limits::default());
        serve(&scheduler, bound, identity);
        scheduler
    });
    (runtime, scheduler)
}

#[test]
fn workers_come_back_after_a_crash_and_end_with_the_cluster() {
    let ours = Runtime::new().unwrap();
    let bound = bind("localhost:0").unwrap();
    let listen = bound.addresses()[0].clone();
    let file = ConnectionFile::create(bound.addresses().to_vec(), None, 0).unwrap();
    let (crashing, _) = apart(bound, file.identity());
    let mut config = Config::local("w", 1, 1 << 30);
    config.patience = LONG;
    let peers = Arc::new(ChunkClient::new(&file.identity()));
    let link = Arc::new(GrpcLink::new(file.clone()));
    let worker = ours.block_on(async { WorkerHandle::start(&config, link, peers).unwrap() });
    ours.block_on(worker.joined()).unwrap();
    crashing.shutdown_timeout(LONG);
    ours.block_on(until("the worker knows", async || worker.worker_id().is_none()));
    let (stopping, second) = apart(bind(&listen).unwrap(), file.identity());
    ours.block_on(worker.joined()).unwrap();
    assert_eq!(stopping.block_on(second.state()).unwrap().workers[0].name, "w");
    stopping.block_on(second.stop());
    assert_eq!(ours.block_on(worker.closed()), Ok(()));
}

#[tokio::test]
async fn a_worker_gives_up_a_scheduler_that_does_not_come() {
    let file = ConnectionFile::create(vec!["127.0.0.1:1".into()], None, 0).unwrap();
    let config = Config::local("w", 1, 1 << 30);
    let peers = Arc::new(LocalPeers::default());
    let worker = WorkerHandle::start(&config, Arc::new(GrpcLink::new(file)), peers).unwrap();
    assert!(matches!(worker.closed().await, Err(WorkerError::Alone(..))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_leaves_hands_its_chunks_on() {
    let mut cluster = Cluster::start(Mode::Grpc, 2).await;
    let grid = Grid::regular(&[1000], &[10]);
    let mut b = Build::default();
    let index = b.node(Op::Index { axis: 0 }, &[], &grid, DType::I64);
    let floats = b.node(Op::Cast, &[index], &grid, DType::F64);
    let program = b.output(floats);
    let job = cluster.submit(&program).await;
    cluster.finish(&program, job).await.unwrap();
    let leaver = cluster.workers.remove(0);
    leaver.leave().await.unwrap();
    let mut b = Build::default();
    let held = b.node(Op::Held { job: job.0, output: 0 }, &[], &grid, DType::F64);
    let op = Op::Reduce { fold: Fold::Sum, axes: vec![0] };
    let sum = b.node(op, &[held], &Grid::new(vec![]), DType::F64);
    let program = b.output(sum);
    let second = cluster.submit(&program).await;
    loop {
        // The first job's outputs may be announced again, with their new holders.
        let next = tokio::time::timeout(LONG, cluster.session.updates.recv()).await.unwrap().unwrap();
        let tilework_proto::ToClient::Update { job, update, .. } = next else { panic!("{next:?}") };
        if job == second {
            match update {
                Update::Done { outputs, addresses, .. } => {
                    let holding = &outputs[0][0];
                    let client = ChunkClient::new(&cluster.file.identity());
                    let key = holding.chunks.keys().next().unwrap();
                    let chunk = client.get(&addresses[0].1, key, None, 8).await.unwrap();
                    assert_eq!(f64s(chunk.planes[0].contiguous_bytes().unwrap()), [499_500.0]);
                    return;
                }
                Update::Failed(error) => panic!("{error}"),
                _ => {}
            }
        }
    }
}

/// A worker's way to others that it cannot reach, and how often it was tried.
#[derive(Default)]
struct NoWay(AtomicUsize);

impl Peers for NoWay {
    fn get(&self, _: Wanted) -> BoxFuture<'static, Result<Chunk, Missed>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Err(Missed { away: true, why: "h:1: connection refused".into() })))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_without_a_way_to_one_another_get_their_job_done_all_the_same() {
    let mut cluster = Cluster::start(Mode::Direct, 0).await;
    let no_way = Arc::new(NoWay::default());
    for name in ["w0", "w1"] {
        let link = Arc::new(cluster.scheduler.clone());
        let worker = WorkerHandle::start(&Config::local(name, 1, 1 << 30), link, no_way.clone()).unwrap();
        worker.joined().await.unwrap();
        cluster.workers.push(worker);
    }
    let grid = Grid::regular(&[4000], &[10]);
    let mut b = Build::default();
    let index = b.node(Op::Index { axis: 0 }, &[], &grid, DType::I64);
    let floats = b.node(Op::Cast, &[index], &grid, DType::F64);
    let sum =
        b.node(Op::Reduce { fold: Fold::Sum, axes: vec![0] }, &[floats], &Grid::new(vec![]), DType::F64);
    let outputs = cluster.compute(&b.output(sum)).await.unwrap();
    assert_eq!(f64s(&outputs[0]), [7_998_000.0]);
    assert!(no_way.0.load(Ordering::Relaxed) > 0, "nothing was to be fetched");
}
