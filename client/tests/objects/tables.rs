//! Tables in object stores: read by an URL, by several, by a pattern, by directories; only what is asked for is fetched;
//! written so that nobody sees half; and what cannot be is said by its type.

use crate::server::{LOCKED, SECRET, Server, server};
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};
use tilework::dataframe::prelude::*;
use tilework::dataframe::{DataError, FormatError, Paths, TaskError};
use tilework::{EmbeddedOptions, Session};

const N: i64 = 200_000;

/// The store with a bucket of the test's own.
fn store(bucket: &str) -> &'static Server {
    let server = server();
    server.bucket(bucket);
    server
}

fn sessions() -> [Session; 2] {
    let two = EmbeddedOptions { workers: 2, ..EmbeddedOptions::default() };
    [Session::embedded_with(&two).unwrap(), Session::processes(2).unwrap()]
}

fn rows(session: &Session, n: i64) -> DataFrame {
    let x: Vec<i64> = (0..n).collect();
    let k: Vec<Option<String>> = (0..n).map(|i| (i % 4 > 0).then(|| format!("k/{}", i % 4))).collect();
    // Bytes that no encoding makes small.
    let wide: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
    session.from_columns([("x", values(x)), ("k", values(k)), ("wide", values(wide))]).unwrap()
}

fn plain() -> WriteOptions {
    WriteOptions::default()
}

fn partitioned() -> WriteOptions {
    WriteOptions { partitioned: true, ..WriteOptions::default() }
}

fn by(key: &str) -> WriteOptions {
    WriteOptions { partition_by: vec![key.to_owned()], ..WriteOptions::default() }
}

fn over(options: WriteOptions) -> WriteOptions {
    WriteOptions { overwrite: true, ..options }
}

fn x_of(table: Result<DataFrame, FrameError>) -> Vec<i64> {
    let mut x: Vec<i64> = table.unwrap().to_vec("x").unwrap();
    x.sort_unstable();
    x
}

#[test]
fn tables_are_written_and_read_back_in_each_format_and_shape() {
    let server = store("shapes");
    let csv = CsvOptions::default();
    for (session, at) in sessions().iter().zip(["embedded", "processes"]) {
        let df = rows(session, N);
        let all: Vec<i64> = (0..N).collect();
        let url = |name: &str| format!("s3://shapes/{at}/{name}");
        df.write_parquet(url("one.parquet"), &plain()).unwrap();
        df.write_csv(url("one.csv"), &plain()).unwrap();
        df.write_json(url("one.json"), &plain()).unwrap();
        df.write_ipc(url("one.arrow"), &plain()).unwrap();
        df.write_parquet(url("p"), &partitioned()).unwrap();
        df.write_csv(url("c"), &partitioned()).unwrap();
        df.write_json(url("j"), &partitioned()).unwrap();
        df.write_ipc(url("i"), &partitioned()).unwrap();
        // In their order, and not only all of them.
        let same = |table: Result<DataFrame, FrameError>| {
            assert_eq!(table.unwrap().to_vec::<i64>("x").unwrap(), all);
        };
        same(session.read_parquet(url("one.parquet")));
        same(session.read_csv(url("one.csv"), &csv));
        same(session.read_json(url("one.json")));
        same(session.read_ipc(url("one.arrow")));
        same(session.read_parquet(url("p")));
        same(session.read_csv(url("c"), &csv));
        same(session.read_json(url("j/")));
        same(session.read_ipc(url("i")));
        same(session.read_parquet(url("p/*")));
        same(session.read_csv(url("**/part-?????.csv"), &csv));
        // The same rows, bit by bit, as from files.
        let dir = tempfile::tempdir().unwrap();
        df.write_parquet(dir.path().join("p"), &partitioned()).unwrap();
        let here = format!("file://{}", dir.path().join("p").display());
        let sum =
            |table: DataFrame| table.select([col("wide").sum()]).unwrap().to_vec::<f64>("wide").unwrap();
        assert_eq!(sum(session.read_parquet(&here).unwrap()), sum(session.read_parquet(url("p")).unwrap()));
        // Directories that name columns.
        df.write_parquet(url("h"), &by("k")).unwrap();
        df.write_csv(url("hc"), &by("k")).unwrap();
        let back = session.read_parquet_with(url("h"), &ReadOptions { hive: true }).unwrap();
        assert_eq!(back.columns(), ["x", "wide", "k"]);
        assert_eq!(x_of(back.filter(col("k").eq("k/3"))), (0..N).filter(|x| x % 4 == 3).collect::<Vec<_>>());
        let back = session.read_csv(url("hc"), &CsvOptions { hive: true, ..CsvOptions::default() }).unwrap();
        assert_eq!(x_of(back.filter(col("k").is_null())), (0..N).step_by(4).collect::<Vec<_>>());
    }
    assert_eq!(server.n_open_uploads("shapes"), 0);
    let keys = server.keys("shapes");
    assert!(!keys.iter().any(|key| key.contains("_tilework")), "{keys:?}");
    assert!(keys.contains(&"embedded/p/_SUCCESS".to_owned()), "{keys:?}");
    assert!(keys.iter().any(|key| key.starts_with("embedded/h/k=k%2F1/part-")), "{keys:?}");
}

