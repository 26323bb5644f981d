//! What users get wrong, and what they are told.

use tilework::dataframe::prelude::*;
use tilework::dataframe::{CsvOptions, WriteOptions, sql};
use tilework::{EmbeddedOptions, Session};

#[test]
fn data_that_cannot_be_worked_on_are_named_with_their_stage_on_each_session() {
    let two = EmbeddedOptions { workers: 2, ..EmbeddedOptions::default() };
    for session in [Session::embedded_with(&two).unwrap(), Session::processes(2).unwrap()] {
        let query = |text: &str| {
            let df =
                session.from_columns([("x", values([1, 0, 3])), ("t", values(["1", "x", "3"]))]).unwrap();
            session.sql_on(text, &[("t", &df)]).and_then(|df| df.collect()).unwrap_err().to_string()
        };
        let error = query("select 10 / x as y from t");
        assert!(error.contains("Divide by zero"), "{error}");
        let error = query("select cast(t as bigint) as y from t");
        assert!(error.contains("Cannot cast string 'x'"), "{error}");
        // The session goes on.
        let df = session.from_columns([("x", values([1, 2]))]).unwrap();
        assert_eq!(df.shape().unwrap(), (2, 1));
    }
}

#[test]
fn mistakes_in_queries_are_found_when_they_are_built() {
    let session = Session::embedded().unwrap();
    let df = session.from_columns([("price", values([1.5, 2.5]))]).unwrap();
    let error = df.select(["Price"]).unwrap_err().to_string();
    assert!(error.contains("\"Price\"") && error.contains("did you mean \"price\""), "{error}");
    let error = sql("select from").unwrap_err().to_string();
    assert!(error.contains("Expected: identifier, found: EOF"), "{error}");
    assert_eq!(session.n_tasks_done(), 0);
}

#[test]
fn files_that_are_gone_or_broken_are_named_by_workers_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let session = Session::processes(2).unwrap();
    let error = session.read_parquet(&path("none.parquet")).unwrap_err().to_string();
    assert!(error.contains("none.parquet"), "{error}");

    let df = session.from_columns([("x", values([1, 2, 3]))]).unwrap();
    df.write_parquet(path("a.parquet"), &WriteOptions::default()).unwrap();
    let read = session.read_parquet(&path("a.parquet")).unwrap();
    assert_eq!(read.to_vec::<i64>("x").unwrap(), [1, 2, 3]);
    std::fs::remove_file(path("a.parquet")).unwrap();
    let error = read.collect().unwrap_err().to_string();
    assert!(error.contains("a.parquet"), "{error}");

    // Far from where types are looked for.
    let rows = |n: usize| "1,2\n".repeat(n);
    std::fs::write(path("b.csv"), format!("x,y\n{}oops,3\n{}", rows(300_000), rows(900_000))).unwrap();
    let error =
        session.read_csv(&path("b.csv"), &CsvOptions::default()).and_then(|df| df.collect()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("b.csv") && error.contains("300002") && error.contains("oops"), "{error}");
}
