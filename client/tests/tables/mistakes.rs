//! What users get wrong, and what they are told.

use tilework::dataframe::prelude::*;
use tilework::dataframe::{CsvError, CsvOptions, DataError, TaskError, WriteOptions, sql};
use tilework::{EmbeddedOptions, Session};

fn sessions() -> [Session; 2] {
    let two = EmbeddedOptions { workers: 2, ..EmbeddedOptions::default() };
    [Session::embedded_with(&two).unwrap(), Session::processes(2).unwrap()]
}

#[test]
fn data_that_cannot_be_worked_on_are_the_same_errors_on_each_session() {
    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("b.csv").display().to_string();
    // Far from where types are looked for.
    let lines = |n: usize| "1,2\n".repeat(n);
    std::fs::write(&csv, format!("x,y\n{}oops,3\n{}", lines(300_000), lines(900_000))).unwrap();
    for session in sessions() {
        let failed = |text: &str| {
            let (x, big) = (values([1, 0, 3]), values([i64::MAX, 1, 1]));
            let df = session.from_columns([("x", x), ("t", values(["1", "x", "3"])), ("big", big)]).unwrap();
            let error = session.sql_on(text, &[("t", &df)]).and_then(|df| df.collect()).unwrap_err();
            let FrameError::Task { stage, error: TaskError::Data(error), .. } = error else {
                panic!("{error}")
            };
            assert!(!stage.is_empty() && stage != "table", "{stage}");
            error
        };
        let error = failed("select 10 / x as y from t");
        assert!(matches!(&error, DataError::DivideByZero(_)), "{error}");
        let error = failed("select big + 1 as y from t");
        assert!(matches!(&error, DataError::Overflow(_)), "{error}");
        let error = failed("select sum(big) as y from t");
        assert!(matches!(&error, DataError::Overflow(_)), "{error}");
        let error = failed("select cast(t as bigint) as y from t");
        assert!(matches!(&error, DataError::Cast(why) if why.contains("Cannot cast string 'x'")), "{error}");
        let read = session.read_csv(&csv, &CsvOptions::default()).unwrap();
        match read.collect().unwrap_err() {
            FrameError::Task { error: TaskError::Data(DataError::Csv(error)), .. } => {
                let CsvError::Value { file, line, column, text, .. } = *error else { panic!("{error}") };
                assert_eq!((file, line, column.as_str(), text.as_str()), (csv.clone(), 300_002, "x", "oops"));
            }
            other => panic!("{other}"),
        }
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
    let error = session.read_parquet(path("none.parquet")).unwrap_err().to_string();
    assert!(error.contains("none.parquet"), "{error}");

    let df = session.from_columns([("x", values([1, 2, 3]))]).unwrap();
    df.write_parquet(path("a.parquet"), &WriteOptions::default()).unwrap();
    let read = session.read_parquet(path("a.parquet")).unwrap();
    assert_eq!(read.to_vec::<i64>("x").unwrap(), [1, 2, 3]);
    std::fs::remove_file(path("a.parquet")).unwrap();
    match read.collect().unwrap_err() {
        FrameError::NoFile { path, .. } => assert!(path.contains("a.parquet"), "{path}"),
        other => panic!("{other}"),
    }
}