#[test]
fn several_urls_are_one_table_and_http_servers_are_read() {
    let server = store("several");
    let session = &sessions()[1];
    let url = |name: &str| format!("s3://several/{name}");
    for (name, from) in [("a.parquet", 0), ("b.parquet", 5)] {
        rows(session, 10).filter(col("x").gt_eq(from)).unwrap().write_parquet(url(name), &plain()).unwrap();
    }
    let x = |table: Result<DataFrame, FrameError>| table.unwrap().to_vec::<i64>("x").unwrap();
    let both: Vec<i64> = (5..10).chain(0..10).collect();
    assert_eq!(x(session.read_parquet([url("b.parquet"), url("a.parquet")])), both);
    let http = |name: &str| format!("{}/several/{name}", server.http());
    assert_eq!(x(session.read_parquet(&[http("b.parquet"), http("a.parquet")])), both);
    server.put("several", "c.csv", "x,y\n1,a\n2,b\n");
    assert_eq!(x(session.read_csv(http("c.csv"), &CsvOptions::default())), [1, 2]);
    let mut gz = Vec::new();
    {
        use std::io::Write;
        let mut text = flate2::write::GzEncoder::new(&mut gz, flate2::Compression::default());
        text.write_all(b"x,y\n7,a\n8,b\n").unwrap();
        text.finish().unwrap();
    }
    server.put("several", "d.csv.gz", gz);
    assert_eq!(x(session.read_csv(url("d.csv.gz"), &CsvOptions::default())), [7, 8]);

    let argument = |paths: [String; 2]| match session.read_parquet(paths).err().unwrap() {
        FrameError::Argument { reason, .. } => reason,
        other => panic!("{other}"),
    };
    assert!(argument([url("a.parquet"), http("a.parquet")]).contains("`concat`"));
    assert!(argument([url("a.parquet"), url("*.parquet")]).contains("another path means too"));
    // A server says neither what it has, nor takes anything.
    let store_error = |result: Result<(), FrameError>| match result.unwrap_err() {
        FrameError::Store(error) => error,
        other => panic!("{other}"),
    };
    let error = store_error(session.read_parquet(http("*.parquet")).map(drop));
    assert!(matches!(&*error, FormatError::NoListing { .. }), "{error}");
    let error = store_error(rows(session, 3).write_parquet(http("new.parquet"), &plain()));
    assert!(matches!(&*error, FormatError::Unsupported { .. }), "{error}");
    let error = store_error(session.read_parquet(http("a.parquet?sig=of-someone")).map(drop));
    assert!(
        matches!(&*error, FormatError::Invalid { .. }) && !error.to_string().contains("someone"),
        "{error}"
    );
}

