//! What the token does not give: the memory of other processes, the leases of other clients, all places of a worker.

use crate::support::{Build, Cluster, LONG, Mode, f64s, of_f64s};
use std::collections::BTreeSet;
use tilework_cluster::door::Room;
use tilework_cluster::security::TokenAttach;
use tilework_cluster::transport::connect;
use tilework_expr::{DType, Op, Program};
use tilework_plan::{Grid, LeaseId, TaskKey, Update};
use tilework_proto::wire::chunks_client::ChunksClient;
use tilework_proto::wire::{ChunkHeader, ChunkPart, ChunkRequest, IntroduceRequest, PlaneMemory, chunk_part};
use tilework_proto::{ToClient, Wire};
use tilework_worker::{ChunkClient, Spill, TransferError};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Status};

type Chunks = ChunksClient<InterceptedService<Channel, TokenAttach>>;

const N_CHUNKS: usize = 24;
const CHUNK: usize = 20_000;

/// A literal of 24 chunks, each element its index.
fn literal(id: u64) -> Program {
    let grid = Grid::regular(&[N_CHUNKS * CHUNK], &[CHUNK]);
    let mut b = Build::default();
    let a = b.node(Op::Literal { id }, &[], &grid, DType::F64);
    b.output(a)
}

fn fill(region: &[std::ops::Range<usize>]) -> tilework_kernels::Chunk {
    let values: Vec<f64> = region[0].clone().map(|i| i as f64).collect();
    of_f64s(&values, &[values.len()])
}

/// A chunk that a worker waits for.
#[derive(Clone, Debug)]
struct Wanted {
    lease: LeaseId,
    key: TaskKey,
    addresses: Vec<String>,
}

/// What is asked of the cluster's client until it was asked for this many chunks.
async fn wanted(cluster: &mut Cluster, at_least: usize) -> Vec<Wanted> {
    let mut all = Vec::new();
    while all.len() < at_least {
        let next = tokio::time::timeout(LONG, cluster.session.updates.recv()).await.unwrap();
        if let Some(ToClient::Update { update: Update::Upload { lease, tasks, addresses, .. }, .. }) = next {
            all.extend(tasks.keys().map(|key| Wanted { lease, key, addresses: addresses.clone() }));
        }
    }
    all
}

async fn raw(cluster: &Cluster, addresses: &[String]) -> Chunks {
    let identity = cluster.file.identity();
    let channel = connect(addresses, &identity, LONG).await.unwrap();
    ChunksClient::with_interceptor(channel, TokenAttach::new(&identity))
}

fn header(wanted: &Wanted) -> ChunkHeader {
    ChunkHeader {
        planes: vec![u32::from(DType::F64.code())],
        shape: vec![CHUNK as u64],
        lease: wanted.lease.0,
        key: Some(wanted.key.to_wire()),
        ..ChunkHeader::default()
    }
}

