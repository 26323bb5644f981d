//! Arrays in files.

use crate::support::check;
use ndarray::Array2 as Nd2;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tilework::io::{IfExists, ZarrCodec, ZarrOptions, ZarrVersion};
use tilework::prelude::*;
use tilework::{DType, Error};

fn table() -> Nd2<f64> {
    Nd2::from_shape_fn((37, 23), |(i, j)| i as f64 * 0.5 - j as f64)
}

#[test]
fn npy_there_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    Array::from_ndarray(table(), [10, 7]).write_npy(&path).unwrap();
    let whole = Array2::<f64>::read_npy(&path).unwrap();
    check(&whole, &table());
    let cut = Array2::<f64>::read_npy_chunked(&path, [8, -1]).unwrap();
    assert_eq!(cut.chunks()[0], [8, 8, 8, 8, 5]);
    check(&(&cut.t() * 2.0), &(&table().t() * 2.0));
    check(&ArrayD::<f64>::read_npy(&path).unwrap(), &table().into_dyn());
    Array2::<u8>::zeros((0, 3)).write_npy(&path).unwrap();
    assert_eq!(Array2::<u8>::read_npy(&path).unwrap().compute().dim(), (0, 3));
    arr0(true).write_npy(&path).unwrap();
    assert!(Array0::<bool>::read_npy(&path).unwrap().into_scalar());
}

#[test]
fn zarr_there_and_back() {
    let _mine = crate::support::processes_are_mine();
    for n in [None, Some(2)] {
        let session = n.map(|n| Session::processes(n).unwrap());
        let dir = tempfile::tempdir().unwrap();
        let a = Array::from_ndarray(table(), [10, 7]);
        let odd = a.slice(s![1.., 2..]).to_owned();
        for version in [ZarrVersion::V2, ZarrVersion::V3] {
            let store = dir.path().join(format!("{version:?}"));
            let options =
                |chunks: Option<Vec<usize>>| ZarrOptions { version, chunks, ..ZarrOptions::default() };
            a.write_zarr_with(&store, "own", &options(None)).unwrap();
            odd.write_zarr_with(&store, "group/odd", &options(Some(vec![16, 5]))).unwrap();
            check(&Array2::<f64>::read_zarr(&store, "own").unwrap(), &table());
            let back = Array2::<f64>::read_zarr_chunked(&store, "group/odd", 9).unwrap();
            check(&back, &table().slice(ndarray::s![1.., 2..]).to_owned());
        }
        let store = dir.path().join("shards");
        let shards = ZarrOptions {
            chunks: Some(vec![5, 5]),
            shards: Some(vec![20, 10]),
            codec: ZarrCodec::Blosc { level: 3 },
            axis_names: vec!["y".into(), "x".into()],
            ..ZarrOptions::default()
        };
        a.write_zarr_with(&store, "", &shards).unwrap();
        check(&Array2::<f64>::read_zarr(&store, "").unwrap(), &table());
        Array1::<i32>::zeros(0).write_zarr(dir.path().join("none"), "").unwrap();
        assert!(Array1::<i32>::read_zarr(dir.path().join("none"), "").unwrap().is_empty());
        assert!(session.is_none_or(|s| s.n_tasks_done() > 0));
    }
    Session::close_current();
}

/// The bytes of an `.npy` file in column-major order.
fn fortran_npy(a: &Nd2<f64>) -> Vec<u8> {
    let (rows, columns) = a.dim();
    let mut dict = format!("{{'descr': '<f8', 'fortran_order': True, 'shape': ({rows}, {columns}), }}");
    while (dict.len() + 11) % 64 != 0 {
        dict.push(' ');
    }
    dict.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((dict.len() as u16).to_le_bytes());
    bytes.extend(dict.bytes());
    a.t().iter().for_each(|x| bytes.extend(x.to_le_bytes()));
    bytes
}

