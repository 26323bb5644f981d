//! Functions of one's own on tables.

use crate::kept::sessions;
use std::sync::Arc;
use tilework::dataframe::arrow::array::{AsArray, RecordBatch};
use tilework::dataframe::arrow::datatypes::{Field, Int64Type, Schema};
use tilework::dataframe::arrow::error::ArrowError;
use tilework::dataframe::prelude::*;
use tilework::{EmbeddedOptions, Session};

/// The sum of each partition.
fn sums(rows: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let x = rows.column(0).as_primitive::<Int64Type>();
    let sum = x.iter().flatten().sum::<i64>();
    RecordBatch::try_from_iter([("n", values([rows.num_rows() as i64])), ("sum", values([sum]))])
}

#[test]
fn functions_get_each_partition_whole_and_in_order() {
    for session in sessions() {
        let df = session.from_columns([("x", values((0..600_000).collect::<Vec<i64>>()))]).unwrap();
        let n = df.planned().unwrap().graph.stages[0].n_tasks as usize;
        assert!(n > 1);
        let made = df.map_partitions(sums).unwrap();
        assert_eq!(made.columns(), ["n", "sum"]);
        let rows: Vec<(i64, i64)> = made.rows().unwrap();
        let all = rows.iter().fold((0, 0), |all, row| (all.0 + row.0, all.1 + row.1));
        assert_eq!((rows.len(), all), (n, (600_000, 600_000 * 599_999 / 2)));
        assert!(rows.windows(2).all(|pair| pair[0].1 < pair[1].1), "in the order of the rows");
        // With parameters, after and before other operations.
        let thinned = df
            .filter(col("x").gt(9))
            .unwrap()
            .map_partitions_with((7_usize, 1.5), |rows, (n, _): &(usize, f64)| {
                rows.slice(0, (*n).min(rows.num_rows()))
            });
        let thinned = thinned.unwrap().select([col("x").min(), len()]).unwrap();
        assert_eq!(thinned.rows::<(i64, u64)>().unwrap(), [(10, 7 * n as u64)]);
        // In each part the rows come as a sort before it has ordered them.
        let first = |rows: RecordBatch| rows.slice(0, rows.num_rows().min(1));
        let ordered = df.sort([col("x").desc()]).unwrap().map_partitions(first).unwrap();
        let firsts = ordered.to_vec::<i64>("x").unwrap();
        assert_eq!(firsts[0], 599_999);
        assert!(firsts.windows(2).all(|pair| pair[0] > pair[1]), "{firsts:?}");
        let declared = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, false)]));
        let same = df.map_partitions_to(declared, |rows| rows).unwrap();
        assert_eq!(same.shape().unwrap(), (600_000, 1));
    }
}

#[test]
fn functions_of_elements_are_parts_of_expressions() {
    fn shout(text: String) -> String {
        format!("{}!", text.to_uppercase())
    }
    for session in sessions() {
        let texts = values([Some("a"), None, Some("b"), Some("a")]);
        let df = session.from_columns([("x", values([1, 2, 3, 4])), ("s", texts)]).unwrap();
        let half = |x: f64| (x > 1.0).then_some(x / 2.0);
        let made = df
            .select([
                col("x").map_elements(half).unwrap().alias("half"),
                (col("x").map_elements_with(10_i64, |x: i64, by: &i64| x * by).unwrap() + 1).alias("ten"),
                col("s").map_elements(shout).unwrap(),
            ])
            .unwrap();
        type Row = (Option<f64>, i64, Option<String>);
        let rows: Vec<Row> = made.rows().unwrap();
        assert_eq!(rows[0], (None, 11, Some("A!".to_owned())));
        assert_eq!(rows[1], (Some(1.0), 21, None));
        let groups = df.with_column("k", col("s").map_elements(shout).unwrap()).unwrap();
        let counts = groups.filter(col("s").map_elements(|s: String| s != "b").unwrap()).unwrap();
        let counts = counts.group_by(["k"]).agg([col("x").sum()]).unwrap();
        assert_eq!(counts.rows::<(String, i64)>().unwrap(), [("A!".to_owned(), 5)]);
    }
}

