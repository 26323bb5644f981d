//! Where a query runs.

use tilework::Session;
use tilework::dataframe::prelude::*;
use tilework::dataframe::{from_columns, sql};

#[test]
fn a_task_that_asks_for_a_table_makes_it_by_itself() {
    let session = Session::embedded().unwrap();
    let sums = |n: i64| {
        let df = from_columns([("x", values((0..n).collect::<Vec<i64>>()))]).unwrap();
        df.select([col("x").sum()]).unwrap().to_vec::<i64>("x").unwrap()[0]
    };
    let futures = session.map(sums, [10, 100, 1000]).unwrap();
    assert_eq!(tilework::gather(&futures).unwrap(), [45, 4950, 499_500]);
}

#[test]
fn a_table_is_computed_by_the_session_that_made_it() {
    let session = Session::embedded().unwrap();
    let other = Session::embedded().unwrap();
    other.make_current();
    let before = session.n_tasks_done();
    let df = session.from_columns([("x", values([1, 2, 3]))]).unwrap();
    assert_eq!(df.filter(col("x").gt(1)).unwrap().shape().unwrap(), (2, 1));
    assert!(session.n_tasks_done() > before && other.n_tasks_done() == 0);
    assert_eq!(sql("select 1 as x").unwrap().to_vec::<i64>("x").unwrap(), [1]);
    assert!(other.n_tasks_done() > 0);
    Session::close_current();
}