/// Slices of an array from a file have the elements of those of one in memory.
fn parts_are_equal(x: &Array2<f64>, b: &Nd2<f64>) {
    check(&x.slice(s![17..18, 3..4]).to_owned(), &b.slice(ndarray::s![17..18, 3..4]).to_owned());
    check(&x.row(17).to_owned(), &b.row(17).to_owned());
    check(&x.column(199).to_owned(), &b.column(199).to_owned());
    check(&x.slice(s![..;50, ..]).to_owned(), &b.slice(ndarray::s![..;50, ..]).to_owned());
    check(&x.slice(s![5..290;-7, 3..;11]).to_owned(), &b.slice(ndarray::s![5..290;-7, 3..;11]).to_owned());
    check(&x.t().slice(s![..;-60, 2..9;3]).to_owned(), &b.t().slice(ndarray::s![..;-60, 2..9;3]).to_owned());
    check(
        &(x * 2.0 + 1.0).slice(s![..;100, 4]).to_owned(),
        &(b * 2.0 + 1.0).slice(ndarray::s![..;100, 4]).to_owned(),
    );
    check(&(x.row(3).to_owned() + x.row(211)), &(&b.row(3) + &b.row(211)));
    check(
        &(x - &x.row(3)).slice(s![100.., ..]).to_owned(),
        &(b - &b.row(3)).slice(ndarray::s![100.., ..]).to_owned(),
    );
    check(
        &x.slice(s![..;40, ..]).rechunk([3, 7]).map_overlap(1, tilework::Boundary::Nearest, |b| b.to_owned()),
        &b.slice(ndarray::s![..;40, ..]).to_owned(),
    );
    let rows: Vec<_> = (0..300).rev().step_by(9).map(|i| x.row(i).to_owned()).collect();
    let expected = b.select(ndarray::Axis(0), &(0..300).rev().step_by(9).collect::<Vec<_>>());
    check(&tilework::try_stack(Axis(0), &rows).expect("rows of one length"), &expected);
    check(x, b);
}

#[test]
fn a_slice_of_a_file_reads_what_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let b = Nd2::from_shape_fn((300, 200), |(i, j)| (i * 1000 + j) as f64);
    let a = Array::from_ndarray(b.clone(), [100, 200]);
    let store = |name: &str, options: ZarrOptions| {
        a.write_zarr_with(dir.path().join(name), "a", &options).unwrap();
        Array2::<f64>::read_zarr(dir.path().join(name), "a").unwrap()
    };
    let chunks = Some(vec![20, 10]);
    let small = store("small", ZarrOptions { chunks: chunks.clone(), ..ZarrOptions::default() });
    let v2 = ZarrOptions { version: ZarrVersion::V2, chunks, ..ZarrOptions::default() };
    let shards = ZarrOptions {
        chunks: Some(vec![10, 10]),
        shards: Some(vec![100, 50]),
        codec: ZarrCodec::None,
        ..ZarrOptions::default()
    };
    a.write_npy(dir.path().join("a.npy")).unwrap();
    std::fs::write(dir.path().join("f.npy"), fortran_npy(&b)).unwrap();
    let arrays = [
        small.clone(),
        store("v2", v2),
        store("shards", shards),
        Array::read_npy(dir.path().join("a.npy")).unwrap(),
        Array::read_npy(dir.path().join("f.npy")).unwrap(),
        Array::read_npy_chunked(dir.path().join("f.npy"), [70, 30]).unwrap(),
    ];
    arrays.iter().for_each(|x| parts_are_equal(x, &b));
    // What is said before is what is read, and no more than the stored chunks that hold the slice.
    for (part, bytes) in [
        (small.slice(s![17..18, 3..4]).to_owned(), 20 * 10 * 8),
        (small.slice(s![17..18, ..]).to_owned(), 20 * 200 * 8),
        (small.slice(s![..;100, ..;50]).to_owned(), 3 * 4 * 20 * 10 * 8),
        (arrays[4].slice(s![.., 7..8]).to_owned(), 300 * 8),
        (arrays[3].slice(s![8..9, ..]).to_owned(), 200 * 8),
    ] {
        let plan = part.explain();
        assert_eq!(plan.forecast().unwrap().bytes_read, bytes, "{plan}");
        let _ = part.compute();
        assert_eq!(part.explain().run().unwrap().bytes_read, bytes, "{plan}");
    }
}

#[test]
fn zarr_is_replaced_only_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let a = Array2::<f64>::in_chunks(2).ones((4, 4));
    a.write_zarr(dir.path(), "a").unwrap();
    let error = a.write_zarr(dir.path(), "a").unwrap_err();
    assert!(matches!(error, Error::Format(_)) && error.to_string().contains("exists already"), "{error}");
    let replace = ZarrOptions { if_exists: IfExists::Replace, ..ZarrOptions::default() };
    (&a * 2.0).write_zarr_with(dir.path(), "a", &replace).unwrap();
    assert_eq!(Array2::<f64>::read_zarr(dir.path(), "a").unwrap().sum(), 32.0);
    let senseless = ZarrOptions { chunks: Some(vec![0, 2]), ..ZarrOptions::default() };
    assert!(a.write_zarr_with(dir.path(), "b", &senseless).unwrap_err().to_string().contains("[0, 2]"));
}

