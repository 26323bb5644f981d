//! All queries of TPC-H against DataFusion in one process, for several numbers of partitions and kinds of joins; and each
//! task once more, which must give the same bytes.

use crate::data;
use futures::StreamExt;
use std::collections::BTreeSet;
use tilework_frame::{Keep, Local, PlanOptions, Planned, Runner, Stop, run_local};

const QUERIES: std::ops::RangeInclusive<usize> = 1..=22;
/// Whose rows are in an order that leaves nothing open.
const ORDERED: [usize; 14] = [1, 2, 4, 5, 7, 8, 9, 12, 13, 15, 16, 20, 21, 22];

fn query(n: usize) -> String {
    let path = format!("{}/tests/queries/q{n:02}.sql", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The answers of DataFusion in one process.
async fn answers() -> Vec<Vec<String>> {
    static ANSWERS: tokio::sync::OnceCell<Vec<Vec<String>>> = tokio::sync::OnceCell::const_new();
    let answers = ANSWERS.get_or_init(|| async {
        let context = data::plain().await;
        let mut answers = Vec::new();
        for n in QUERIES {
            let batches = context.sql(&query(n)).await.unwrap().collect().await.unwrap();
            answers.push(data::rows(&batches));
        }
        answers
    });
    answers.await.clone()
}

async fn check(options: PlanOptions, keep: Keep) {
    let answers = answers().await;
    let (planner, runner) = (data::planner(options.clone()).await, data::runner());
    for n in QUERIES {
        let planned = data::planned(&planner, &query(n)).await;
        let ran = run_local(&planned.graph, &planned.schema, &runner, keep, 2).await;
        let ran = ran.unwrap_or_else(|e| panic!("query {n}, {options:?}: {e}"));
        let (got, expected) = (data::rows_of(&ran), answers[n - 1].clone());
        if ORDERED.contains(&n) {
            assert_eq!(got, expected, "query {n}, {options:?}");
        } else {
            assert_eq!(data::sorted(got), data::sorted(expected), "query {n}, {options:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn most_answers_have_rows() {
    let empty: BTreeSet<usize> =
        QUERIES.zip(answers().await).filter(|(_, rows)| rows.is_empty()).map(|q| q.0).collect();
    assert!(empty.len() <= 2, "no rows: {empty:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hash_joins_in_one_partition() {
    check(data::options(1), Keep::Batches).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hash_joins_of_three_partitions_divided_always() {
    check(PlanOptions { broadcast_bytes_max: 0, ..data::options(3) }, Keep::Encoded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hash_joins_of_five_partitions_with_broadcasts() {
    check(data::options(5), Keep::Batches).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sort_merge_joins() {
    for n in [1, 3, 5] {
        let keep = if n == 3 { Keep::Encoded } else { Keep::Batches };
        check(PlanOptions { prefer_hash_join: false, ..data::options(n) }, keep).await;
    }
}

/// Runs each task twice, with two ways of keeping pieces, and returns how many there were.
pub async fn twice(planned: &Planned, runner: &Runner, what: &str) -> usize {
    let mut locals = [Keep::Batches, Keep::Encoded].map(|keep| Local::new(&planned.graph, keep));
    let mut n_tasks = 0;
    for (stage, plan) in planned.graph.stages.iter().enumerate() {
        let tasks: Vec<_> =
            (0..plan.n_tasks).map(|task| locals.each_ref().map(|l| l.input(stage, task))).collect();
        let runs = tasks.into_iter().flatten().map(|input| runner.run(input, Stop::never()));
        let outputs: Vec<_> = futures::stream::iter(runs).buffered(2).map(Result::unwrap).collect().await;
        for (task, pair) in outputs.chunks(2).enumerate() {
            let bytes = |k: usize| pair[k].pieces.iter().map(|p| p.encoded().unwrap()).collect::<Vec<_>>();
            assert!(bytes(0) == bytes(1), "{what}, stage {stage} ({}), task {task}", plan.name);
            assert_eq!(pair[0].checksum().unwrap(), pair[1].checksum().unwrap());
            n_tasks += 1;
        }
        for (k, local) in locals.iter_mut().enumerate() {
            local.made(stage, outputs.iter().skip(k).step_by(2).cloned().collect()).unwrap();
        }
    }
    n_tasks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_runs_again_gives_the_same_bytes_however_its_input_was_kept() {
    let (planner, runner) = (data::planner(data::options(3)).await, data::runner());
    let mut n_tasks = 0;
    for n in QUERIES {
        let planned = data::planned(&planner, &query(n)).await;
        n_tasks += twice(&planned, &runner, &format!("query {n}")).await;
    }
    assert!(n_tasks > 300, "{n_tasks}");
}

#[tokio::test]
async fn plans_are_the_same_after_the_wire() {
    let runner = data::runner();
    for prefer_hash_join in [true, false] {
        let planner = data::planner(PlanOptions { prefer_hash_join, ..data::options(3) }).await;
        for n in QUERIES {
            let planned = data::planned(&planner, &query(n)).await;
            for (stage, shown) in planned.graph.stages.iter().zip(&planned.stages_shown) {
                assert_eq!(&runner.shown(&stage.payload).unwrap(), shown, "query {n}");
            }
        }
    }
}