fn part(header: ChunkHeader) -> ChunkPart {
    ChunkPart { kind: Some(chunk_part::Kind::Header(header)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_say_nothing_keep_nobody_from_putting() {
    let mut cluster = Cluster::start(Mode::Grpc, 1).await;
    cluster.literals.insert(1, fill);
    let program = literal(1);
    let job = cluster.submit(&program).await;
    let wanted = wanted(&mut cluster, 1).await;
    let mut silent = JoinSet::new();
    let client = raw(&cluster, &wanted[0].addresses).await;
    // Puts without a word, puts of what is wanted without a byte, and each of those again.
    for i in 0..64 {
        let (mut client, header) = (client.clone(), header(&wanted[i / 2 % wanted.len()]));
        silent.spawn(async move {
            let head = tokio_stream::iter((i % 2 == 0).then(|| part(header)));
            client.put(head.chain(tokio_stream::pending())).await
        });
    }
    // Those that were put again by another call are told so: all have come.
    for _ in 0..32 - wanted.len() {
        let status = silent.join_next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Aborted, "{status}");
    }
    let owner = ChunkClient::new(&cluster.file.identity()).over_network();
    for Wanted { lease, key, addresses } in wanted {
        let chunk = fill(&program.node(program.outputs[0]).grid.region(key.chunk));
        let put = tokio::time::timeout(LONG / 3, owner.put(&addresses, lease, key, &chunk)).await;
        put.expect("it gets its turn").unwrap();
    }
    let got = cluster.finish(&program, job).await.unwrap();
    assert!(f64s(&got[0]).iter().enumerate().all(|(i, &x)| x == i as f64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_take_nothing_keep_nobody_from_reading() {
    let mut cluster = Cluster::start(Mode::Grpc, 1).await;
    // 4 MB: the window of a connection is full after a few of them.
    let grid = Grid::regular(&[4000, 500], &[1000, 500]);
    let mut b = Build::default();
    let index = b.node(Op::Index { axis: 0 }, &[], &grid, DType::I64);
    let program = b.output(index);
    let job = cluster.submit(&program).await;
    let (key, addresses) = loop {
        if let Update::Done { outputs, addresses, .. } = cluster.next_update(&program, job).await {
            break (outputs[0][0].chunks.keys().next().unwrap(), addresses[0].1.clone());
        }
    };
    let client = raw(&cluster, &addresses).await;
    let request = ChunkRequest { key: Some(key.to_wire()), ..ChunkRequest::default() };
    let mut asked = JoinSet::new();
    for _ in 0..300 {
        let (mut client, request) = (client.clone(), request.clone());
        asked.spawn(async move { client.get(request).await });
    }
    // As many as there are places have begun; what they send is not taken.
    let mut begun = Vec::new();
    while begun.len() < 256 {
        begun.push(asked.join_next().await.unwrap().unwrap().unwrap());
    }
    let other = ChunkClient::new(&cluster.file.identity()).over_network();
    let got = tokio::time::timeout(LONG / 3, other.get(&addresses, key, None, 1 << 30)).await;
    assert_eq!(got.expect("it gets its turn").unwrap().bytes(), 4_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_of_others_cannot_be_guessed() {
    let mut cluster = Cluster::start(Mode::Grpc, 1).await;
    cluster.literals.insert(1, fill);
    let program = literal(1);
    let job = cluster.submit(&program).await;
    let wanted = wanted(&mut cluster, 1).await;
    let first = &wanted[0];
    let own: BTreeSet<u64> = wanted.iter().map(|w| w.lease.0).collect();
    // What somebody would try: those that are small, and those that are near to one of its own.
    let near = (0..64).flat_map(|i| [first.lease.0.wrapping_add(i), first.lease.0.wrapping_sub(i)]);
    let guesses: BTreeSet<u64> = (0..64).chain(near).filter(|l| *l != first.lease.0).collect();
    assert!(own.is_disjoint(&guesses), "{own:?}");
    let stranger = ChunkClient::new(&cluster.file.identity());
    let wrong = of_f64s(&vec![-1.0; CHUNK], &[CHUNK]);
    let mut puts = JoinSet::new();
    for lease in guesses {
        let (stranger, wrong, Wanted { key, addresses, .. }) =
            (stranger.clone(), wrong.clone(), first.clone());
        puts.spawn(async move { stranger.put(&addresses, LeaseId(lease), key, &wrong).await });
    }
    while let Some(put) = puts.join_next().await {
        let error = put.unwrap().unwrap_err();
        assert!(matches!(error, TransferError::Refused(_)), "{error}");
    }
    // Who has the lease puts what it is for.
    for Wanted { lease, key, addresses } in wanted {
        let chunk = fill(&program.node(program.outputs[0]).grid.region(key.chunk));
        stranger.put(&addresses, lease, key, &chunk).await.unwrap();
    }
    let got = cluster.finish(&program, job).await.unwrap();
    assert!(f64s(&got[0]).iter().enumerate().all(|(i, &x)| x == i as f64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_that_its_owner_did_not_grant_is_not_read_for_anybody() {
    let mut cluster = Cluster::start(Mode::Grpc, 1).await;
    cluster.literals.insert(1, fill);
    let program = literal(1);
    let job = cluster.submit(&program).await;
    let wanted = wanted(&mut cluster, 1).await;
    let mut client = raw(&cluster, &wanted[0].addresses).await;
    let worker = client.introduce(IntroduceRequest {}).await.unwrap().into_inner();
    assert!(!worker.host.is_empty() && worker.nonce.len() == 32, "{worker:?}");
    // A process of this user, and something in it that is no chunk.
    let secret = vec![42.0f64; CHUNK];
    let mut forged = worker.nonce.to_vec();
    (0..8).for_each(|_| forged.extend([0u64.to_ne_bytes(), u64::MAX.to_ne_bytes()].concat()));
    let place = PlaneMemory { address: secret.as_ptr() as u64, strides: vec![8] };
    let mut named = ChunkHeader {
        host: worker.host,
        process: std::process::id(),
        memory: vec![place],
        ..header(&wanted[0])
    };
    let mut refused = async |header: &ChunkHeader| -> Status {
        client.put(tokio_stream::once(part(header.clone()))).await.unwrap_err()
    };
    for grant in [0, secret.as_ptr() as u64, forged.as_ptr() as u64] {
        named.grant = grant;
        let status = refused(&named).await;
        assert_eq!(status.code(), Code::Unimplemented, "{status}");
        assert!(status.message().starts_with("cannot read the client's memory: "), "{status}");
    }
    named.host.push('x');
    assert_eq!(refused(&named).await.message(), "the client's memory is not on this machine");
    // The same client's own chunk is read in its place, or comes over the network; either is what it put.
    let owner = ChunkClient::new(&cluster.file.identity());
    for Wanted { lease, key, addresses } in wanted {
        let chunk = fill(&program.node(program.outputs[0]).grid.region(key.chunk));
        owner.put(&addresses, lease, key, &chunk).await.unwrap();
    }
    let got = cluster.finish(&program, job).await.unwrap();
    assert!(f64s(&got[0]).iter().enumerate().all(|(i, &x)| x == i as f64));
}

/// Waits until a stranger that comes now is turned out: until everybody's time is over who came before.
async fn time_is_over(address: &str) {
    use tokio::io::AsyncReadExt;
    let mut stranger = tokio::net::TcpStream::connect(address).await.unwrap();
    let end = tokio::time::timeout(LONG, stranger.read(&mut [0; 64])).await;
    assert!(matches!(end.unwrap(), Ok(0) | Err(_)), "a stranger is told something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_those_with_the_token_outlast_the_time_for_strangers() {
    let first_request_max = std::time::Duration::from_secs(1);
    let room = Room { connections_max: 64, strangers_max: 16, first_request_max };
    let mut cluster = Cluster::start_with(Mode::Grpc, 1, Some(room), 1 << 30, &Spill::default()).await;
    cluster.literals.insert(1, fill);
    let program = literal(1);
    let job = cluster.submit(&program).await;
    let wanted = wanted(&mut cluster, 1).await;
    let at_worker = &wanted[0].addresses;
    // A put that goes on for longer, over a connection of its own.
    let (sender, parts) = tokio::sync::mpsc::channel(1);
    let mut client = raw(&cluster, at_worker).await;
    sender.send(part(header(&wanted[0]))).await.unwrap();
    let put =
        tokio::spawn(async move { client.put(tokio_stream::wrappers::ReceiverStream::new(parts)).await });
    time_is_over(&at_worker[0]).await;
    time_is_over(&cluster.file.addresses[0]).await;
    let chunk = fill(&program.node(program.outputs[0]).grid.region(wanted[0].key.chunk));
    let bytes = chunk.planes[0].contiguous_bytes().unwrap().to_vec();
    sender.send(ChunkPart { kind: Some(chunk_part::Kind::Data(bytes.into())) }).await.unwrap();
    drop(sender);
    put.await.unwrap().unwrap();
    // The client's session and the worker's are the same as before.
    let owner = ChunkClient::new(&cluster.file.identity());
    for Wanted { lease, key, addresses } in wanted.into_iter().skip(1) {
        let chunk = fill(&program.node(program.outputs[0]).grid.region(key.chunk));
        owner.put(&addresses, lease, key, &chunk).await.unwrap();
    }
    let got = cluster.finish(&program, job).await.unwrap();
    assert!(f64s(&got[0]).iter().enumerate().all(|(i, &x)| x == i as f64));
}
