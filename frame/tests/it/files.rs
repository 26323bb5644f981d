//! Files as tables: what they hold together, where a value is that does not fit, and that none is left half-written.

#![allow(clippy::type_complexity, reason = "rows are tuples")]

use crate::api::executors;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tilework_frame::arrow::array::AsArray;
use tilework_frame::prelude::*;
use tilework_frame::{
    DataError, Keep, LocalExecute, Planning, Runner, RunnerOptions, TaskError, arrow, run_local,
};

/// A directory with these files.
fn dir(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn at(dir: &TempDir, name: &str) -> String {
    dir.path().join(name).to_str().unwrap().to_owned()
}

fn csv(on: &Arc<dyn Execute>, path: &str) -> Result<DataFrame, FrameError> {
    read_csv(on, path, &CsvOptions::default())
}

/// The names and types of columns.
fn types(df: &DataFrame) -> Vec<String> {
    df.schema().fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect()
}

/// What the values of a CSV file were found wrong.
fn wrong(df: &DataFrame) -> CsvError {
    match df.collect().unwrap_err() {
        FrameError::Task { error: TaskError::Data(DataError::Csv(csv)), .. } => *csv,
        other => panic!("{other}"),
    }
}

/// Lines `i,i/2,text i` for these numbers.
fn lines(of: std::ops::Range<u32>) -> String {
    of.map(|i| format!("{i},{},text {i}\n", f64::from(i) / 2.0)).collect()
}

#[test]
fn rows_are_each_read_once_and_in_their_order_however_files_are_cut() {
    let big = format!("n,half,t\n{}", lines(0..3000));
    let small = format!("n,half,t\r\n{}", lines(3000..3010).replace('\n', "\r\n"));
    let bom = format!("\u{feff}n,half,t\n{}", lines(3010..3011).trim_end());
    let dir =
        dir(&[("a.csv", &big), ("b.csv", &small), ("c.csv", &bom), ("d.csv", "n,half,t\n"), ("e.csv", "")]);
    for on in executors() {
        let df = csv(&on, &at(&dir, "*.csv")).unwrap();
        assert_eq!(types(&df), ["n Int64", "half Float64", "t Utf8"]);
        assert_eq!(df.to_vec::<u32>("n").unwrap(), (0..3011).collect::<Vec<_>>());
        let sum = df.select([col("half").sum()]).unwrap().to_vec::<f64>("half").unwrap();
        assert_eq!(sum, [3010.0 * 3011.0 / 4.0]);
        assert_eq!(df.filter(col("t").eq("text 3004")).unwrap().to_vec::<u32>("n").unwrap(), [3004]);
        // The directory is the same files.
        assert_eq!(csv(&on, dir.path().to_str().unwrap()).unwrap().shape().unwrap(), (3011, 3));
        assert_eq!(df.planned().unwrap().graph.wrong(), None);
    }
}

#[test]
fn types_are_found_at_the_end_of_a_file_too() {
    // Whole numbers for a megabyte, then a float; and a column of nothing at first.
    let mut text = "x,y\n".to_owned();
    (0..150_000).for_each(|i| text.push_str(&format!("{i},NA\n")));
    text.push_str("0.5,late\n");
    let dir = dir(&[("a.csv", &text)]);
    let df = csv(&executors()[1], &at(&dir, "a.csv")).unwrap();
    assert_eq!(types(&df), ["x Float64", "y Utf8"]);
    assert_eq!(df.tail(1).unwrap().rows::<(f64, String)>().unwrap(), [(0.5, "late".to_owned())]);
    assert_eq!(df.select([col("y").count()]).unwrap().to_vec::<i64>("y").unwrap(), [1]);
}

#[test]
fn a_value_that_does_not_fit_is_told_with_its_place() {
    // Far from where types are found: after the head and before the middle.
    let mut text = "n,t\n".to_owned();
    for i in 0..200_000 {
        let value = if i == 60_000 { "sixty".to_owned() } else { i.to_string() };
        text.push_str(&format!("{value},t\n"));
    }
    let dir = dir(&[("a.csv", &text)]);
    for on in executors() {
        let df = csv(&on, &at(&dir, "a.csv")).unwrap();
        assert_eq!(types(&df)[0], "n Int64");
        let error = wrong(&df);
        let file = at(&dir, "a.csv");
        let (column, text, expected) = ("n".to_owned(), "sixty".to_owned(), "Int64".to_owned());
        assert_eq!(error, CsvError::Value { file, line: 60_002, column, text, expected });
        assert!(error.to_string().contains("line 60002, column \"n\": \"sixty\" is no Int64"), "{error}");
        let options = CsvOptions { dtypes: vec![("n".into(), DataType::Utf8)], ..CsvOptions::default() };
        let texts = read_csv(&on, at(&dir, "a.csv"), &options).unwrap();
        assert_eq!(texts.filter(col("n").eq("sixty")).unwrap().shape().unwrap().0, 1);
    }
}

#[test]
fn compressed_files_are_read_as_their_texts() {
    let compressed = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let dir = dir(&[("b.csv", &format!("n,half,t\n{}", lines(60_000..60_010)))]);
    std::fs::write(at(&dir, "a.csv.gz"), compressed(&format!("n,half,t\n{}", lines(0..60_000)))).unwrap();
    let bad = format!("n,half,t\n{}late,1,t\n", lines(0..60_000));
    std::fs::write(at(&dir, "bad.gz"), compressed(&bad)).unwrap();
    for on in executors() {
        let df = csv(&on, dir.path().to_str().unwrap()).unwrap();
        assert_eq!(df.to_vec::<u32>("n").unwrap(), (0..60_010).collect::<Vec<_>>());
        let error = wrong(&csv(&on, &at(&dir, "bad.gz")).unwrap());
        assert!(matches!(&error, CsvError::Value { line: 60_002, text, .. } if text == "late"), "{error}");
    }
}

#[test]
fn a_ragged_row_is_told_with_its_line() {
    let dir = dir(&[("a.csv", "x,y\n1,2\n\n3\n"), ("b.csv", "x,y\n1,2\n3,4,5\n")]);
    let on = &executors()[0];
    let error = wrong(&csv(on, &at(&dir, "a.csv")).unwrap());
    assert_eq!(error, CsvError::Ragged { file: at(&dir, "a.csv"), line: 4, got: 1, expected: 2 });
    let error = wrong(&csv(on, &at(&dir, "b.csv")).unwrap());
    assert_eq!(error, CsvError::Ragged { file: at(&dir, "b.csv"), line: 3, got: 3, expected: 2 });
}

#[test]
fn options_say_how_files_are_read() {
    let text = "made by hand\n\n# a comment\nid;when;mark;quoted\n1;31.12.2024;-;'a;b'\n2;2024-12-31 10:30;7;'c\nd'\n";
    let dir = dir(&[("a.csv", text), ("plain.csv", "1,x\n2,y\n")]);
    let on = &executors()[1];
    let mut options = CsvOptions {
        separator: b';',
        quote: b'\'',
        comment: Some(b'#'),
        skip_rows: 2,
        na_values: vec!["-".into()],
        ..CsvOptions::default()
    };
    let df = read_csv(on, at(&dir, "a.csv"), &options).unwrap();
    assert_eq!(types(&df), ["id Int64", "when Utf8", "mark Int64", "quoted Utf8"]);
    let rows: Vec<(i64, String, Option<i64>, String)> = df.rows().unwrap();
    assert_eq!(rows[0].2, None);
    assert_eq!((rows[0].3.as_str(), rows[1].3.as_str()), ("a;b", "c\nd"));
    options.columns = vec!["when".into(), "id".into()];
    assert_eq!(read_csv(on, at(&dir, "a.csv"), &options).unwrap().columns(), ["id", "when"]);
    options.parse_dates = vec!["when".into()];
    let df = read_csv(on, at(&dir, "a.csv"), &options).unwrap();
    let error = wrong(&df);
    assert!(matches!(&error, CsvError::Value { line: 5, text, .. } if text == "31.12.2024"), "{error}");
    options.dtypes = vec![("nothing".into(), DataType::Utf8)];
    assert!(matches!(read_csv(on, at(&dir, "a.csv"), &options), Err(FrameError::Column { .. })));
    let options = CsvOptions { has_header: false, ..CsvOptions::default() };
    let df = read_csv(on, at(&dir, "plain.csv"), &options).unwrap();
    assert_eq!(df.rows::<(i64, String)>().unwrap(), [(1, "x".to_owned()), (2, "y".to_owned())]);
    assert_eq!(df.columns(), ["column_1", "column_2"]);
}

#[test]
fn files_that_differ_are_one_table_or_an_error_with_both_names() {
    let files = [("a.csv", "x,y\n1,a\n"), ("b.csv", "y,x,z\nb,2.5,true\n"), ("c.csv", "x\nthree\n")];
    let dir = dir(&files);
    for on in executors() {
        let df = csv(&on, &at(&dir, "[ab].csv")).unwrap();
        assert_eq!(types(&df), ["x Float64", "y Utf8", "z Boolean"]);
        let rows: Vec<(f64, String, Option<bool>)> = df.rows().unwrap();
        assert_eq!(rows, [(1.0, "a".to_owned(), None), (2.5, "b".to_owned(), Some(true))]);
        let error = csv(&on, &at(&dir, "*.csv")).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, FrameError::Drift { .. }), "{text}");
        assert!(text.contains("\"x\" is Float64 in") && text.contains("c.csv"), "{text}");
    }
    let on = executors().remove(1);
    let write = |name: &str, columns: Vec<(&str, arrow::array::ArrayRef)>| {
        let df = from_columns(&on, columns).unwrap();
        df.write_parquet(dir.path().join(name), &WriteOptions::default()).unwrap();
    };
    write("1.parquet", vec![("x", values([1_i32, 2])), ("s", values(["a", "b"]))]);
    write("2.parquet", vec![("x", values([3.5])), ("new", values([true]))]);
    write("3.parquet", vec![("x", values(["text"]))]);
    let df = read_parquet(&on, at(&dir, "[12].parquet")).unwrap();
    assert_eq!(df.to_vec::<f64>("x").unwrap(), [1.0, 2.0, 3.5]);
    assert_eq!(df.to_vec::<Option<bool>>("new").unwrap(), [None, None, Some(true)]);
    assert_eq!(df.filter(col("x").gt(1.5)).unwrap().shape().unwrap().0, 2);
    let error = read_parquet(&on, at(&dir, "*.parquet")).unwrap_err().to_string();
    assert!(error.contains("1.parquet") && error.contains("3.parquet"), "{error}");
}

