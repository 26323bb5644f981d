//! Tables that workers write, and read back.

use crate::kept::sessions;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use tilework::Session;
use tilework::dataframe::arrow::array::RecordBatch;
use tilework::dataframe::prelude::*;

const N: i64 = 300_000;

fn rows(session: &Session) -> DataFrame {
    let x: Vec<i64> = (0..N).collect();
    let k: Vec<Option<String>> = (0..N).map(|i| (i % 4 > 0).then(|| format!("k/{}", i % 4))).collect();
    let y: Vec<i32> = (0..N).map(|i| (2020 + i % 3) as i32).collect();
    session.from_columns([("x", values(x)), ("k", values(k)), ("y", values(y))]).unwrap()
}

fn by(keys: &[&str]) -> WriteOptions {
    let partition_by = keys.iter().map(|key| (*key).to_owned()).collect();
    WriteOptions { partition_by, ..WriteOptions::default() }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn each_task_writes_its_partition_and_they_come_back_in_order() {
    for session in sessions() {
        let dir = tempfile::tempdir().unwrap();
        let df = rows(&session);
        let n = df.planned().unwrap().graph.stages[0].n_tasks as usize;
        assert!(n > 1);
        let options = WriteOptions { partitioned: true, ..WriteOptions::default() };
        let at = |name: &str| dir.path().join(name);
        df.write_parquet(at("p"), &options).unwrap();
        df.write_csv(at("c"), &options).unwrap();
        df.write_json(at("j"), &options).unwrap();
        df.write_ipc(at("i"), &options).unwrap();
        assert_eq!(names(dir.path()), ["c", "i", "j", "p"]);
        let files = names(&at("p"));
        assert_eq!((files.len(), files[0].as_str()), (n, "part-00000.parquet"));
        let want: Vec<i64> = (0..N).collect();
        for back in [
            session.read_parquet(text(&at("p"))),
            session.read_csv(text(&at("c")), &CsvOptions::default()),
            session.read_ipc(text(&at("i"))),
            session.read_json(text(&at("j"))),
        ] {
            assert_eq!(back.unwrap().to_vec::<i64>("x").unwrap(), want);
        }
        let error = df.write_parquet(at("p"), &options).unwrap_err();
        assert!(matches!(error, FrameError::Exists { .. }), "{error}");
        let fewer = df.filter(col("x").lt(5)).unwrap();
        fewer.write_parquet(at("p"), &WriteOptions { overwrite: true, ..options }).unwrap();
        assert_eq!(session.read_parquet(text(&at("p"))).unwrap().shape().unwrap(), (5, 3));
        // One file, to which the rows come through this process.
        df.write_parquet(at("one.parquet"), &WriteOptions::default()).unwrap();
        assert_eq!(session.read_parquet(text(&at("one.parquet"))).unwrap().to_vec::<i64>("x").unwrap(), want);
        assert_eq!(names(dir.path()), ["c", "i", "j", "one.parquet", "p"]);
    }
}

#[test]
fn columns_name_directories_and_are_read_back_from_them() {
    for session in sessions() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let df = rows(&session);
        df.write_parquet(at("p"), &by(&["y", "k"])).unwrap();
        assert_eq!(names(&at("p")), ["y=2020", "y=2021", "y=2022"]);
        let within = names(&at("p/y=2021"));
        assert_eq!(within, ["k=__HIVE_DEFAULT_PARTITION__", "k=k%2F1", "k=k%2F2", "k=k%2F3"]);
        assert_eq!(names(&at("p/y=2021/k=k%2F1")).len(), 1);
        let hive = ReadOptions { hive: true };
        let back = session.read_parquet_with(text(&at("p")), &hive).unwrap();
        assert_eq!(back.columns(), ["x", "y", "k"]);
        type Row = (i64, i64, Option<String>);
        let mut got: Vec<Row> = back.rows().unwrap();
        got.sort();
        let want: Vec<Row> =
            df.select([col("x"), col("y").cast(DataType::Int64), col("k")]).unwrap().rows().unwrap();
        assert_eq!(got, want);
        // Within a directory the rows are in their order, and others are not read.
        let some = back.filter(col("y").eq(2021).and(col("k").eq("k/1"))).unwrap();
        let x: Vec<i64> = some.to_vec("x").unwrap();
        assert!(x.windows(2).all(|w| w[0] < w[1]) && x.len() as i64 == N / 12);
        assert_eq!(some.planned().unwrap().graph.stages[0].n_tasks, 1);
        std::fs::remove_dir_all(at("p/y=2020")).unwrap();
        assert_eq!(some.select([len()]).unwrap().to_vec::<u64>("len").unwrap(), [(N / 12) as u64]);
        let none = back.filter(col("y").eq(1999)).unwrap();
        assert_eq!(none.shape().unwrap(), (0, 3));
        // Names of columns that begin as hidden files do.
        let renamed = df.with_columns([col("y").alias("_y")]).unwrap().drop(["y"]).unwrap();
        renamed.write_parquet(at("u"), &by(&["_y"])).unwrap();
        let back = session.read_parquet_with(text(&at("u")), &hive).unwrap();
        assert_eq!((back.columns().len(), back.shape().unwrap().0), (3, N as usize));

        let few = df.filter(col("x").lt(100)).unwrap();
        few.write_csv(at("c"), &by(&["k"])).unwrap();
        let csv = CsvOptions { hive: true, ..CsvOptions::default() };
        let groups = session.read_csv(text(&at("c")), &csv).unwrap().group_by(["k"]).len().unwrap();
        assert_eq!(groups.to_vec::<u64>("len").unwrap(), [25; 4]);
        few.write_json(at("j"), &by(&["y"])).unwrap();
        few.write_ipc(at("i"), &by(&["y"])).unwrap();
        for back in [
            session.read_json_with(text(&at("j")), &hive).unwrap(),
            session.read_ipc_with(text(&at("i")), &hive).unwrap(),
        ] {
            let years = back.filter(col("y").eq(2020)).unwrap().select([col("x").count()]).unwrap();
            assert_eq!(years.to_vec::<i64>("x").unwrap(), [34]);
        }
    }
}

