//! What kernels refuse.

use crate::harness::{Lay, POOLS, literal, plane_of, run};
use crate::views::chunks;
use ndarray::{ArrayD, IxDyn};
use std::sync::atomic::AtomicBool;
use tilework_expr::{BinaryOp, Fold, Lowered, Program};
use tilework_kernels::{Chunk, Feed, KernelError, execute};
use tilework_plan::{ChunkIdx, StageIdx};

fn ints(n: usize, f: impl Fn(usize) -> i64) -> ArrayD<i64> {
    ArrayD::from_shape_fn(IxDyn(&[n]), |i| f(i[0]))
}

#[test]
fn integers_are_not_divided_by_zero() {
    let x = literal(&ints(3000, |i| i as i64), &chunks(&[1000]));
    let y = literal(&ints(3000, |i| 2500 - i as i64), &chunks(&[1000]));
    for op in [BinaryOp::Div, BinaryOp::Rem] {
        let e = x.binary(op, &y).unwrap();
        let error = KernelError::Operation("attempt to divide by zero".into());
        assert_eq!(run(&e, Lay::Rows, &POOLS[1]).unwrap_err(), error);
        assert_eq!(run(&e.reduce_all(Fold::Sum).unwrap(), Lay::Rows, &POOLS[2]).unwrap_err(), error);
    }
    let least = literal(&ints(1, |_| i64::MIN), &chunks(&[1]));
    let minus = literal(&ints(1, |_| -1), &chunks(&[1]));
    crate::harness::check(&least.binary(BinaryOp::Div, &minus).unwrap(), &ints(1, |_| i64::MIN));
    crate::harness::check(&least.binary(BinaryOp::Rem, &minus).unwrap(), &ints(1, |_| 0));
}

#[test]
fn feeds_must_cover_and_fit() {
    let x = ints(10, |i| i as i64);
    let e = literal(&x, &chunks(&[5]));
    let sum = e.binary(BinaryOp::Add, &e).unwrap().rechunk(&chunks(&[10])).unwrap();
    let lowered = Lowered::of(&Program::new(&[sum])).unwrap();
    let stage = lowered.plan.outputs[0];
    let feed = |range: std::ops::Range<usize>| Feed {
        slot: 0,
        chunk_idx: ChunkIdx(0),
        region: vec![range.clone()],
        chunk: Chunk { planes: vec![plane_of(&x).slice(&[range])] },
    };
    let go = |feeds: &[Feed]| execute(&lowered, stage, ChunkIdx(0), feeds, &AtomicBool::new(false));
    assert!(go(&[feed(0..5), feed(5..10)]).is_ok());
    let missing = go(&[feed(0..5), feed(5..9)]).unwrap_err();
    assert!(matches!(missing, KernelError::MissingInput { got: 9, expected: 10, .. }), "{missing}");
    assert!(matches!(go(&[feed(0..6), feed(5..9)]).unwrap_err(), KernelError::BadFeed { .. }));
    let mut wrong = feed(0..10);
    wrong.chunk = Chunk { planes: vec![plane_of(&x.mapv(|i| i as f64))] };
    assert!(matches!(go(&[wrong]).unwrap_err(), KernelError::BadFeed { .. }));
    let mut wrong = feed(0..10);
    wrong.region[0].end = 11;
    assert!(matches!(go(&[wrong]).unwrap_err(), KernelError::BadFeed { .. }));
    assert!(matches!(go(&[]).unwrap_err(), KernelError::MissingInput { .. }));
    let stopped = execute(&lowered, stage, ChunkIdx(0), &[feed(0..10)], &AtomicBool::new(true)).unwrap_err();
    assert_eq!(stopped, KernelError::Stopped);
    let literal = execute(&lowered, StageIdx(0), ChunkIdx(0), &[], &AtomicBool::new(false)).unwrap_err();
    assert_eq!(literal, KernelError::NoKernel("literal"));
}