#[test]
fn what_is_no_file_of_the_kind_is_told() {
    let on = &executors()[0];
    let dir = dir(&[("broken.parquet", "no parquet at all"), ("broken.json", "{\"x\": 1}\n{\"x\": ")]);
    let none = |made: Result<DataFrame, FrameError>| {
        assert!(matches!(made, Err(FrameError::NoFile { .. })));
    };
    none(csv(on, &at(&dir, "gone.csv")));
    none(csv(on, dir.path().to_str().unwrap()));
    none(read_parquet(on, at(&dir, "*.nothing")));
    let error = read_parquet(on, at(&dir, "broken.parquet")).unwrap_err();
    assert!(matches!(&error, FrameError::File { path, .. } if path.ends_with("broken.parquet")), "{error}");
    assert!(read_json(on, at(&dir, "broken.json")).and_then(|df| df.collect()).is_err());
    // No kind of store, and in a build without stores none at all.
    assert!(matches!(csv(on, "ftp://host/x.csv"), Err(FrameError::Store(_))));
}

#[test]
fn what_is_written_is_read_again() {
    for on in executors() {
        let dir = dir(&[]);
        let n = 1000_i64;
        let df = from_columns(
            &on,
            [
                ("n", values(0..n)),
                ("f", values((0..n).map(|i| (i % 3 != 0).then_some(i as f64 / 8.0)))),
                ("t", values((0..n).map(|i| (i % 5 != 0).then(|| format!("a \"text\", number {i}"))))),
                ("b", values((0..n).map(|i| i % 2 == 0))),
            ],
        )
        .unwrap();
        let rows: Vec<(i64, Option<f64>, Option<String>, bool)> = df.rows().unwrap();
        for partitioned in [false, true] {
            let options = WriteOptions { partitioned, ..WriteOptions::default() };
            let path = |name: &str| at(&dir, &format!("{name}{}", if partitioned { "s" } else { "" }));
            df.write_csv(path("x.csv"), &options).unwrap();
            df.write_parquet(path("x.parquet"), &options).unwrap();
            df.write_json(path("x.json"), &options).unwrap();
            df.write_ipc(path("x.arrow"), &options).unwrap();
            let read = [
                csv(&on, &path("x.csv")),
                read_parquet(&on, path("x.parquet")),
                read_json(&on, path("x.json")).and_then(|df| df.select(["n", "f", "t", "b"])),
                read_ipc(&on, path("x.arrow")),
            ];
            for (i, read) in read.into_iter().enumerate() {
                let read = read.unwrap();
                assert_eq!(
                    read.rows::<(i64, Option<f64>, Option<String>, bool)>().unwrap(),
                    rows,
                    "{i} {partitioned}"
                );
            }
        }
        unfinished_left(dir.path());
    }
}

