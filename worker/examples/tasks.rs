//! What a task costs beside its kernel, scheduler and worker in one process:
//! `cargo run --release -p tilework-worker --example tasks -- 100000 2` (tasks, threads).

use std::sync::Arc;
use std::time::Instant;
use tilework_expr::{DType, Fold, Node, NodeIdx, Op, Program, Scalar};
use tilework_plan::{Grid, Update};
use tilework_proto::ToClient;
use tilework_scheduler::{Limits, SchedulerHandle};
use tilework_worker::{Config, LocalPeers, WorkerHandle};

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let (n, threads) = (args.next().unwrap_or(100_000), args.next().unwrap_or(2));
    let scheduler = SchedulerHandle::start(Limits { silence_max_us: None, ..Limits::default() });
    let config = Config::local("w", threads, 4 << 30);
    let peers = Arc::new(LocalPeers::default());
    let worker = WorkerHandle::start(&config, Arc::new(scheduler.clone()), peers)?;
    worker.joined().await?;
    let node = |op, inputs, grid| Node { op, inputs, grid, dtype: DType::F64 };
    let ones = node(Op::Full(Scalar::new(1.0f64)), vec![], Grid::regular(&[n * 8], &[8]));
    let fold = Op::Reduce { fold: Fold::Sum, axes: vec![0] };
    let sum = node(fold, vec![NodeIdx(0)], Grid::new(vec![]));
    let program = Arc::new(Program { nodes: vec![ones, sum], outputs: vec![NodeIdx(1)] });
    let mut session = scheduler.client().await?;
    for _ in 0..3 {
        let started = Instant::now();
        let job = session.link.submit(program.clone()).await?;
        let mut tasks = 0;
        loop {
            match session.updates.recv().await {
                Some(ToClient::Update { update: Update::Done { .. }, .. }) => break,
                Some(ToClient::Update { update: Update::Progress { total, .. }, .. }) => tasks = total,
                other => return Err(format!("expected the end of the job, got {other:?}").into()),
            }
        }
        let us = started.elapsed().as_micros() as f64;
        println!("{tasks} tasks in {:.1} ms: {:.2} µs a task", us / 1e3, us / tasks as f64);
        session.link.release(job).await?;
    }
    Ok(())
}
