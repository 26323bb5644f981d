//! Plans of queries on tables: which task of a stage reads what, and what is refused.

use super::*;
use std::ops::Range;
use tilework_expr::{TableHow, TableRead, TableStage};
use tilework_plan::{AxisGrid, Grid, InputMap, Sizes, Terms};

fn stage(gives: u32, reads: &[(TableHow, Range<u64>)]) -> TableStage {
    TableStage {
        payload: Arc::from([1, 2]),
        gives,
        reads: reads.iter().map(|(how, tasks)| TableRead::of(*how, tasks.clone())).collect(),
        bytes_guess: 1000,
        name: "join".into(),
        terms: Some(Arc::new(Terms { memory_bytes: 64, ..Terms::default() })),
        kernel: None,
    }
}

fn scan(n: usize, gives: u32) -> Expr {
    Expr::table(stage(gives, &[]), n, &[]).unwrap()
}

#[test]
fn a_stage_reads_blocks_of_one_input_and_all_of_another() {
    let reads = [(TableHow::Block, 0..3), (TableHow::Whole, 0..3), (TableHow::Each, 1..3)];
    let inputs = [scan(4, 3), scan(2, 1), scan(5, 1)];
    let joined = Expr::table(stage(1, &reads), 3, &inputs).unwrap();
    let last = Expr::table(stage(1, &[(TableHow::Same, 0..3)]), 3, &[joined]).unwrap();
    let lowered = lowered(&[last]);
    let plan = &lowered.plan;
    check_both_directions(plan);
    check_needs(plan);
    assert_eq!(kinds(plan), ["table", "table", "table", "barrier", "table", "table"]);
    let (joined, last) = (StageIdx(4), StageIdx(5));
    let mut fed = Vec::new();
    plan.feeds_of(joined, ChunkIdx(0), &mut fed);
    let of_slot = |fed: &[(usize, StageIdx, ChunkIdx)], slot| {
        fed.iter().filter(|f| f.0 == slot).map(|f| f.2.0).collect::<Vec<_>>()
    };
    assert_eq!([0, 1, 2].map(|slot| of_slot(&fed, slot)), [vec![0, 1, 2, 3], vec![0, 1], vec![]]);
    fed.clear();
    plan.feeds_of(joined, ChunkIdx(2), &mut fed);
    assert_eq!(of_slot(&fed, 2), [0, 1, 2, 3, 4]);
    fed.clear();
    plan.feeds_of(last, ChunkIdx(1), &mut fed);
    assert_eq!(fed, [(0, joined, ChunkIdx(1))]);
    let made = plan.stage(joined);
    assert!(matches!(made.inputs[0].map, InputMap::Blocks) && !made.fails_alone);
    assert_eq!((made.element_bytes, made.sizes, made.terms().memory_bytes), (1000, Sizes::Measured, 64));
    assert_eq!(lowered.describe(joined), "join(#0, #1, #2)");
}

