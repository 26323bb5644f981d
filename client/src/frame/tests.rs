use super::execute;
use crate::session::{EmbeddedOptions, Session};
use std::num::NonZeroUsize;
use tilework_frame::arrow::array::RecordBatch;
use tilework_frame::{PlanOptions, Planned, Planner};

fn planned(n_partitions: usize, sql: &str) -> Planned {
    let n_partitions = NonZeroUsize::new(n_partitions).unwrap();
    let planner = Planner::new(PlanOptions { n_partitions, ..PlanOptions::default() }).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { planner.plan(planner.sql(sql).await.unwrap()).await.unwrap() })
}

fn n_rows(partitions: &[Vec<RecordBatch>]) -> usize {
    partitions.iter().flatten().map(RecordBatch::num_rows).sum()
}

const QUERY: &str = "select a.k, sum(a.v), count(b.v) from (values (1, 10), (2, 20), (1, 30), (3, 40)) as a(k, v) \
     join (values (1, 5), (3, 6), (3, 7)) as b(k, v) on a.k = b.k group by a.k order by a.k";

#[test]
fn a_query_runs_on_any_session() {
    let want = execute(&planned(1, QUERY), &Session::embedded().unwrap()).unwrap();
    assert_eq!(n_rows(&want), 2);
    for n in [1, 3, 5] {
        let planned = planned(n, QUERY);
        let options = EmbeddedOptions { workers: 2, ..EmbeddedOptions::default() };
        for session in [Session::embedded_with(&options).unwrap(), Session::processes(2).unwrap()] {
            let got = execute(&planned, &session).unwrap();
            assert_eq!(got.concat(), want.concat(), "{n} partitions");
        }
    }
}
