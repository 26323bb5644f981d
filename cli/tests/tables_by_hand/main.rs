//! Tables on a cluster that is started by hand, whose workers are this program or `tilework` itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use tilework::Session;
use tilework::dataframe::arrow::array::RecordBatch;
use tilework::dataframe::prelude::*;
use tilework::prelude::*;

/// A started `tilework`, killed with its handle.
struct Process(Child);

impl Process {
    /// Starts one, and waits for the first line that it says.
    fn start(args: &[&str]) -> (Process, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tilework"));
        command.args(args).env_remove("TILEWORK_CONNECTION").env("XDG_CONFIG_HOME", "/nowhere");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Process(child), line)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Err: it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A cluster of workers, of which some are this program, and what becomes of a session on it.
fn on_cluster(n_plain: usize, n_own: usize, work: impl FnOnce(&Session, &Path)) {
    // A session that is connected is the current one.
    static MINE: Mutex<()> = Mutex::new(());
    let _mine = MINE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let file: PathBuf = dir.path().join("private/connection.json");
    let file = file.to_str().unwrap();
    let at = ["--connection-file", file, "--listen", "localhost:0"];
    let (_scheduler, said) = Process::start(&[&["scheduler"][..], &at, &["--output", "json"]].concat());
    assert!(said.contains("addresses"), "{said}");
    let program = std::env::current_exe().unwrap();
    let program = ["--program", program.to_str().unwrap()];
    let worker = |i: usize| {
        let name = format!("worker-{i}");
        let own: &[&str] = if i < n_own { &program } else { &[] };
        let more = ["--name", &name, "--threads", "1", "--memory", "512MiB"];
        let (process, said) = Process::start(&[&["worker"][..], own, &at, &more].concat());
        assert_eq!(said.trim_end(), format!("worker {name} joined"));
        process
    };
    let _workers: Vec<Process> = (0..n_own + n_plain).map(worker).collect();
    let session = Session::connect(file).unwrap();
    work(&session, dir.path());
    drop(session);
    Session::close_current();
}

fn rows(session: &Session) -> DataFrame {
    let x: Vec<i64> = (0..600_000).collect();
    let k: Vec<i64> = x.iter().map(|x| x % 3).collect();
    session.from_columns([("x", values(x)), ("k", values(k))]).unwrap()
}

/// What any worker with tables does.
fn doors(session: &Session, dir: &Path) {
    let kept = rows(session).filter(col("x").lt(300_000)).unwrap().persist().unwrap();
    assert_eq!(kept.shape().unwrap(), (300_000, 2));
    let streamed = kept.collect_stream().unwrap().map(|batch| batch.unwrap().num_rows()).sum::<usize>();
    assert_eq!(streamed, 300_000);
    let array = kept.to_array::<f64>(["x", "k"]).unwrap();
    let sums = array.sum_axis(Axis(0));
    let table = session.from_arrays([("s", &sums)]).unwrap();
    assert_eq!(table.to_vec::<f64>("s").unwrap(), [299_999.0 * 150_000.0, 300_000.0]);
    let again = kept.repartition(3).unwrap();
    let by = WriteOptions { partition_by: vec!["k".into()], ..WriteOptions::default() };
    again.write_parquet(dir.join("t"), &by).unwrap();
    let back =
        session.read_parquet_with(dir.join("t").to_str().unwrap(), &ReadOptions { hive: true }).unwrap();
    assert_eq!(back.filter(col("k").eq(1)).unwrap().shape().unwrap(), (100_000, 2));
}

/// What workers that are this program do.
fn functions(session: &Session) -> Result<(i64, u64), FrameError> {
    let double = |x: i64| x * 2;
    let few = |rows: RecordBatch| rows.slice(0, rows.num_rows().min(10));
    let df = rows(session).with_columns([col("x").map_elements(double)?])?.map_partitions(few)?;
    Ok(df.select([col("x").max(), len()])?.rows::<(i64, u64)>()?[0])
}

#[test]
fn tables_have_all_doors_on_a_cluster_of_plain_workers_and_functions_are_refused_there() {
    on_cluster(2, 0, |session, dir| {
        doors(session, dir);
        let error = functions(session).unwrap_err().to_string();
        assert!(error.contains("build") && error.contains("tilework worker --program"), "{error}");
    });
}

#[test]
fn functions_go_to_workers_that_are_this_program_and_others_do_the_rest() {
    on_cluster(1, 1, |session, dir| {
        doors(session, dir);
        let n = rows(session).planned().unwrap().graph.stages[0].n_tasks;
        let (max, kept) = functions(session).unwrap();
        assert!(max > 600_000 && kept == 10 * n, "{max} {kept}");
    });
}
