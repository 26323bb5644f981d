//! What is refused, and in which words.

use prost::Message;
use tilework_expr::{Halo, Kernel, Program};
use tilework_plan::{Report, TaskRange};
use tilework_proto::{Wire, decode, wire};

fn program(axis: wire::Axis, node: wire::Node) -> String {
    let message = wire::Program { nodes: vec![node], outputs: vec![0], axes: vec![axis] };
    decode::<Program>(&message.encode_to_vec()).expect_err("the program makes no sense").to_string()
}

fn literal(axes: &[u32]) -> wire::Node {
    let op = Some(wire::node::Op::Literal(1));
    wire::Node { inputs: vec![], axes: axes.to_vec(), dtype: 10, op }
}

fn regular(len: u64, chunk: u64) -> wire::Axis {
    wire::Axis { len, chunk, lens: vec![] }
}

#[test]
fn programs_that_make_no_sense_say_why() {
    let good = regular(10, 3);
    let with_op = |op| wire::Node { op: Some(op), ..literal(&[0]) };
    let cases = [
        (regular(10, 11), literal(&[0]), "axis: chunks of 11 along an axis of 10"),
        (regular(10, 0), literal(&[0]), "axis: no chunks"),
        (
            wire::Axis { len: 0, chunk: 0, lens: vec![u64::MAX, 2] },
            literal(&[0]),
            "axis: got 18446744073709551615, expected at most 9223372036854775807",
        ),
        (good.clone(), literal(&[1]), "axis number: got 1, expected at most 1"),
        (good.clone(), literal(&[0; 33]), "axes: got 33, expected at most 32"),
        (
            regular(1 << 32, 1),
            literal(&[0, 0]),
            "chunks of one array: got 18446744073709551615, expected at most 281474976710656",
        ),
        (
            regular(1 << 40, 1 << 40),
            literal(&[0, 0]),
            "an array of shape [1099511627776, 1099511627776] with 8-byte elements has more bytes than an address \
             can hold",
        ),
        (
            good.clone(),
            wire::Node { dtype: 13, ..literal(&[0]) },
            "element type: got code 13, expected one below 13",
        ),
        (good.clone(), wire::Node { op: None, ..literal(&[0]) }, "operation is missing"),
        (
            good.clone(),
            wire::Node { inputs: vec![0], ..with_op(wire::node::Op::Rechunk(wire::Empty {})) },
            "node 0 of the program: an input does not come before it",
        ),
        (
            good.clone(),
            with_op(wire::node::Op::Unary(99)),
            "unary operation: got code 99, expected one below 42",
        ),
        (
            good.clone(),
            with_op(wire::node::Op::Read(wire::Read {
                file: Some(wire::File::default()),
                stored: 3,
                lens: vec![],
            })),
            "way of storing: got code 3, expected one below 3",
        ),
        (
            good,
            with_op(wire::node::Op::Write(wire::File {
                kind: 5,
                path: String::new(),
                member: String::new(),
            })),
            "file format: got code 5, expected one below 5",
        ),
    ];
    for (axis, node, expected) in cases {
        assert_eq!(program(axis, node), expected);
    }
}

#[test]
fn functions_that_make_no_sense_say_why() {
    let good = wire::Kernel { build: "0f".into(), name: "f".into(), output: 10, ..wire::Kernel::default() };
    let why = |change: fn(&mut wire::Kernel)| {
        let mut message = good.clone();
        change(&mut message);
        Kernel::from_wire(message).unwrap_err().to_string()
    };
    assert!(Kernel::from_wire(good.clone()).is_ok());
    assert_eq!(why(|k| k.build = "0g".into()), "build: not of hexadecimal digits");
    assert_eq!(why(|k| k.build = "a".repeat(129)), "digits of a build: got 129, expected at most 128");
    assert_eq!(why(|k| k.inputs = vec![1; 33]), "arguments of a function: got 33, expected at most 32");
    assert_eq!(why(|k| k.inputs = vec![13]), "element type: got code 13, expected one below 13");
    assert_eq!(
        why(|k| k.params = vec![0; 65537].into()),
        "bytes of parameters: got 65537, expected at most 65536"
    );
    let halo = |boundary| Halo::from_wire(wire::Halo { before: 1, after: 0, boundary, value: None });
    assert_eq!(halo(5).unwrap_err().to_string(), "boundary: got code 5, expected one below 5");
    assert_eq!(halo(4).unwrap_err().to_string(), "value of a boundary is missing");
}

#[test]
fn messages_that_make_no_sense_say_why() {
    let range = wire::TaskRange { job: 1, stage: 0, start: 5, end: 4 };
    assert_eq!(TaskRange::from_wire(range).unwrap_err().to_string(), "task range: 5 to 4");
    assert_eq!(decode::<Report>(&[]).unwrap_err().to_string(), "report is missing");
    let done = wire::Report { kind: Some(wire::report::Kind::Done(wire::ReportDone::default())) };
    assert_eq!(Report::from_wire(done).unwrap_err().to_string(), "tasks is missing");
}
