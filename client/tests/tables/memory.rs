//! What tables take of memory, of the disk and of this process, and what is said where that is too much.

use tilework::dataframe::arrow::compute::concat_batches;
use tilework::dataframe::prelude::*;
use tilework::{EmbeddedOptions, Session};

const MIB: u64 = 1 << 20;

fn limited(memory_bytes: u64) -> Session {
    let memory_bytes_per_worker = Some(memory_bytes);
    let options = EmbeddedOptions {
        memory_bytes_per_worker,
        threads_per_worker: Some(1),
        ..EmbeddedOptions::default()
    };
    Session::embedded_with(&options).unwrap()
}

/// So many rows of a key, a number and a text that no two rows share.
fn rows(session: &Session, n: i64) -> DataFrame {
    let k: Vec<i64> = (0..n).map(|i| i * 7919 % (n / 4 + 1)).collect();
    let v: Vec<i64> = (0..n).map(|i| i * 104_729 % n).collect();
    session.from_columns([("k", values(k)), ("v", values(v))]).unwrap()
}

#[test]
fn rows_in_memory_count_on_the_workers_that_get_them() {
    let session = limited(1 << 30);
    let n = 1_000_000;
    let df = rows(&session, n);
    assert_eq!(df.select([col("v").sum()]).unwrap().to_vec::<i64>("v").unwrap(), [n * (n - 1) / 2]);
    let all = df.filter(col("v").gt_eq(0)).unwrap();
    all.collect().unwrap();
    let took = all.last_run().unwrap();
    let bytes = 16 * n as u64;
    assert!(took.bytes_put >= bytes && took.bytes_held_max >= bytes, "{took:?}");
    assert!(all.explain().unwrap().contains("latest run"));
}

/// So many rows of a key, a number and a long text.
fn wide(session: &Session, n: i64) -> DataFrame {
    let texts: Vec<String> = (0..n).map(|i| format!("{:0100}", i * 104_729 % n)).collect();
    let texts = values(texts.iter().map(String::as_str).collect::<Vec<_>>());
    let k: Vec<i64> = (0..n).map(|i| i * 7919 % (n / 4 + 1)).collect();
    let v: Vec<i64> = (0..n).map(|i| i * 104_729 % n).collect();
    session.from_columns([("k", values(k)), ("v", values(v)), ("t", texts)]).unwrap()
}

#[test]
fn with_far_less_memory_than_the_rows_take_each_kind_of_query_finishes() {
    let sessions = [limited(4 << 30), limited(12 * MIB)];
    let tables = sessions.each_ref().map(|session| wide(session, 200_000));
    let queries = [
        "select t.k, count(*) as n, max(u.t) as m from t join t as u on t.v = u.v group by t.k order by t.k limit 50",
        "select t, sum(v) as s from t group by t order by t limit 50",
        "select count(d) as n, max(d) as m from (select lag(t) over (partition by k order by v) as d from t)",
        "select count(*) as n from (select distinct k, t from t)",
        "select k % 10 as g, median(v) as m from t group by k % 10 order by g",
        "select k % 2 as g, median(v) as m from t group by k % 2 order by g",
    ];
    for query in queries {
        let [want, got] = [0, 1].map(|i| {
            let df = sessions[i].sql_on(query, &[("t", &tables[i])]).unwrap();
            let batches = df.collect().unwrap_or_else(|e| panic!("{query}: {e}"));
            let rows = concat_batches(&batches[0].schema(), &batches).unwrap();
            (rows, df.explain().unwrap(), df.last_run().unwrap())
        });
        assert!(!want.1.contains("planned anew") && got.1.contains("planned anew 2 times"), "{}", got.1);
        assert!(want.2.bytes_spilled == 0 && got.2.bytes_spilled > 0, "{query}: {:?}", got.2);
        assert_eq!(got.0, want.0, "{query}");
    }
    // All rows in one order, of which no task holds all.
    let [want, got] = tables.each_ref().map(|table| {
        let batches: Vec<_> =
            table.sort(["t"]).unwrap().collect_stream().unwrap().map(Result::unwrap).collect();
        concat_batches(&batches[0].schema(), &batches).unwrap()
    });
    assert!(want == got, "{} and {} sorted rows", want.num_rows(), got.num_rows());
    // What is kept is planned anew too.
    let groups = tables[1].group_by(["t"]).agg([col("v").sum()]).unwrap();
    let kept = groups.persist().unwrap();
    assert!(groups.explain().unwrap().contains("planned anew"), "{}", groups.explain().unwrap());
    assert_eq!(kept.shape().unwrap(), (200_000, 2));
    let pivoted = tables.map(|table| {
        let groups = table.with_column("g", col("k") % lit(7_i64)).unwrap();
        let pivot = groups.pivot("g", ["k"], col("v").sum()).unwrap().sort(["k"]).unwrap();
        let batches = pivot.collect().unwrap();
        concat_batches(&batches[0].schema(), &batches).unwrap()
    });
    assert_eq!(pivoted[0], pivoted[1]);
}

#[test]
fn a_query_that_no_plan_makes_small_enough_says_what_it_needs() {
    let session = limited(2 * MIB);
    let error = rows(&session, 1000).unique(["k"], KeepRow::Any).unwrap().collect().unwrap_err();
    let FrameError::Memory { needed_bytes, limit_bytes, .. } = &error else { panic!("{error}") };
    assert!(*needed_bytes > 4 * MIB && *limit_bytes == 2 * MIB, "{error}");
}

#[test]
fn no_more_rows_are_gathered_than_may_be() {
    for session in [limited(1 << 30), Session::processes(2).unwrap()] {
        let df = rows(&session, 100_000);
        session.gather_bytes_max(100_000);
        let error = df.collect().unwrap_err();
        assert!(
            matches!(error, FrameError::TooLarge { bytes, limit_bytes: 100_000 } if bytes > 100_000),
            "{error}"
        );
        assert_eq!(df.select([len()]).unwrap().to_vec::<u64>("len").unwrap(), [100_000]);
    }
}

#[test]
fn queries_of_tasks_have_the_tasks_thread_and_disk() {
    let session = limited(1 << 30);
    let found = session
        .map(
            |n: i64| {
                let df =
                    tilework::dataframe::from_columns([("x", values((0..n).collect::<Vec<i64>>()))]).unwrap();
                df.sort(["x"]).unwrap().to_vec::<i64>("x").unwrap().len()
            },
            [10, 20_000],
        )
        .unwrap();
    assert_eq!(tilework::gather(&found).unwrap(), [10, 20_000]);
}