fn unfinished_left(dir: &Path) {
    let names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_str().unwrap().to_owned())
        .collect();
    assert!(names.iter().all(|name| !name.starts_with('.')), "{names:?}");
}

#[test]
fn a_write_that_fails_leaves_what_was_there() {
    let on = &executors()[1];
    let dir = dir(&[("x.csv", "old"), ("y.csv", "old")]);
    let df = from_columns(on, [("x", values([1, 0]))]).unwrap();
    let bad = df.select([lit(1).floor_div(col("x")).alias("q")]).unwrap();
    let overwrite = WriteOptions { overwrite: true, ..WriteOptions::default() };
    assert!(bad.write_csv(at(&dir, "x.csv"), &overwrite).is_err());
    let list = df.with_column("l", lit("a,b").str().split(",")).unwrap();
    assert!(matches!(list.write_csv(at(&dir, "x.csv"), &overwrite), Err(FrameError::File { .. })));
    let exists = df.write_csv(at(&dir, "x.csv"), &WriteOptions::default());
    assert!(matches!(exists, Err(FrameError::Exists { .. })));
    assert_eq!(std::fs::read_to_string(at(&dir, "x.csv")).unwrap(), "old");
    assert!(df.write_csv(at(&dir, "no/such/dir.csv"), &overwrite).is_err());
    df.write_csv(at(&dir, "x.csv"), &overwrite).unwrap();
    assert_eq!(std::fs::read_to_string(at(&dir, "x.csv")).unwrap(), "x\n1\n0\n");
    // A file that is replaced by a directory, and that by another one.
    let directory = WriteOptions { partitioned: true, ..overwrite };
    df.write_csv(at(&dir, "y.csv"), &directory).unwrap();
    df.head(1).unwrap().write_csv(at(&dir, "y.csv"), &directory).unwrap();
    assert_eq!(csv(on, &at(&dir, "y.csv")).unwrap().to_vec::<i64>("x").unwrap(), [1]);
    unfinished_left(dir.path());
}

