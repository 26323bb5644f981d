//! The hand-framed chunk service against the generated one's client, and its refusals.

use crate::support::{Build, Cluster, Mode};
use tilework_cluster::security::TokenAttach;
use tilework_cluster::transport::connect;
use tilework_expr::{DType, Op};
use tilework_kernels::Chunk;
use tilework_plan::{ChunkIdx, Grid, JobId, LeaseId, Part, StageIdx, TaskKey, Update};
use tilework_proto::Wire;
use tilework_proto::wire::{ChunkHeader, ChunkPart, ChunkRequest, chunk_part, chunks_client::ChunksClient};
use tilework_worker::{ChunkClient, TransferError};

struct Held {
    cluster: Cluster,
    addresses: Vec<String>,
    key: TaskKey,
}

/// A cluster that holds one chunk: 1000 × 500 numbers, each its row.
async fn held() -> Held {
    let mut cluster = Cluster::start(Mode::Grpc, 1).await;
    let grid = Grid::regular(&[3000, 500], &[1000, 500]);
    let mut b = Build::default();
    let index = b.node(Op::Index { axis: 0 }, &[], &grid, DType::I64);
    let program = b.output(index);
    let job = cluster.submit(&program).await;
    loop {
        if let Update::Done { outputs, addresses, .. } = cluster.next_update(&program, job).await {
            let first = outputs[0][0].chunks.keys().next().unwrap();
            let key = TaskKey { chunk: ChunkIdx(1), ..first };
            return Held { cluster, addresses: addresses[0].1.clone(), key };
        }
    }
}

fn i64s(chunk: &Chunk) -> Vec<i64> {
    chunk.planes[0].to_contiguous().as_slice::<i64>().unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_and_boxes_of_them_arrive_whole() {
    let Held { cluster, addresses, key } = held().await;
    let near = ChunkClient::new(&cluster.file.identity());
    for client in [near.clone().over_network(), near] {
        arrive_whole(&client, &addresses, key).await;
    }
}

async fn arrive_whole(client: &ChunkClient, addresses: &[String], key: TaskKey) {
    let whole = client.get(addresses, key, None, 1 << 30).await.unwrap();
    let expected: Vec<i64> = (1000..2000).flat_map(|i| std::iter::repeat_n(i, 500)).collect();
    assert_eq!(i64s(&whole), expected);
    let part = client.get(addresses, key, Some(&Part::Box(vec![1990..1993, 7..9])), 1 << 30).await.unwrap();
    assert_eq!(i64s(&part), [1990, 1990, 1991, 1991, 1992, 1992]);
    let many = (0..32).map(|_| client.get(addresses, key, None, 1 << 30));
    let many: Vec<_> = many.collect();
    for got in many {
        assert_eq!(i64s(&got.await.unwrap()), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generated_client_understands_the_service() {
    let Held { cluster, addresses, key } = held().await;
    let identity = cluster.file.identity();
    let channel = connect(&addresses, &identity, crate::support::LONG).await.unwrap();
    let mut client = ChunksClient::with_interceptor(channel, TokenAttach::new(&identity));
    let request = ChunkRequest { key: Some(key.to_wire()), ..ChunkRequest::default() };
    let mut parts = client.get(request).await.unwrap().into_inner();
    let Some(ChunkPart { kind: Some(chunk_part::Kind::Header(header)) }) = parts.message().await.unwrap()
    else {
        panic!("expected a header");
    };
    assert_eq!(header.shape, [1000, 500]);
    let mut bytes = Vec::new();
    while let Some(ChunkPart { kind: Some(chunk_part::Kind::Data(data)) }) = parts.message().await.unwrap() {
        bytes.extend_from_slice(&data);
    }
    let chunk = Chunk::from_bytes(&[DType::I64], &[1000, 500], &bytes).unwrap();
    assert_eq!(i64s(&chunk)[499_999], 1999);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_or_not_wanted_is_refused() {
    let Held { cluster, addresses, key } = held().await;
    let identity = cluster.file.identity();
    let client = ChunkClient::new(&identity);
    let absent = TaskKey { job: JobId(99), stage: StageIdx(0), chunk: ChunkIdx(4) };
    let refused = |e: TransferError| match e {
        TransferError::Refused(status) => status.message().to_owned(),
        other => panic!("{other:?}"),
    };
    let error = client.get(&addresses, absent, None, 1 << 30).await.unwrap_err();
    assert_eq!(refused(error), "no chunk 4 of stage 0 of job 99 here");
    let error = client.get(&addresses, key, Some(&Part::Box(vec![0..1, 0..1])), 1 << 30).await.unwrap_err();
    assert_eq!(refused(error), "box [0..1, 0..1] leaves the chunk's, [1000..2000, 0..500]");
    let error = client.get(&addresses, key, None, 1000).await.unwrap_err();
    assert_eq!(error.to_string(), "a chunk of 4000000 bytes, expected at most 1000");
    let mut stranger = identity.clone();
    stranger.token = "0".repeat(64);
    let error = ChunkClient::new(&stranger).get(&addresses, key, None, 1 << 30).await.unwrap_err();
    assert!(refused(error).starts_with("the token does not match"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_for_no_lease_or_above_the_limit_is_not_taken() {
    let Held { cluster, addresses, key } = held().await;
    let identity = cluster.file.identity();
    let chunk = Chunk::from_bytes(&[DType::U8], &[3], &[1, 2, 3]).unwrap();
    let client = ChunkClient::new(&identity);
    let error = client.put(&addresses, LeaseId(u64::MAX), key, &chunk).await.unwrap_err();
    assert_eq!(error.to_string(), "no lease 18446744073709551615 of a literal here");
    // The size is refused before anything is allocated or sent.
    let channel = connect(&addresses, &identity, crate::support::LONG).await.unwrap();
    let mut generated = ChunksClient::with_interceptor(channel, TokenAttach::new(&identity));
    let header = ChunkHeader {
        planes: vec![12],
        shape: vec![1 << 50],
        lease: 1,
        key: Some(key.to_wire()),
        ..ChunkHeader::default()
    };
    let parts = tokio_stream::once(ChunkPart { kind: Some(chunk_part::Kind::Header(header)) });
    let status = generated.put(parts).await.unwrap_err();
    assert_eq!(status.message(), "a chunk of 18014398509481984 bytes, expected at most 1073741824");
}

#[tokio::test]
async fn those_who_want_a_connection_share_one_attempt() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = vec![listener.local_addr().unwrap().to_string()];
    let attempts = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = attempts.clone();
    // It hangs up on whoever comes.
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let client = ChunkClient::new(&tilework_cluster::security::Identity::create().unwrap());
    let key = TaskKey { job: JobId(1), stage: StageIdx(0), chunk: ChunkIdx(0) };
    for round in 1..3 {
        let mut gets = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (client, addresses) = (client.clone(), addresses.clone());
            gets.spawn(async move { client.get(&addresses, key, None, 1).await });
        }
        while let Some(got) = gets.join_next().await {
            assert!(matches!(got.unwrap(), Err(TransferError::Connect(_))));
        }
        assert_eq!(attempts.load(std::sync::atomic::Ordering::Relaxed), round);
    }
}
