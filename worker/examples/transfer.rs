//! How fast a chunk goes from a worker to a client on this host, out of memory or (`network`) over TLS:
//! `cargo run --release -p tilework-worker --example transfer -- 128 10 [network]` (megabytes, times).

use std::sync::Arc;
use std::time::{Duration, Instant};
use tilework_cluster::listen::bind;
use tilework_cluster::security::Identity;
use tilework_expr::{DType, Node, NodeIdx, Op, Program, Scalar};
use tilework_plan::{Grid, Update};
use tilework_proto::ToClient;
use tilework_scheduler::{Limits, SchedulerHandle};
use tilework_worker::{ChunkClient, ChunkService, Config, LocalPeers, WorkerHandle, serve_chunks};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let (megabytes, times) = (args.next().unwrap_or(128), args.next().unwrap_or(10));
    let identity = Identity::create()?;
    let scheduler = SchedulerHandle::start(Limits::default());
    let bound = bind("localhost:0")?;
    let config = Config {
        name: "w".into(),
        threads: 1,
        memory_bytes: 4 << 30,
        spill: tilework_worker::Spill::default(),
        addresses: bound.addresses().to_vec(),
        patience: Duration::ZERO,
        build: None,
        tags: tilework_plan::Tags::new(),
        task_limit: None,
        stop_limit: None,
    };
    let worker = WorkerHandle::start(&config, Arc::new(scheduler.clone()), Arc::new(LocalPeers::default()))?;
    let service = ChunkService::new(&worker, &identity, 4 << 30);
    let served = identity.clone();
    tokio::spawn(async move { serve_chunks(bound, &served, service, std::future::pending()).await });

    let grid = Grid::whole(&[megabytes * 1_000_000 / 8]);
    let node = Node { op: Op::Full(Scalar::new(1.5f64)), inputs: vec![], grid, dtype: DType::F64 };
    let mut session = scheduler.client().await?;
    session.link.submit(Arc::new(Program { nodes: vec![node], outputs: vec![NodeIdx(0)] })).await?;
    let (key, addresses) = loop {
        match session.updates.recv().await {
            Some(ToClient::Update { update: Update::Done { outputs, addresses, .. }, .. }) => {
                let key = outputs[0][0].chunks.keys().next().ok_or("the job has no output")?;
                break (key, addresses[0].1.clone());
            }
            Some(_) => {}
            None => return Err("the scheduler ended".into()),
        }
    };
    let mut client = ChunkClient::new(&identity);
    if std::env::args().any(|a| a == "network") {
        client = client.over_network();
    }
    let mut best = f64::INFINITY;
    for _ in 0..times {
        let started = Instant::now();
        let chunk = client.get(&addresses, key, None, usize::MAX).await?;
        best = best.min(started.elapsed().as_secs_f64());
        assert_eq!(chunk.bytes(), megabytes * 1_000_000);
    }
    println!("{megabytes} MB in {:.1} ms: {:.2} GB/s", best * 1e3, megabytes as f64 / 1e3 / best);
    Ok(())
}