#[test]
fn names_of_files_have_no_meaning() {
    let on = &executors()[0];
    let name = "a b%41#?[x]*.parquet";
    let dir = dir(&[]);
    let df = from_columns(on, [("x", values([1, 2]))]).unwrap();
    df.write_parquet(dir.path().join(name), &WriteOptions::default()).unwrap();
    assert_eq!(read_parquet(on, at(&dir, name)).unwrap().to_vec::<i64>("x").unwrap(), [1, 2]);
    assert_eq!(read_parquet(on, dir.path().to_str().unwrap()).unwrap().shape().unwrap(), (2, 1));
}

/// What reading so many files of a row each costs: plans that are decoded, their bytes, and those of all stages' plans.
fn cost(n_files: u32) -> (u64, u64, u64, u64) {
    let dir = TempDir::new().unwrap();
    for i in 0..n_files {
        std::fs::write(at(&dir, &format!("{i:05}.csv")), format!("n\n{i}\n")).unwrap();
    }
    let runner = || RunnerOptions { n_threads: 2, spill_dir: std::env::temp_dir(), spill_bytes_max: 0 };
    let mut planning = Planning::default();
    planning.n_partitions = 64.try_into().ok();
    let on = LocalExecute::with(runner(), planning).unwrap();
    let planned = csv(&on, &at(&dir, "*.csv")).unwrap().select([col("n").sum()]).unwrap().planned().unwrap();
    let stages = &planned.graph.stages;
    assert_eq!(stages[0].n_tasks, 64);
    let runner = Runner::new(runner()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ran =
        runtime.block_on(run_local(&planned.graph, &planned.schema, &runner, Keep::Batches, 2)).unwrap();
    let sum = ran.partitions[0][0].column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0);
    assert_eq!(sum, i64::from(n_files) * i64::from(n_files - 1) / 2);
    let (n_decoded, bytes_decoded) = runner.plans_decoded();
    let bytes = stages.iter().map(|stage| stage.payload.len() as u64).sum();
    (n_decoded, bytes_decoded, stages.len() as u64, bytes)
}

#[test]
fn ten_times_as_many_files_cost_ten_times_as_much() {
    let [few, many] = [1000, 10_000].map(cost);
    for (n_decoded, bytes_decoded, n_stages, bytes) in [few, many] {
        assert_eq!((n_decoded, bytes_decoded), (n_stages, bytes), "a stage's plan is decoded once");
    }
    assert!(many.1 < 11 * few.1, "{many:?} {few:?}");
}