#[test]
fn what_does_not_fit_is_refused_with_the_reason() {
    let refused =
        |stage: TableStage, n: usize, inputs: &[Expr]| Expr::table(stage, n, inputs).unwrap_err().to_string();
    let one = |how, tasks| stage(1, &[(how, tasks)]);
    for (stage, n, inputs, why) in [
        (one(TableHow::Block, 0..3), 3, vec![scan(2, 4)], "values of Some(4) blocks, one each for 3 tasks"),
        (
            one(TableHow::Block, 0..3),
            3,
            vec![Expr::values(3, 1, Arc::new(())).unwrap()],
            "values of None blocks",
        ),
        (one(TableHow::Block, 1..3), 3, vec![scan(2, 3)], "blocks for 2 of 3 tasks"),
        (one(TableHow::Same, 0..3), 3, vec![scan(2, 1)], "2 values, one each for 3 tasks"),
        (one(TableHow::Whole, 2..5), 3, vec![scan(2, 1)], "tasks 2 to 5 of 3"),
        (one(TableHow::Whole, 0..3), 3, vec![literal(&[3], &[1], 0)], "an array of 3 chunks"),
        (
            one(TableHow::Same, 0..3),
            3,
            vec![literal(&[4], &[1], 0)],
            "an array of 4 chunks, one each for 3 tasks",
        ),
        (
            one(TableHow::Same, 0..3),
            3,
            vec![literal(&[3, 2], &[1, 2], 0)],
            "an array of 2 axes, expected one",
        ),
        (one(TableHow::Whole, 0..3), 3, vec![], "0 inputs, of which 1 are read"),
        (one(TableHow::Whole, 0..3000), 3000, vec![scan(3000, 1)], "4194304 in all at most"),
        (stage(1, &[]), 0, vec![], "tables are not one axis of so many values"),
    ] {
        let got = refused(stage, n, &inputs);
        assert!(got.contains(why), "{got} does not say: {why}");
    }
    let runs = |ends: &[u64]| TableStage { reads: [TableRead::runs(ends)].into(), ..stage(1, &[]) };
    for ends in [[3, 2], [2, 5]] {
        let got = refused(runs(&ends), 2, &[scan(4, 1)]);
        assert!(got.contains("runs of 4 values for 2 tasks"), "{got}");
    }
    // Nor are their values elements of an array.
    let program = Program::new(&[scan(2, 1)]);
    let mut nodes = program.nodes;
    let read = tilework_expr::Node {
        op: Op::Unary(UnaryOp::Not),
        inputs: vec![tilework_expr::NodeIdx(0)],
        ..nodes[0].clone()
    };
    nodes.push(read);
    let why = Program { nodes, outputs: vec![] }.check().unwrap_err().to_string();
    assert!(why.contains("read by calls and tables alone"), "{why}");
}

#[test]
fn what_would_take_more_memory_than_it_says_is_refused() {
    let huge = TableStage { bytes_guess: u64::MAX, ..stage(1, &[]) };
    let why = Expr::table(huge, 1, &[]).unwrap_err().to_string();
    assert!(why.contains("is taken to have 18446744073709551615 bytes"), "{why}");
    let why = Expr::table(stage(1, &[]), 1 << 32, &[]).unwrap_err().to_string();
    assert!(why.contains("4294967296 tasks of one stage, 1048576 at most"), "{why}");
    // Each input is within bounds, and not all together.
    let reads = vec![(TableHow::Whole, 0..2000); 5];
    let inputs: Vec<Expr> = (0..5).map(|_| scan(2000, 1)).collect();
    let read = Expr::table(stage(1, &reads), 2000, &inputs).unwrap();
    let why = Program::new(&[read]).check().unwrap_err().to_string();
    assert!(why.contains("16777216 values in all"), "{why}");
}

#[test]
fn an_array_is_made_of_runs_of_values_and_read_chunk_by_chunk() {
    let read = TableStage { reads: [TableRead::runs([2, 2, 5])].into(), ..stage(1, &[]) };
    let grid = Grid::new(vec![AxisGrid::explicit(&[10, 20, 30])]);
    let array = Expr::table_array(read, (grid.clone(), DType::F64), &[scan(5, 1)]).unwrap();
    let back = stage(1, &[(TableHow::Same, 0..3)]);
    let sum = array.unary(UnaryOp::Sqrt).unwrap();
    let table = Expr::table(back, 3, std::slice::from_ref(&sum)).unwrap();
    let lowered = lowered(&[table]);
    let plan = &lowered.plan;
    check_both_directions(plan);
    check_needs(plan);
    assert_eq!(kinds(plan), ["table", "table", "elementwise", "table"]);
    let fed = |stage, chunk| {
        let mut fed = Vec::new();
        plan.feeds_of(StageIdx(stage), ChunkIdx(chunk), &mut fed);
        fed.into_iter().map(|(_, _, chunk)| chunk.0).collect::<Vec<_>>()
    };
    assert_eq!([fed(1, 0), fed(1, 1), fed(1, 2)], [vec![0, 1], vec![], vec![2, 3, 4]]);
    assert_eq!(fed(3, 2), [2]);
    let made = plan.stage(StageIdx(1));
    assert_eq!((made.element_bytes, made.sizes, &made.out_grid), (8, Sizes::Exact, &grid));
}