#[test]
fn only_the_bytes_that_a_query_needs_are_fetched() {
    let server = store("pruned");
    let session = &sessions()[0];
    let n = 2_000_000;
    let df = rows(session, n);
    df.write_parquet("s3://pruned/t.parquet", &plain()).unwrap();
    let all = server.get("pruned", "t.parquet").unwrap().len() as u64;
    let served = |make: &dyn Fn() -> i64, expected: i64| {
        let before = server.served_bytes("pruned");
        assert_eq!(make(), expected);
        server.served_bytes("pruned") - before
    };
    let read = || session.read_parquet("s3://pruned/t.parquet").unwrap();
    let sum = |table: DataFrame, of: &str| {
        table.select([col(of).sum().cast(DataType::Int64)]).unwrap().to_vec::<i64>(of).unwrap()[0]
    };
    let whole = served(
        &|| {
            read()
                .filter(col("k").is_null().or(col("wide").lt(2.0)))
                .unwrap()
                .collect()
                .unwrap()
                .iter()
                .map(|rows| rows.num_rows() as i64)
                .sum()
        },
        n,
    );
    assert!(whole > all / 2, "{whole} of {all}");
    // One column of three, and that the smallest.
    let column = served(&|| sum(read(), "x"), n * (n - 1) / 2);
    assert!(column < all * 2 / 3, "{column} of {all}");
    // Row groups that cannot have such rows.
    let some = || read().filter(col("x").lt(1000)).unwrap();
    let pruned = served(&|| sum(some().select(["x"]).unwrap(), "x"), 999 * 1000 / 2);
    assert!(pruned < column / 2, "{pruned} of {column}");
    let text = some().explain().unwrap();
    assert!(text.contains("PinnedExec: objects=1") && text.contains("pruning_predicate"), "{text}");
    assert!(!text.contains("of the test") && !text.contains("tester"), "{text}");
    // The number of rows is in the footer.
    let counted = served(&|| read().shape().unwrap().0 as i64, n);
    assert!(counted < 2 << 20, "{counted} of {all}");
    // The columns of lines of JSON are in the first ones.
    server.put("pruned", "t.json", "{\"x\": 1}\n".repeat(500_000));
    let before = server.served_bytes("pruned");
    let json = session.read_json("s3://pruned/t.json").unwrap();
    assert!(server.served_bytes("pruned") - before < 1 << 20);
    assert_eq!(json.shape().unwrap(), (500_000, 1));
    // Planning asks nobody.
    let table = read();
    let before = server.n_requests("pruned");
    table.filter(col("x").lt(1000)).unwrap().planned().unwrap();
    assert_eq!(server.n_requests("pruned"), before);
}

#[test]
fn an_object_that_has_changed_or_gone_is_named_by_the_task_that_reads_it() {
    let server = store("changes");
    for (session, at) in sessions().iter().zip(["embedded", "processes"]) {
        let url = |name: &str| format!("s3://changes/{at}/{name}");
        let df = rows(session, 1000);
        df.write_parquet(url("t.parquet"), &plain()).unwrap();
        df.write_csv(url("t.csv"), &plain()).unwrap();
        df.write_json(url("t.json"), &plain()).unwrap();
        let tables = [
            session.read_parquet(url("t.parquet")).unwrap(),
            session.read_csv(url("t.csv"), &CsvOptions::default()).unwrap(),
            session.read_json(url("t.json")).unwrap(),
        ];
        let failed = |table: &DataFrame| match table.filter(col("x").gt(3)).unwrap().collect().unwrap_err() {
            FrameError::Task { error: TaskError::Data(error), .. } => error,
            other => panic!("{other}"),
        };
        for (table, name) in tables.iter().zip(["t.parquet", "t.csv", "t.json"]) {
            assert_eq!(table.shape().unwrap().0, 1000);
            // The same bytes, but written anew.
            let key = format!("{at}/{name}");
            server.put("changes", &key, server.get("changes", &key).unwrap());
            let error = failed(table);
            assert!(matches!(&error, DataError::Changed { path } if *path == url(name)), "{error:?}");
            server.remove("changes", &key);
            let error = failed(table);
            assert!(matches!(&error, DataError::NoFile { path } if *path == url(name)), "{error:?}");
        }
    }
}