#[test]
fn mistakes_of_writing_leave_nothing_behind() {
    let [session, _] = sessions();
    let dir = tempfile::tempdir().unwrap();
    let df = rows(&session);
    let at = dir.path().join("t");
    let error = df.write_parquet(&at, &by(&["Y"])).unwrap_err();
    assert!(matches!(error, FrameError::Column { .. }), "{error}");
    let error = df.select(["x", "y"]).unwrap().write_parquet(&at, &by(&["x", "y"])).unwrap_err();
    assert!(matches!(error, FrameError::Argument { argument: "partition_by", .. }), "{error}");
    // A query that fails in the middle.
    let bad = df.with_column("z", lit(1_i64).floor_div(col("x") - (N - 1))).unwrap();
    for options in [WriteOptions { partitioned: true, ..WriteOptions::default() }, WriteOptions::default()] {
        let error = bad.write_parquet(&at, &options).unwrap_err().to_string();
        assert!(error.contains("zero"), "{error}");
    }
    let error = df.write_parquet("/no/such/directory/t", &by(&["y"])).unwrap_err();
    assert!(matches!(error, FrameError::File { .. }), "{error}");
    assert!(names(dir.path()).is_empty(), "{:?}", names(dir.path()));
    // Directories that name other columns than others.
    std::fs::create_dir_all(dir.path().join("h/a=1")).unwrap();
    std::fs::create_dir_all(dir.path().join("h/b=1")).unwrap();
    for sub in ["a=1", "b=1"] {
        std::fs::write(dir.path().join("h").join(sub).join("x.json"), "{\"x\": 1}\n").unwrap();
    }
    let hive = ReadOptions { hive: true };
    let error = session.read_json_with(text(&dir.path().join("h")), &hive).unwrap_err().to_string();
    assert!(error.contains("name b, those of the first file a"), "{error}");
    let error = session.read_json_with(text(&dir.path().join("none")), &hive).unwrap_err();
    assert!(matches!(error, FrameError::NoFile { .. }), "{error}");
}

/// Keeps the tasks of a write from ending before the file is there; says of each that runs where it runs.
fn held_up(rows: RecordBatch, signs: &Signs) -> RecordBatch {
    if rows.num_rows() > 0 {
        let sign = signs.path("running");
        std::fs::write(sign.with_file_name(format!("pid-{}", std::process::id())), "").unwrap();
        while !signs.path("go").exists() {
            std::thread::yield_now();
        }
    }
    rows
}

/// A directory whose name travels.
#[derive(Clone, Copy)]
struct Signs([u8; 96]);

impl Signs {
    fn of(dir: &Path) -> Signs {
        let mut name = [0; 96];
        name[..text(dir).len()].copy_from_slice(text(dir).as_bytes());
        Signs(name)
    }

    fn path(&self, name: &str) -> PathBuf {
        let end = self.0.iter().position(|b| *b == 0).unwrap();
        Path::new(std::str::from_utf8(&self.0[..end]).unwrap()).join(name)
    }
}

impl tilework::Params for Signs {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.0);
    }
    fn read(bytes: &mut &[u8]) -> Option<Signs> {
        let (name, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(Signs(*name))
    }
}

#[test]
fn a_worker_that_is_killed_while_it_writes_leaves_no_trace_of_its_files() {
    let (dir, signs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let session = Session::processes(2).unwrap();
    let slow = rows(&session).map_partitions_with(Signs::of(signs.path()), held_up).unwrap();
    let at = dir.path().join("t");
    std::thread::scope(|scope| {
        let written = scope.spawn(|| slow.write_parquet(&at, &by(&["y"])));
        let pid = loop {
            let found = names(signs.path()).iter().find_map(|name| name.strip_prefix("pid-")?.parse().ok());
            if let Some(pid) = found {
                break pid;
            }
            std::thread::yield_now();
        };
        assert!(!at.exists());
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        std::fs::write(signs.path().join("go"), "").unwrap();
        written.join().unwrap().unwrap();
    });
    assert_eq!(names(dir.path()), ["t"]);
    let back = session.read_parquet_with(text(&at), &ReadOptions { hive: true }).unwrap();
    let mut x: Vec<i64> = back.to_vec("x").unwrap();
    x.sort_unstable();
    assert_eq!(x, (0..N).collect::<Vec<_>>());
    assert!(["y=2020", "y=2021", "y=2022"].iter().all(|sub| names(&at.join(sub)).len() == 1));
}