#[test]
fn what_a_function_gets_wrong_names_it_and_the_line() {
    let here = |error: &FrameError| {
        let text = error.to_string();
        assert!(text.contains("functions.rs:"), "{text}");
        text
    };
    let two = EmbeddedOptions { workers: 2, ..EmbeddedOptions::default() };
    for session in [Session::embedded_with(&two).unwrap(), Session::processes(2).unwrap()] {
        let df = session.from_columns([("x", values([1, 2, 3]))]).unwrap();
        let strict = |x: i32| {
            assert!(x < 3, "three is too much");
            x
        };
        let error = df.select([col("x").map_elements(strict).unwrap()]).unwrap().collect().unwrap_err();
        let text = here(&error);
        assert!(text.contains("what_a_function_gets_wrong") && text.contains("three is too much"), "{text}");
        let refuses = |rows: RecordBatch| match rows.num_rows() {
            0 => Ok(rows),
            n => Err(format!("{n} rows are too many")),
        };
        let error = df.map_partitions(refuses).unwrap().collect().unwrap_err();
        assert!(here(&error).contains("3 rows are too many"), "{error}");
        let other = |rows: RecordBatch| {
            let name = if rows.num_rows() > 0 { "y" } else { "x" };
            RecordBatch::try_from_iter([(name, rows.column(0).clone())])
        };
        let error = df.map_partitions(other).unwrap().collect().unwrap_err();
        assert!(here(&error).contains("gave columns y Int32; expected x Int32"), "{error}");
        // The session goes on.
        assert_eq!(df.map_partitions(|rows| rows).unwrap().shape().unwrap(), (3, 1));
    }
}

#[test]
fn functions_that_cannot_be_are_refused_when_the_query_is_built() {
    let session = Session::embedded().unwrap();
    let df = session.from_columns([("x", values([1, 2])), ("s", values(["a", "b"]))]).unwrap();
    let k = 3;
    let error = col("x").map_elements(move |x: i64| x * k).unwrap_err().to_string();
    assert!(error.contains("captures 8 bytes") && error.contains("parameters"), "{error}");
    let error =
        df.map_partitions(move |rows: RecordBatch| rows.slice(0, k as usize)).unwrap_err().to_string();
    assert!(error.contains("captures 8 bytes"), "{error}");
    let error = df.select([col("s").map_elements(|x: f64| x).unwrap()]).unwrap_err().to_string();
    assert!(error.contains("takes Float64, and the column is Utf8"), "{error}");
    let error = df.map_partitions(|_| -> RecordBatch { panic!("on purpose") }).unwrap_err();
    assert!(matches!(error, FrameError::Function(_)) && error.to_string().contains("on purpose"), "{error}");
    let twice = |rows: RecordBatch| {
        let fields = vec![Field::new("x", DataType::Int32, true), Field::new("x", DataType::Int32, true)];
        let columns = vec![rows.column(0).clone(), rows.column(0).clone()];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
    };
    assert!(matches!(df.map_partitions(twice), Err(FrameError::Duplicate { .. })));
    assert_eq!(session.n_tasks_done(), 0);
}

#[test]
fn functions_may_compute_arrays_and_tables() {
    // As many at once as there are threads, each of which waits for what it asks for.
    for session in sessions() {
        let df = session.from_columns([("x", values((0..600_000).collect::<Vec<i64>>()))]).unwrap();
        let made = df.map_partitions(|rows: RecordBatch| -> Result<RecordBatch, ArrowError> {
            let x =
                tilework::Array::from(tilework::ndarray::Array1::from_iter(0..200_000_i64)).rechunk(10_000);
            let sum = (&x * 2).sum();
            let n = rows.num_rows() as i64;
            let inner = tilework::dataframe::from_record_batches([rows]).and_then(|df| df.persist()?.shape());
            let inner = inner.map_err(|e| ArrowError::ExternalError(Box::new(e)))?.0 as i64;
            RecordBatch::try_from_iter([("same", values([i64::from(inner == n)])), ("sum", values([sum]))])
        });
        let rows: Vec<(i64, i64)> = made.unwrap().rows().unwrap();
        assert!(rows.len() > 1 && rows.iter().all(|row| *row == (1, 199_999 * 200_000)), "{rows:?}");
    }
}
