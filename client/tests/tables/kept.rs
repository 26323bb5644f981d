//! Tables whose rows stay on the workers, and rows that come one batch after another.

use rustix::process::{Pid, Signal, kill_process};
use tilework::dataframe::arrow::array::{AsArray, RecordBatch};
use tilework::dataframe::arrow::datatypes::Int64Type;
use tilework::dataframe::{persist_all, prelude::*};
use tilework::{EmbeddedOptions, Session};

/// Sessions of each kind, of two workers.
pub fn sessions() -> [Session; 2] {
    let two = EmbeddedOptions { workers: 2, ..EmbeddedOptions::default() };
    [Session::embedded_with(&two).unwrap(), Session::processes(2).unwrap()]
}

/// So many rows, in several partitions where they are more than half a million.
fn rows(session: &Session, n: i64) -> DataFrame {
    let x: Vec<i64> = (0..n).map(|i| i * 7919 % n).collect();
    let k: Vec<i64> = (0..n).map(|i| i % 13).collect();
    session.from_columns([("x", values(x)), ("k", values(k))]).unwrap()
}

fn concat(batches: &[RecordBatch]) -> Vec<i64> {
    batches.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[test]
fn rows_that_are_kept_are_read_where_they_are_and_made_once() {
    for session in sessions() {
        let df = rows(&session, 600_000);
        let odd = df.filter(col("x").gt(99)).unwrap();
        let want = odd.collect().unwrap();
        let kept = odd.persist().unwrap();
        assert_eq!(concat(&kept.collect().unwrap()), concat(&want));
        let before = session.n_tasks_done();
        let n = kept.planned().unwrap().graph.stages[0].n_tasks;
        assert!(n > 1);
        assert_eq!(kept.select([col("x").min()]).unwrap().to_vec::<i64>("x").unwrap(), [100]);
        let took = session.n_tasks_done() - before;
        assert_eq!(took, n + 1, "a partial minimum each and the last one: nothing is filtered again");
        // Joins and groups of it are as those of what it was made of.
        let groups = |df: &DataFrame| {
            let sums = df.group_by(["k"]).agg([col("x").sum()]).unwrap().sort(["k"]).unwrap();
            sums.rows::<(i64, i64)>().unwrap()
        };
        assert_eq!(groups(&kept), groups(&odd));
        // Its partitions' sizes are known, and it can be kept again.
        assert_eq!(kept.persist().unwrap().shape().unwrap(), (600_000 - 100, 2));
    }
}

#[test]
fn several_tables_are_kept_together_and_what_they_share_is_made_once() {
    for session in sessions() {
        let big = rows(&session, 600_000).filter(col("x").gt(10)).unwrap();
        let (a, b) = (big.with_column("y", col("x") * 2).unwrap(), big.group_by(["k"]).len().unwrap());
        let apart = a.planned().unwrap().graph.stages.len() + b.planned().unwrap().graph.stages.len();
        assert!(apart > 2);
        let kept = persist_all(&[&a, &b, &a]).unwrap();
        assert_eq!(kept[0].shape().unwrap(), (600_000 - 11, 3));
        assert_eq!(kept[2].columns(), ["x", "k", "y"]);
        let n: Vec<i64> = kept[1].sort(["k"]).unwrap().to_vec("len").unwrap();
        assert_eq!((n.len(), n.iter().sum::<i64>()), (13, 600_000 - 11));
    }
    assert!(persist_all(&[]).unwrap().is_empty());
}

#[test]
fn another_session_gets_what_one_keeps() {
    let [one, other] = sessions();
    let kept = rows(&one, 1000).filter(col("x").lt(500)).unwrap().persist().unwrap();
    let both = other.sql_on("select sum(x) as s from t", &[("t", &kept)]).unwrap();
    assert_eq!(both.to_vec::<i64>("s").unwrap(), [(0..500).sum::<i64>()]);
    let back = one.sql_on("select count(*) as n from t", &[("t", &both.persist().unwrap())]).unwrap();
    assert_eq!(back.to_vec::<i64>("n").unwrap(), [1]);
}

#[test]
fn what_a_killed_worker_kept_is_made_again() {
    let session = Session::processes(2).unwrap();
    let kept = rows(&session, 600_000).filter(col("x").gt(99)).unwrap().persist().unwrap();
    let want = concat(&kept.collect().unwrap());
    let pids = session.map(|_: u32| std::process::id(), 0..64).unwrap();
    let pids = tilework::gather(&pids).unwrap();
    let victim = Pid::from_raw(pids[0] as i32).unwrap();
    kill_process(victim, Signal::KILL).unwrap();
    assert_eq!(concat(&kept.collect().unwrap()), want);
    let streamed: Vec<RecordBatch> = kept.collect_stream().unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(concat(&streamed), want);
}

#[test]
fn partitions_are_as_many_as_is_asked_for_and_keep_the_order_of_rows() {
    for session in sessions() {
        let df = rows(&session, 600_000).filter(col("x").gt(99)).unwrap();
        let want = concat(&df.collect().unwrap());
        for n in [1, 3, 50] {
            let again = df.repartition(n).unwrap();
            let lens = again.with_row_index("i").unwrap();
            assert_eq!(again.planned().unwrap().graph.stages.last().unwrap().n_tasks, n as u64);
            assert_eq!(concat(&again.collect().unwrap()), want, "{n}");
            assert_eq!(lens.shape().unwrap(), (want.len(), 3));
        }
        let few = session.from_columns([("x", values([1, 2]))]).unwrap().repartition(5).unwrap();
        assert_eq!(few.planned().unwrap().graph.stages.last().unwrap().n_tasks, 2);
        assert!(matches!(few.repartition(0), Err(FrameError::Argument { argument: "n", .. })));
    }
}

#[test]
fn rows_come_one_batch_after_another_and_in_order() {
    for session in sessions() {
        let df = rows(&session, 600_000).filter(col("x").gt(99)).unwrap();
        let want = concat(&df.collect().unwrap());
        let mut stream = df.collect_stream().unwrap();
        assert_eq!(stream.schema().fields().len(), 2);
        let first = stream.next().unwrap().unwrap();
        assert!(first.num_rows() < want.len());
        let mut got = concat(&[first]);
        for batch in stream {
            got.extend(concat(&[batch.unwrap()]));
        }
        assert_eq!(got, want);
        // One that is dropped in the middle lets go of the rest.
        drop(df.collect_stream().unwrap().next());
        let sum: i64 = df.rows_stream::<(i64, i64)>().unwrap().map(|row| row.unwrap().0).sum();
        assert_eq!(sum, want.iter().sum::<i64>());
        let wrong = df.rows_stream::<(String, i64)>().unwrap().next().unwrap();
        assert!(matches!(wrong, Err(FrameError::Row { row: 0, .. })), "{wrong:?}");
    }
}

#[test]
fn asynchronous_code_gets_rows_as_a_stream() {
    use futures::TryStreamExt;

    let session = Session::embedded().unwrap();
    let df = rows(&session, 10_000);
    let stream = df.collect_stream().unwrap().into_stream();
    let batches: Vec<RecordBatch> = futures::executor::block_on(stream.try_collect()).unwrap();
    assert_eq!(concat(&batches), concat(&df.collect().unwrap()));
    // An executor that is waited for does not hinder the iterator.
    let n_rows = futures::executor::block_on(async {
        df.collect_stream().unwrap().map(|batch| batch.unwrap().num_rows()).sum::<usize>()
    });
    assert_eq!(n_rows, 10_000);
}

#[test]
fn a_task_keeps_tables_by_itself() {
    let session = Session::embedded().unwrap();
    let sums = |n: i64| {
        let df = tilework::dataframe::from_columns([("x", values((0..n).collect::<Vec<i64>>()))]).unwrap();
        let kept = df.filter(col("x").gt(1)).unwrap().persist().unwrap();
        let n_rows: usize = kept.collect_stream().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
        let array = kept.col_array::<f64>("x").unwrap();
        (n_rows, array.sum())
    };
    let futures = session.map(sums, [10, 100]).unwrap();
    assert_eq!(tilework::gather(&futures).unwrap(), [(8, 44.0), (98, 4949.0)]);
}
