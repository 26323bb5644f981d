use super::execute;
use crate::session::{EmbeddedOptions, Session};
use std::num::NonZeroUsize;
use std::path::Path;
use tilework_frame::arrow::array::RecordBatch;
use tilework_frame::{Keep, PlanOptions, Planned, Planner, Runner, RunnerOptions, run_local};

fn n_rows(partitions: &[Vec<RecordBatch>]) -> usize {
    partitions.iter().flatten().map(RecordBatch::num_rows).sum()
}

#[test]
fn tpch() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tmp/tpch-0.01-3");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let options = EmbeddedOptions { workers: 2, ..EmbeddedOptions::default() };
    let sessions = [Session::embedded_with(&options).unwrap(), Session::processes(2).unwrap()];
    let runner =
        Runner::new(RunnerOptions { n_threads: 2, spill_dir: "/tmp".into(), spill_bytes_max: 1 << 30 })
            .unwrap();
    for (n, hash, broadcast) in [(1, true, 1 << 20), (3, true, 0), (5, true, 1 << 20), (3, false, 1 << 20)] {
        let n_partitions = NonZeroUsize::new(n).unwrap();
        let options = PlanOptions {
            n_partitions,
            prefer_hash_join: hash,
            broadcast_bytes_max: broadcast,
            ..PlanOptions::default()
        };
        let planner = Planner::new(options).unwrap();
        for table in ["lineitem", "orders", "customer", "part", "partsupp", "supplier", "nation", "region"] {
            let path = dir.join(table);
            runtime
                .block_on(planner.context().register_parquet(
                    table,
                    path.to_str().unwrap(),
                    Default::default(),
                ))
                .unwrap();
        }
        let mut took = [0.0; 3];
        for q in 1..=22 {
            let sql = std::fs::read_to_string(format!(
                "{}/../frame/tests/queries/q{q:02}.sql",
                env!("CARGO_MANIFEST_DIR")
            ))
            .unwrap();
            let planned =
                runtime.block_on(async { planner.plan(planner.sql(&sql).await.unwrap()).await.unwrap() });
            let at = std::time::Instant::now();
            let want = runtime
                .block_on(run_local(&planned.graph, &planned.schema, &runner, Keep::Batches, 2))
                .unwrap()
                .partitions;
            took[0] += at.elapsed().as_secs_f64();
            for (i, session) in sessions.iter().enumerate() {
                let at = std::time::Instant::now();
                let got = execute(&planned, session).unwrap_or_else(|e| panic!("query {q} {n} {hash}: {e}"));
                took[i + 1] += at.elapsed().as_secs_f64();
                assert_eq!(got.concat(), want.concat(), "query {q}, {n} partitions");
            }
        }
        eprintln!("{n} {hash} {broadcast}: {took:?}");
    }
}