#[test]
fn a_worker_that_may_not_read_any_more_says_so() {
    let server = store("closing");
    let mut names = ["embedded", "processes"].into_iter();
    let tables = sessions().map(|session| {
        let url = format!("s3://closing/{}", names.next().unwrap());
        rows(&session, 1000).write_parquet(&url, &plain()).unwrap();
        (session.read_parquet(&url).unwrap(), url, session)
    });
    server.lock("closing");
    for (table, url, _session) in &tables {
        match table.filter(col("x").gt(3)).unwrap().collect().unwrap_err() {
            FrameError::Task { error: TaskError::Data(DataError::Denied { path, reason }), .. } => {
                assert!(path == *url && reason.contains("AWS_SECRET_ACCESS_KEY"), "{path}: {reason}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_cannot_be_read_or_written_says_why_by_its_type() {
    let server = store("errors");
    server.bucket(&format!("{LOCKED}-errors"));
    let [embedded, processes] = sessions();
    let df = rows(&processes, 1000);
    df.write_parquet("s3://errors/sales/2024.parquet", &plain()).unwrap();
    match embedded.read_parquet("s3://errors/sales/2042.parquet").unwrap_err() {
        FrameError::NoFile { path, nearest } => {
            assert_eq!(
                (path.as_str(), nearest),
                ("s3://errors/sales/2042.parquet", vec!["2024.parquet".to_owned()])
            );
        }
        other => panic!("{other}"),
    }
    let error = embedded.read_parquet("s3://errors/none/*.parquet").unwrap_err();
    assert!(matches!(error, FrameError::NoFile { .. }), "{error}");
    let store_error = |result: Result<(), FrameError>| match result.unwrap_err() {
        FrameError::Store(error) => error,
        other => panic!("{other}"),
    };
    let read = |paths: &str| store_error(embedded.read_parquet(paths).map(drop));
    let error = read("s3://no-such-bucket/t.parquet");
    assert!(matches!(&*error, FormatError::NoBucket { .. }), "{error}");
    let locked = format!("s3://{LOCKED}-errors/t");
    for error in [
        read(&locked),
        read(&format!("{locked}/*.parquet")),
        store_error(embedded.read_csv(locked.as_str(), &CsvOptions::default()).map(drop)),
        store_error(df.write_parquet(&locked, &plain())),
        store_error(df.write_parquet(&locked, &partitioned())),
    ] {
        let FormatError::Denied { path, reason } = &*error else { panic!("{error}") };
        assert!(
            path.starts_with(&locked)
                && reason.contains("AWS_ACCESS_KEY_ID")
                && !reason.contains("of the test")
        );
    }
    // Some objects may be listed and not be read; where the task finds that out, it says so.
    for ending in ["parquet", "csv", "json", "arrow"] {
        let key = format!("{SECRET}/{ending}/a.{ending}");
        server.put("errors", &key, server.get("errors", "sales/2024.parquet").unwrap());
        let url = format!("s3://errors/{SECRET}/{ending}");
        let error = store_error(match ending {
            "csv" => embedded.read_csv(url, &CsvOptions::default()).map(drop),
            "json" => embedded.read_json(url).map(drop),
            "arrow" => embedded.read_ipc(url).map(drop),
            _ => embedded.read_parquet(url).map(drop),
        });
        assert!(matches!(&*error, FormatError::Denied { .. }), "{ending}: {error}");
    }
    // Nobody is there.
    let began = Instant::now();
    let error = read("http://127.0.0.1:9/t.parquet");
    assert!(matches!(&*error, FormatError::Unreachable { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // No footer, and types that do not go together.
    let broken = server.get("errors", "sales/2024.parquet").unwrap();
    server.put("errors", "broken.parquet", broken.slice(..broken.len() - 100));
    match embedded.read_parquet("s3://errors/broken.parquet").unwrap_err() {
        FrameError::File { path, .. } => assert_eq!(path, "s3://errors/broken.parquet"),
        other => panic!("{other}"),
    }
    let text = df.select([col("k").alias("x")]).unwrap();
    text.write_parquet("s3://errors/sales/2025.parquet", &plain()).unwrap();
    match embedded.read_parquet("s3://errors/sales").unwrap_err() {
        FrameError::Drift { first_file, second_file, .. } => {
            let files = [first_file, second_file];
            assert_eq!(files, ["s3://errors/sales/2024.parquet", "s3://errors/sales/2025.parquet"]);
        }
        other => panic!("{other}"),
    }
    let error = df.write_parquet("s3://errors", &over(plain())).unwrap_err();
    assert!(matches!(error, FrameError::Argument { .. }), "{error}");
    server.put(
        "errors",
        "bad.csv",
        format!("x,y\n{}oops,3\n{}", "1,2\n".repeat(300_000), "1,2\n".repeat(900_000)),
    );
    let read = processes.read_csv("s3://errors/bad.csv", &CsvOptions::default()).unwrap();
    match read.collect().unwrap_err() {
        FrameError::Task { error: TaskError::Data(DataError::Csv(error)), .. } => {
            let text = error.to_string();
            assert!(text.contains("s3://errors/bad.csv, line 300002, column \"x\": \"oops\""), "{text}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_place_that_is_taken_is_kept_or_replaced_and_a_write_that_fails_leaves_nothing() {
    let server = store("places");
    for (session, at) in sessions().iter().zip(["embedded", "processes"]) {
        let (df, few) = (rows(session, N), rows(session, 10));
        let url = |name: &str| format!("s3://places/{at}/{name}");
        let of = |name: &str| {
            let start = format!("{at}/{name}");
            server.keys("places").into_iter().filter(|key| key.starts_with(&start)).collect::<Vec<_>>()
        };
        let is_taken = |result: Result<(), FrameError>| {
            let error = result.unwrap_err();
            assert!(matches!(error, FrameError::Exists { .. }), "{error}");
        };
        df.write_parquet(url("t"), &partitioned()).unwrap();
        let n = of("t/").len();
        assert!(n > 2);
        is_taken(few.write_parquet(url("t"), &partitioned()));
        is_taken(few.write_parquet(url("t"), &plain()));
        // A query that fails in the middle, beside what is there and where nothing is.
        let bad = df.with_column("z", lit(1_i64).floor_div(col("x") - (N - 1))).unwrap();
        for options in [plain(), partitioned(), by("k")] {
            let error = bad.write_parquet(url("t"), &over(options.clone())).unwrap_err().to_string();
            assert!(error.contains("zero"), "{error}");
            let error = bad.write_parquet(url("new"), &options).unwrap_err().to_string();
            assert!(error.contains("zero"), "{error}");
        }
        // Tasks that hear late that all has failed may still end an object: that is cleared soon after.
        let began = Instant::now();
        while (of("t").len(), of("new").len()) != (n, 0) {
            assert!(began.elapsed() < Duration::from_secs(60), "{:?} {:?}", of("t"), of("new"));
            std::thread::yield_now();
        }
        assert_eq!(x_of(session.read_parquet(url("t"))).len() as i64, N);
        // Fewer objects than before, then one in the place of several, and several in the place of one.
        few.write_parquet(url("t"), &over(partitioned())).unwrap();
        assert_eq!(of("t"), [format!("{at}/t/_SUCCESS"), format!("{at}/t/part-00000.parquet")]);
        few.write_parquet(url("t"), &over(plain())).unwrap();
        assert_eq!(of("t"), [format!("{at}/t")]);
        few.write_csv(url("t"), &over(by("k"))).unwrap();
        assert!(of("t").iter().all(|key| key.starts_with(&format!("{at}/t/"))), "{:?}", of("t"));
    }
    assert_eq!(server.n_open_uploads("places"), 0);
}

#[test]
fn an_object_of_several_parts_is_there_when_all_are() {
    let server = store("parts");
    let session = &sessions()[0];
    // Text of 50 MB, of which parts are sent while rows come.
    let n = 1_500_000;
    let df = rows(session, n);
    server.hold("parts", true);
    let url = "s3://parts/t.csv";
    std::thread::scope(|scope| {
        let written = scope.spawn(|| df.write_csv(url, &plain()));
        while server.n_waiting("parts") == 0 {
            std::thread::yield_now();
        }
        assert_eq!((server.keys("parts").len(), server.n_open_uploads("parts")), (0, 1));
        server.hold("parts", false);
        written.join().unwrap().unwrap();
    });
    assert_eq!((server.keys("parts"), server.n_open_uploads("parts")), (vec!["t.csv".to_owned()], 0));
    let back = session.read_csv(url, &CsvOptions::default()).unwrap();
    assert_eq!(back.select([col("x").sum()]).unwrap().to_vec::<i64>("x").unwrap(), [n * (n - 1) / 2]);
}

#[test]
fn a_worker_that_is_killed_while_it_reads_changes_no_bit() {
    let server = store("killed");
    let session = Session::processes(2).unwrap();
    let df = rows(&session, N);
    df.write_parquet("s3://killed/t", &partitioned()).unwrap();
    let sum = session.read_parquet("s3://killed/t").unwrap().select([col("wide").sum()]).unwrap();
    let expected: Vec<f64> = sum.to_vec("wide").unwrap();
    let pids = tilework::gather(session.map(|_: u32| std::process::id(), 0..64).unwrap()).unwrap();
    server.hold("killed", true);
    let again = std::thread::scope(|scope| {
        let again = scope.spawn(|| sum.to_vec::<f64>("wide"));
        while server.n_waiting("killed") == 0 {
            std::thread::yield_now();
        }
        kill_process(Pid::from_raw(pids[0] as i32).unwrap(), Signal::KILL).unwrap();
        server.hold("killed", false);
        again.join().unwrap().unwrap()
    });
    assert_eq!(again, expected);
}

/// What a path may be said as.
#[test]
fn paths_are_said_in_any_form() {
    fn n(paths: impl Paths) -> usize {
        paths.paths().len()
    }
    let (one, two) = ("a".to_owned(), vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(
        (n("a"), n(&one), n(one.clone()), n(["a", "b"]), n(&two), n(two.as_slice()), n(two.clone())),
        (1, 1, 1, 2, 2, 2, 2)
    );
}
