//! Queries of TPC-DS in one process and on two: the same bits. All of them with
//! `cargo test -p tilework-benches --features tables --test queries -- --ignored tpcds`.

use tilework::Session;
use tilework::dataframe::arrow::array::RecordBatch;
use tilework_benches::tables::Here;
use tilework_benches::tpcds::{QUERIES, on};

const SCALE: f64 = 0.01;
/// Of the queries, one of so many is asked each time.
const PART: usize = 9;

/// Asks queries of both sessions, and returns how many rows they gave.
fn same<'a>(queries: impl Iterator<Item = &'a (&'a str, &'a str)>) -> usize {
    let (one, two) = (Session::embedded().unwrap(), Session::processes(2).unwrap());
    let tables = [&one, &two].map(|session| on(session, SCALE));
    let mut n_rows = 0;
    for (name, sql) in queries {
        let ask = |(session, tables): (&Session, &Here)| {
            tables.ask(session, sql).unwrap_or_else(|e| panic!("query {name}: {e}"))
        };
        let (want, got) = (ask((&one, &tables[0])), ask((&two, &tables[1])));
        assert_eq!(got, want, "query {name}");
        n_rows += want.iter().map(RecordBatch::num_rows).sum::<usize>();
    }
    n_rows
}

#[test]
fn some_queries_give_the_same_bits_in_one_process_and_on_two() {
    let n_rows = same(QUERIES.iter().step_by(PART));
    assert!(n_rows > 100, "{n_rows}");
}

#[test]
#[ignore = "takes minutes"]
fn all_queries_give_the_same_bits_in_one_process_and_on_two() {
    let n_rows = same(QUERIES.iter());
    assert!(n_rows > 1000, "{n_rows}");
}