#[test]
fn what_is_in_the_file_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    Array::from(table()).write_npy(&path).unwrap();
    match Array2::<f32>::read_npy(&path).unwrap_err() {
        Error::DType { got: DType::F64, expected: DType::F32, what } => assert!(what.ends_with("a.npy")),
        other => panic!("{other}"),
    }
    let error = Array3::<f64>::read_npy(&path).unwrap_err();
    assert!(error.to_string().ends_with("a.npy has 2 dimensions, expected 3"), "{error}");
    assert!(Array2::<f64>::read_npy_chunked(&path, 0).is_err());
    let missing = Array2::<f64>::read_npz(dir.path().join("b.npz"), "x").unwrap_err();
    assert!(missing.to_string().contains("no such file"), "{missing}");
    assert!(Array2::<f64>::read_zarr(dir.path(), "nothing").is_err());
    let nowhere = Array::from(table()).write_npy(dir.path().join("no/such/folder.npy"));
    assert!(matches!(nowhere, Err(Error::Format(_))));
}

/// An array that holds 1.0, 2.0, … in chunks of 10.
fn steps(n: usize) -> Array1<f64> {
    Array1::<f64>::in_chunks(10).linspace(1.0, n as f64, n)
}

/// The names of everything at `dir`.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn an_expression_of_a_stored_array_takes_its_place() {
    let _mine = crate::support::processes_are_mine();
    for n in [None, Some(2)] {
        let session = n.map(|n| Session::processes(n).unwrap());
        let dir = tempfile::tempdir().unwrap();
        for version in [ZarrVersion::V3, ZarrVersion::V2] {
            for (if_exists, array) in [
                (IfExists::Replace, "x"),
                (IfExists::Keep, "x"),
                (IfExists::Replace, "a/b/x"),
                (IfExists::Keep, ""),
                (IfExists::Replace, ""),
            ] {
                let store = dir.path().join(format!("{version:?}{if_exists:?}{}.zarr", array.len()));
                let chunks = Some(vec![10]);
                let options = ZarrOptions { version, if_exists, chunks, ..ZarrOptions::default() };
                steps(48).write_zarr_with(&store, array, &options).unwrap();
                let read = || Array1::<f64>::read_zarr_chunked(&store, array, 7).unwrap();
                (&read() * 2.0).write_zarr_with(&store, array, &options).unwrap();
                check(&read(), &(nd_steps(48) * 2.0));
                // By another name of the same array, backwards: each chunk is made of another one.
                let link = dir.path().join("link");
                std::os::unix::fs::symlink(&store, &link).unwrap();
                let x = Array1::<f64>::read_zarr(&link, array).unwrap();
                x.slice(s![..;-1]).to_owned().write_zarr_with(&store, array, &options).unwrap();
                check(&read(), &(nd_steps(48) * 2.0).slice(ndarray::s![..;-1]).to_owned());
                std::fs::remove_file(link).unwrap();
                let inner: PathBuf = store.join(array);
                assert!(names(&inner).iter().all(|n| !n.contains("tilework")), "{:?}", names(&inner));
            }
        }
        assert!(names(dir.path()).iter().all(|n| !n.contains("tilework")), "{:?}", names(dir.path()));
        assert!(session.is_none_or(|s| s.n_tasks_done() > 0));
    }
    Session::close_current();
}

fn nd_steps(n: usize) -> ndarray::Array1<f64> {
    ndarray::Array1::from_iter((1..=n).map(|i| i as f64))
}

#[test]
fn what_cannot_be_written_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("s.zarr");
    let replace = ZarrOptions { if_exists: IfExists::Replace, ..ZarrOptions::default() };
    let file = dir.path().join("a.npy");
    steps(30).write_zarr(&store, "x").unwrap();
    steps(30).write_npy(&file).unwrap();
    let before = (names(dir.path()), names(&store));
    for (codec, expected) in
        [(ZarrCodec::Gzip { level: 10 }, "gzip level 10"), (ZarrCodec::Zstd { level: 23 }, "zstd level 23")]
    {
        let options = ZarrOptions { codec, ..replace.clone() };
        let error = steps(30).write_zarr_with(&store, "x", &options).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    // The third of its chunks cannot be computed.
    let gone = dir.path().join("gone.npy");
    steps(10).write_npy(&gone).unwrap();
    let x = Array1::<f64>::read_npy(&gone).unwrap();
    std::fs::remove_file(&gone).unwrap();
    let failing = tilework::concatenate(Axis(0), &[steps(20).view(), x.view()]).unwrap();
    for error in [
        failing.write_zarr_with(&store, "x", &replace).unwrap_err(),
        failing.write_zarr(&store, "new/y").unwrap_err(),
        failing.write_npy(&file).unwrap_err(),
    ] {
        assert!(matches!(error, Error::NotWritten { .. }), "{error}");
        assert!(error.to_string().contains("gone.npy: no such file"), "{error}");
        assert!(error.to_string().ends_with("is as it was"), "{error}");
    }
    assert_eq!((names(dir.path()), names(&store)), before);
    check(&Array1::<f64>::read_zarr(&store, "x").unwrap(), &nd_steps(30));
    check(&Array1::<f64>::read_npy(&file).unwrap(), &nd_steps(30));
}

