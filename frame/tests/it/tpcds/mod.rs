//! All queries of TPC-DS against DataFusion in one process: in three partitions without broadcasts all of them, in other
//! ways some, and all of them in all ways with `cargo test -p tilework-frame --test it -- --ignored tpcds`.

mod answers;
mod data;
mod made;

use answers::Row;
use made::QUERIES;
use std::collections::HashMap;
use std::future::Future;
use tilework_frame::{Keep, PlanOptions, run_local};

/// Whose order leaves something open (77), or is not kept by DataFusion in one process: it takes a column that a filter
/// fixes for fixed in the groups of a rollup too, and does not sort by it (27). Ours does.
const OPEN: [&str; 2] = ["27", "77"];
/// That give no rows of such small tables, or aggregates of none: there is one warehouse, hardly anybody lives where a
/// store is, and the same customer seldom buys in two ways.
const EMPTY: [&str; 11] = ["08", "16", "24a", "24b", "31", "38", "54", "84", "85", "94", "95"];
/// Each other way of planning is tested with one of so many parts of the queries.
const PARTS: usize = 6;
/// Of a thread: plans of such queries are deep, and builds without optimisation have large frames.
const STACK_BYTES: usize = 64 << 20;

type Query = &'static (&'static str, &'static str);

fn block_on(test: impl Future<Output = ()> + Send + 'static) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).thread_stack_size(STACK_BYTES).enable_all().build().unwrap();
    // The thread that waits has no such stack.
    runtime.block_on(runtime.spawn(test)).unwrap();
}

/// The answers of DataFusion in one process.
async fn answers() -> &'static HashMap<&'static str, Vec<Row>> {
    static ANSWERS: tokio::sync::OnceCell<HashMap<&'static str, Vec<Row>>> =
        tokio::sync::OnceCell::const_new();
    let answers = ANSWERS.get_or_init(|| async {
        let context = data::plain().await;
        let mut answers = HashMap::new();
        for (name, sql) in QUERIES {
            let query = context.sql(sql).await.unwrap_or_else(|e| panic!("query {name}: {e}"));
            let batches = query.collect().await.unwrap_or_else(|e| panic!("query {name}: {e}"));
            answers.insert(*name, answers::rows(&batches));
        }
        answers
    });
    answers.await
}

/// What is wrong with each answer that is another than it must be.
async fn wrong(options: &PlanOptions, keep: Keep, queries: impl Iterator<Item = Query>) -> Vec<String> {
    let expected = answers().await;
    let (planner, runner) = (data::planner(options.clone()).await, crate::data::runner());
    let mut wrong = Vec::new();
    for (name, sql) in queries {
        let ran = async {
            let planned = planner.plan(planner.sql(sql).await?).await?;
            assert_eq!(planned.graph.wrong(), None, "query {name}");
            run_local(&planned.graph, &planned.schema, &runner, keep, 2).await
        };
        let unlike = match ran.await {
            Ok(ran) => {
                let got = answers::rows(ran.partitions.iter().flatten());
                answers::difference(got, expected[name].clone(), !OPEN.contains(name))
            }
            Err(e) => Some(e.to_string()),
        };
        wrong.extend(unlike.map(|what| format!("query {name}, {options:?}: {what}")));
    }
    wrong
}

/// Three partitions, and each join divided: what has most exchanges.
fn divided() -> PlanOptions {
    PlanOptions { broadcast_bytes_max: 0, ..crate::data::options(3) }
}

/// The other ways in which queries are planned.
fn ways() -> [(PlanOptions, Keep); PARTS] {
    let sorted = |n| PlanOptions { prefer_hash_join: false, ..crate::data::options(n) };
    [
        (crate::data::options(1), Keep::Batches),
        (crate::data::options(3), Keep::Batches),
        (crate::data::options(5), Keep::Encoded),
        (sorted(1), Keep::Encoded),
        (sorted(3), Keep::Batches),
        (PlanOptions { broadcast_bytes_max: 0, ..sorted(5) }, Keep::Batches),
    ]
}

#[test]
fn most_answers_have_rows() {
    block_on(async {
        let answers = answers().await;
        let names = QUERIES.iter().map(|query| query.0);
        let empty: Vec<&str> = names.filter(|name| !answers::has_rows(&answers[name])).collect();
        assert_eq!(empty, EMPTY);
    });
}

#[test]
fn all_queries_in_three_partitions() {
    block_on(async {
        let wrong = wrong(&divided(), Keep::Encoded, QUERIES.iter()).await;
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

#[test]
fn some_queries_in_each_other_way() {
    block_on(async {
        for (part, (options, keep)) in ways().into_iter().enumerate() {
            let wrong = wrong(&options, keep, QUERIES.iter().skip(part).step_by(PARTS)).await;
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        }
    });
}

#[test]
#[ignore = "takes minutes"]
fn all_queries_in_each_other_way() {
    block_on(async {
        for (options, keep) in ways() {
            let wrong = wrong(&options, keep, QUERIES.iter()).await;
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        }
    });
}

#[test]
#[ignore = "takes minutes"]
fn a_task_that_runs_again_gives_the_same_bytes() {
    block_on(async {
        let (planner, runner) = (data::planner(divided()).await, crate::data::runner());
        let mut n_tasks = 0;
        for (name, sql) in QUERIES {
            let planned = crate::data::planned(&planner, sql).await;
            n_tasks += crate::tpch::twice(&planned, &runner, &format!("query {name}")).await;
        }
        assert!(n_tasks > 2000, "{n_tasks}");
    });
}
