//! Plans of calls that read arrays, and of arrays that are made of values.

use super::*;
use tilework_expr::{AxisChunks, Calls};

/// Calls that give this, each with its arguments.
fn calls(output: DType, args: &[&[(u32, u64)]]) -> Calls {
    let arg_ends = (1..=args.len()).map(|n| args[..n].iter().map(|a| a.len() as u64).sum());
    Calls {
        kernel: Arc::new(Kernel { params: vec![], output, ..kernel(0) }),
        params: Arc::from([]),
        ends: vec![0; args.len()].into(),
        args: args.concat().into(),
        arg_ends: arg_ends.collect(),
        line: Some("main.rs:1:2".into()),
        terms: None,
        gives: 0,
        takes: false,
    }
}

fn values(n: usize) -> Expr {
    Expr::values(n, 5, Arc::new(())).unwrap()
}

fn whole(array: &Expr) -> Expr {
    array.rechunk(&Chunks::Every(AxisChunks::Whole)).unwrap()
}

#[test]
fn a_call_reads_an_array_that_many_tasks_have_made_as_one_chunk() {
    let x =
        Expr::random(&[6, 4], &[2, 2].into(), DType::F64, 1, Dist::Uniform { low: 0.0, high: 1.0 }).unwrap();
    let x = x.unary(UnaryOp::Sin).unwrap();
    let read =
        Expr::calls(calls(DType::U8, &[&[(0, 0), (1, 2)], &[], &[(0, 0)]]), &[whole(&x), values(3)]).unwrap();
    let plan = plan(&[read]);
    check_both_directions(&plan);
    check_needs(&plan);
    assert_eq!(kinds(&plan), ["elementwise", "rechunk", "values", "call"]);
    let n_tasks = |stage| plan.n_tasks(StageIdx(stage));
    assert_eq!([0, 1, 2, 3].map(n_tasks), [6, 1, 3, 3]);
    // The function gets a copy of the array, and no value counts.
    let scratch = |call| {
        let (stage, call) = (StageIdx(3), ChunkIdx(call));
        let mut inputs = Vec::new();
        plan.inputs_of(stage, call, &mut inputs);
        plan.scratch_bytes(stage, call, &inputs)
    };
    assert_eq!([0, 1, 2].map(scratch), [6 * 4 * 8, 0, 6 * 4 * 8]);
}

#[test]
fn what_is_one_chunk_or_a_view_of_one_is_read_without_a_detour() {
    let of = |array: &Expr| {
        let plan = plan(&[Expr::calls(calls(DType::U8, &[&[(0, 0)]]), &[whole(array)]).unwrap()]);
        check_both_directions(&plan);
        check_needs(&plan);
        kinds(&plan)
    };
    assert_eq!(of(&literal(&[3, 3], &[3, 3], 1)), ["literal", "call"]);
    assert_eq!(of(&literal(&[3, 3], &[1, 3], 1)), ["literal", "rechunk", "call"]);
    let turned = literal(&[3, 3], &[1, 3], 1).reversed_axes().unwrap();
    assert_eq!(of(&turned), ["literal", "rechunk", "call"]);
    // A number, and what nothing has to be read for.
    assert_eq!(
        of(&literal(&[4], &[2], 1).reduce_all(Fold::Sum).unwrap()),
        ["literal", "reduce", "combine", "call"]
    );
    assert_eq!(of(&Expr::full(&[4], &[2].into(), Scalar::new(1.0)).unwrap()), ["elementwise", "call"]);
}

#[test]
fn an_array_in_chunks_is_no_argument() {
    let chunked = literal(&[4], &[2], 1);
    let error = Expr::calls(calls(DType::U8, &[&[(0, 0)]]), &[chunked]).unwrap_err();
    assert!(error.to_string().contains("input 0 has no values, and is no array in one chunk"), "{error}");
}

#[test]
fn an_array_is_made_of_one_value() {
    let array = Expr::from_value(calls(DType::F64, &[&[(0, 2)]]), &values(3), &[4, 2], DType::F64).unwrap();
    let sum = array.unary(UnaryOp::Exp).unwrap().rechunk(&[2, 2].into()).unwrap();
    let both = [sum, array.reduce_all(Fold::Max).unwrap()];
    let lowered = lowered(&both);
    let plan = &lowered.plan;
    check_both_directions(plan);
    check_needs(plan);
    assert_eq!(&kinds(plan)[..2], ["values", "from_future"]);
    let made = plan.stage(StageIdx(1));
    assert!(!made.fails_alone && !made.is_measured() && made.calls.as_ref().unwrap().line.is_some());
    assert_eq!(plan.out_bytes(StageIdx(1), ChunkIdx(0)), 4 * 2 * 8);
    assert!(plan.needs()[0].contains(ChunkIdx(2)) && !plan.needs()[0].contains(ChunkIdx(0)));
    assert_eq!(lowered.describe(StageIdx(1)), "from_future(#0)");
    // A number, and an array of calls' values.
    let called = Expr::calls(calls(DType::U8, &[&[]]), &[]).unwrap();
    let number = Expr::from_value(calls(DType::I64, &[&[(0, 0)]]), &called, &[], DType::I64).unwrap();
    let plan = self::plan(&[number]);
    check_both_directions(&plan);
    check_needs(&plan);
    assert_eq!(kinds(&plan), ["call", "from_future"]);
}

#[test]
fn what_is_not_one_value_makes_no_array() {
    let why = |calls, of: &Expr, dtype| Expr::from_value(calls, of, &[2], dtype).unwrap_err().to_string();
    let (three, array) = (values(3), literal(&[2], &[2], 1));
    assert!(why(calls(DType::F64, &[&[(0, 3)]]), &three, DType::F64).contains("value 3 of input 0"));
    assert!(
        why(calls(DType::F64, &[&[(0, 0), (0, 1)]]), &three, DType::F64).contains("expected one of each")
    );
    assert!(why(calls(DType::F64, &[&[(0, 0)], &[]]), &three, DType::F64).contains("expected one of each"));
    assert!(why(calls(DType::F64, &[&[(0, 0)]]), &array, DType::F64).contains("expected one of each"));
    assert!(why(calls(DType::U8, &[&[(0, 0)]]), &three, DType::F64).contains("not one of values"));
    // An array is no value: nothing else reads one.
    let error = Program::new(&[three.unary(UnaryOp::Not).unwrap()]).check().unwrap_err();
    assert!(error.to_string().contains("values are read by calls and tables alone"), "{error}");
}