/// Not a test of its own: the program that the next test kills while it writes.
fn write_until_killed(store: &Path) {
    let replace = ZarrOptions { if_exists: IfExists::Replace, ..ZarrOptions::default() };
    for round in 2.. {
        let x = Array1::<f64>::in_chunks(10).ones(1000) * f64::from(round);
        x.write_zarr_with(store, "g/x", &replace).expect("written");
        if round == 3 {
            println!("writing");
        }
    }
}

#[test]
fn a_writer_that_is_killed_leaves_the_old_array_or_the_new() {
    const CHILD: &str = "TILEWORK_TEST_WRITES_UNTIL_KILLED";
    if let Some(store) = std::env::var_os(CHILD) {
        return write_until_killed(Path::new(&store));
    }
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("s.zarr");
    let name = "files::a_writer_that_is_killed_leaves_the_old_array_or_the_new";
    let mut left = 0;
    for kill in 0..8 {
        Array1::<f64>::in_chunks(10)
            .ones(1000)
            .write_zarr_with(
                &store,
                "g/x",
                &ZarrOptions { if_exists: IfExists::Replace, ..ZarrOptions::default() },
            )
            .unwrap();
        assert_eq!(names(&store.join("g")), ["x", "zarr.json"], "the next writer clears what is left");
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", name, "--nocapture"]).env(CHILD, &store).stdout(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(out.any(|line| line.unwrap().contains("writing")), "it has written");
        // In the middle of a write: its directory is there, with this many chunks or none.
        let chunks = |at: &Path| std::fs::read_dir(at.join("new/c")).map_or(0, Iterator::count);
        while !writing(&store.join("g")).iter().any(|at| chunks(at) >= kill * 12) {
            assert!(child.try_wait().unwrap().is_none(), "it ended");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        left += writing(&store.join("g")).len();
        let x = Array1::<f64>::read_zarr(&store, "g/x").unwrap().compute();
        assert!(x[0] >= 2.0 && x.iter().all(|&v| v == x[0]), "a mixture: {x}");
    }
    assert!(left > 0, "no write was interrupted");
}

/// The directories in which `x` is being written.
fn writing(group: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(group).expect("a directory").flatten();
    let of_x = entries.filter(|e| e.file_name().to_string_lossy().starts_with(".x.tilework-"));
    of_x.map(|e| e.path()).collect()
}

#[test]
fn names_of_any_script_are_written_and_read() {
    let dir = tempfile::tempdir().unwrap();
    for version in [ZarrVersion::V2, ZarrVersion::V3] {
        let options = ZarrOptions { version, ..ZarrOptions::default() };
        let store = dir.path().join(format!("größe {version:?}.zarr"));
        for array in ["ümlaut", "温度", "a~b", "grüße/a%b c#1"] {
            steps(12).write_zarr_with(&store, array, &options).unwrap();
            check(&Array1::<f64>::read_zarr(&store, array).unwrap(), &nd_steps(12));
            assert!(store.join(array).is_dir(), "the name is that of the file system");
        }
    }
}

#[test]
fn packed_elements_are_read_raw_with_a_warning() {
    const CHILD: &str = "TILEWORK_TEST_READS_PACKED";
    if let Some(store) = std::env::var_os(CHILD) {
        for _ in 0..2 {
            assert_eq!(Array1::<i16>::read_zarr(&store, "t").unwrap().sum(), 3);
        }
        assert_eq!(Array1::<i16>::read_zarr(&store, "plain").unwrap().sum(), 3);
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (array, attributes) in [
        ("t", r#"{"scale_factor": 0.01, "add_offset": 273.15, "_FillValue": -1, "valid": NaN}"#),
        ("plain", r#"{"scale_factor": 1.0, "_FillValue": NaN, "units": "K"}"#),
    ] {
        let options = ZarrOptions { version: ZarrVersion::V2, ..ZarrOptions::default() };
        Array::from(vec![0i16, 1, 2]).write_zarr_with(dir.path(), array, &options).unwrap();
        std::fs::write(dir.path().join(array).join(".zattrs"), attributes).unwrap();
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "files::packed_elements_are_read_raw_with_a_warning", "--nocapture"]);
    let output = child.env(CHILD, dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let lines: Vec<_> = said.lines().filter(|l| l.starts_with("tilework: ")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    let attributes = "its attributes say scale_factor = 0.01, add_offset = 273.15, _FillValue = -1";
    assert!(lines[0].contains("[t] is read as it is stored") && lines[0].contains(attributes), "{said}");
}

#[test]
fn a_job_reads_more_files_than_a_process_may_open() {
    const CHILD: &str = "TILEWORK_TEST_READS_MANY_FILES";
    const FILES: usize = 400;
    if let Some(dir) = std::env::var_os(CHILD) {
        let few = libc::rlimit { rlim_cur: 300, rlim_max: 300 };
        // SAFETY: it reads the limits, and nothing else.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &few) }, 0);
        let read = |i: usize| Array1::<f64>::read_npy(Path::new(&dir).join(format!("{i}.npy"))).unwrap();
        let all: Vec<_> = (0..FILES).map(read).collect();
        let views: Vec<_> = all.iter().map(Array1::view).collect();
        assert_eq!(tilework::concatenate(Axis(0), &views).unwrap().sum(), 3.0 * FILES as f64);
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for i in 0..FILES {
        Array::from(vec![1.0, 2.0]).write_npy(dir.path().join(format!("{i}.npy"))).unwrap();
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "files::a_job_reads_more_files_than_a_process_may_open"]).env(CHILD, dir.path());
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

const GATE: &str = "TILEWORK_TEST_GATE";

/// Waits, for all but the first elements, until the file that [`GATE`] names is there.
fn gated(x: f64) -> f64 {
    let gate = PathBuf::from(std::env::var_os(GATE).expect("it is inherited"));
    while x > 500.0 && !gate.exists() {
        std::thread::yield_now();
    }
    x
}

#[test]
fn a_write_outlasts_a_worker_and_leaves_the_old_without_the_scheduler() {
    // In a process of its own: others compute on the session whose scheduler is killed here.
    const CHILD: &str = "TILEWORK_TEST_KILLS_THE_SCHEDULER";
    if std::env::var_os(CHILD).is_none() {
        let name = "files::a_write_outlasts_a_worker_and_leaves_the_old_without_the_scheduler";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let dir = tempfile::tempdir().unwrap();
        child.args(["--exact", name]).env(CHILD, "1").env(GATE, dir.path().join("open"));
        let output = child.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let gate = PathBuf::from(std::env::var_os(GATE).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let replace = ZarrOptions { if_exists: IfExists::Replace, ..ZarrOptions::default() };
    let all = |role: &str| crate::sessions::children_with(&format!("TILEWORK_ROLE={role}"));
    let session = Session::processes(2).unwrap();
    let mine = |role| *all(role).first().expect("a process of the session");
    let write =
        |value: f64| (steps(1000).mapv(gated) * 0.0 + value).write_zarr_with(dir.path(), "x", &replace);
    let read = || Array1::<f64>::read_zarr_chunked(dir.path(), "x", -1).unwrap();
    std::fs::write(&gate, "").unwrap();
    write(1.0).unwrap();
    let written_while_killed = |value: f64, victim: u32| {
        std::fs::remove_file(&gate).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| write(value));
            let chunks = |at: &Path| std::fs::read_dir(at.join("new/c")).map_or(0, Iterator::count);
            while !writing(dir.path()).iter().any(|at| chunks(at) > 5) {
                assert!(!writer.is_finished(), "the gate is closed");
            }
            // SAFETY: plain system call on a process that this test started.
            assert_eq!(unsafe { libc::kill(victim as i32, libc::SIGKILL) }, 0);
            std::fs::write(&gate, "").unwrap();
            writer.join().unwrap()
        })
    };
    written_while_killed(2.0, mine("worker")).unwrap();
    assert!(read().compute().iter().all(|&x| x == 2.0));
    let error = written_while_killed(3.0, mine("scheduler")).unwrap_err();
    assert!(matches!(error, Error::NotWritten { .. }), "{error}");
    assert!(error.to_string().ends_with("/x is as it was"), "{error}");
    drop(session);
    Session::close_current();
    assert!(read().compute().iter().all(|&x| x == 2.0));
    assert!(writing(dir.path()).is_empty(), "what was begun is cleared");
}
