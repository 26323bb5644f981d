//! Messages above the limit of one are cut and put together; above the limit of all they are refused.

use tilework_expr::{DType, Node, NodeIdx, Op, Program};

use tilework_plan::{
    AxisGrid, ChunkIdx, Figures, Grid, Holding, JobId, StageIdx, TaskRange, Update, WorkerId,
};
use tilework_proto::fragment::{StreamItem, through_wire};
use tilework_proto::limits::{ASSEMBLED_BYTES_MAX, FRAGMENT_BYTES_MAX, MESSAGE_BYTES_MAX};
use tilework_proto::{Assembler, DecodeError, FromClient, ToClient, split, wire};

fn done(n: u64) -> ToClient {
    let holding = |i: u64| Holding {
        chunks: TaskRange { job: JobId(1 << 40), stage: StageIdx(1), chunks: i..i + 1 },
        worker: WorkerId(i as u32 % 7),
    };
    let update = Update::Done {
        outputs: vec![(0..n).map(holding).collect()],
        addresses: vec![],
        figures: Figures::default(),
    };
    ToClient::Update { job: JobId(1 << 40), update, inlined: vec![] }
}

/// A program with an axis cut by hand into `n` chunks.
fn uneven(n: usize) -> FromClient {
    let lens: Vec<usize> = (0..n).map(|i| 1 + i % 100_000).collect();
    let grid = Grid::new(vec![AxisGrid::explicit(&lens)]);
    let node = Node { op: Op::Literal { id: 1 }, inputs: vec![], grid, dtype: DType::U8 };
    let program = Program { nodes: vec![node], outputs: vec![NodeIdx(0)] };
    FromClient::Submit { job: JobId(1), program: program.into() }
}

const _: () = assert!(FRAGMENT_BYTES_MAX + 64 <= MESSAGE_BYTES_MAX);

#[test]
fn large_messages_arrive_in_messages_within_the_limit() {
    let message = done(500_000);
    let pieces = split(&message).unwrap();
    assert!(pieces.len() > 4, "{}", pieces.len());
    for piece in &pieces {
        let bytes = prost::Message::encoded_len(piece);
        assert!(bytes <= FRAGMENT_BYTES_MAX + 64, "{bytes}");
    }
    assert_eq!(through_wire(&message).unwrap(), message);
    let program = uneven(1_000_000);
    assert!(split(&program).unwrap().len() > 1);
    assert_eq!(through_wire(&program).unwrap(), program);
    assert_eq!(split(&done(3)).unwrap().len(), 1);
}

#[test]
fn a_message_above_the_limit_says_its_size_and_the_limit() {
    let error = split(&uneven(30_000_000)).unwrap_err();
    assert_eq!(error.limit, ASSEMBLED_BYTES_MAX);
    let expected = format!("a message of {} bytes is above the limit of 67108864", error.bytes);
    assert_eq!(error.to_string(), expected);
}

#[test]
fn fragments_without_an_end_are_refused_at_the_limit() {
    let mut assembler = Assembler::<ToClient>::default();
    let data = bytes::Bytes::from(vec![0; 16 << 20]);
    let fragment = || {
        let fragment = wire::Fragment { data: data.clone(), last: false };
        wire::ClientUpdate { kind: Some(wire::client_update::Kind::Fragment(fragment)) }
    };
    for _ in 0..ASSEMBLED_BYTES_MAX / data.len() {
        assert!(matches!(assembler.push(fragment().into_item()), Ok(None)));
    }
    assert!(matches!(assembler.push(fragment().into_item()), Err(DecodeError::TooLarge { .. })));
}

#[test]
fn a_whole_message_within_a_cut_one_is_refused() {
    let mut assembler = Assembler::<ToClient>::default();
    let mut pieces = split(&done(200_000)).unwrap();
    assert!(matches!(assembler.push(pieces.remove(0).into_item()), Ok(None)));
    let whole = split(&done(ChunkIdx(1).0)).unwrap().remove(0);
    assert!(matches!(assembler.push(whole.into_item()), Err(DecodeError::Unexpected { .. })));
}
