//! What goes wrong with object stores, and what is said then.

use crate::server::{LOCKED, SECRET, server};
use crate::sessions_are_mine;
use rustix::process::{Pid, Signal, kill_process};
use std::time::Instant;
use tilework::io::{IfExists, ZarrArray, ZarrGroup, ZarrOptions};
use tilework::prelude::*;

#[track_caller]
fn check<T>(result: tilework::Result<T>, expected: &[&str]) {
    let Err(error) = result else { panic!("it was read") };
    let error = error.to_string();
    for expected in expected {
        assert!(error.contains(expected), "got `{error}`, expected `{expected}`");
    }
}

fn read(url: &str, array: &str) -> tilework::Result<Array1<f64>> {
    Array1::read_zarr(url, array)
}

#[test]
fn what_is_not_there_is_said() {
    server().bucket("mistakes");
    arr1(&[1.0]).write_zarr("s3://mistakes/s.zarr", "g/x").unwrap();
    check(read("s3://mistakes/none.zarr", "x"), &["s3://mistakes/none.zarr/x: no such file, store or array"]);
    check(
        read("s3://mistakes/s.zarr", "g"),
        &["s3://mistakes/s.zarr/g: ", "it is a group; the arrays in it: `x`"],
    );
    check(
        read("s3://no-such-bucket/s.zarr", "x"),
        &["s3://no-such-bucket/s.zarr/x", "there is no such bucket"],
    );
    check(arr1(&[1]).write_zarr("s3://no-such-bucket/s.zarr", "x"), &["there is no such bucket"]);
    check(read("ftp://host/s.zarr", "x"), &["expected an URL of `s3`, `gs`, `http`, `https` or `file`"]);
    check(Array1::<f64>::read_glob("s3://mistakes/*.zarr", Axis(0)), &["`read_files` takes their URLs"]);
    let all =
        Array1::<f64>::read_files(["s3://mistakes/s.zarr/g/x", "s3://mistakes/s.zarr/g/x"], Axis(0)).unwrap();
    assert_eq!(all.compute(), ndarray::arr1(&[1.0, 1.0]));
    let by_http = format!("{}/mistakes/s.zarr", server().http());
    check(read(&by_http, "y"), &["/mistakes/s.zarr/y: no such file, store or array"]);
}

#[test]
fn who_may_not_read_is_told_where_credentials_come_from() {
    server().bucket(LOCKED);
    let expected = [
        "no permission: the server answered 403 (`AccessDenied`)",
        "`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` set; `AWS_SESSION_TOKEN`",
        "`AWS_SKIP_SIGNATURE=true`",
    ];
    let url = format!("s3://{LOCKED}/s.zarr");
    check(read(&url, "x"), &expected);
    check(arr1(&[1]).write_zarr(&url, "x"), &expected);
    check(ZarrGroup::create(&url, ""), &expected);
    // What lies in a store of which the rest may be read.
    server().bucket("partly");
    check(read(&format!("s3://partly/{SECRET}.zarr"), "x"), &expected);
}

#[test]
fn who_has_no_credentials_is_told_so() {
    const CHILD: &str = "TILEWORK_TEST_HAS_NO_CREDENTIALS";
    if std::env::var_os(CHILD).is_some() {
        let expected = ["s3://any/s.zarr", "no credentials were found", "`AWS_SECRET_ACCESS_KEY`, "];
        return check(read("s3://any/s.zarr", "x"), &expected);
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["failures::who_has_no_credentials_is_told_so", "--exact"]).env(CHILD, "");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        child.env_remove(name);
    }
    // In place of the one of a cloud, where this may run.
    let output = child.env("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_server_that_is_not_there_is_given_up_soon() {
    let began = Instant::now();
    std::thread::scope(|scope| {
        for host in ["127.0.0.1:9", "no-such-host.invalid"] {
            let url = format!("http://{host}/s.zarr");
            scope.spawn(move || check(read(&url, "x"), &[&url, "the server cannot be reached"]));
        }
    });
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn what_cannot_be_written_is_refused() {
    server().bucket("refused");
    let url = "s3://refused/s.zarr";
    arr1(&[1, 2]).write_zarr(url, "x").unwrap();
    check(arr1(&[3i64]).append_zarr(url, "x", Axis(0)), &["holds i32, expected i64"]);
    let by_http = format!("{}/refused/s.zarr", server().http());
    let replace = ZarrOptions { if_exists: IfExists::Replace, ..ZarrOptions::default() };
    check(arr1(&[3]).write_zarr_with(&by_http, "x", &replace), &["writing to an HTTP server"]);
    check(arr1(&[3]).append_zarr(&by_http, "x", Axis(0)), &["writing to an HTTP server"]);
    check(arr1(&[3]).write_npy("s3://refused/x.npy"), &["writing `.npy` files to object stores"]);
    check(Array1::<i32>::read_npz("s3://refused/x.npz", "x"), &["`.npz` files in object stores"]);
    let mut x = ZarrArray::open(&by_http, "x").unwrap();
    check(x.update_attributes(tilework::io::json!({"a": 1})), &["writing to an HTTP server"]);
    assert_eq!(Array1::<i32>::read_zarr(url, "x").unwrap().compute(), ndarray::arr1(&[1, 2]));
}

#[test]
fn a_worker_that_dies_while_it_reads_changes_no_bit() {
    let server = server();
    server.bucket("dies");
    let _mine = sessions_are_mine();
    let url = "s3://dies/s.zarr";
    let a = ndarray::Array2::from_shape_fn((64, 64), |(i, j)| (i * 64 + j) as f64);
    Array::from_ndarray(a.clone(), [8, 8]).write_zarr(url, "x").unwrap();
    let session = Session::processes(2).unwrap();
    let pids = tilework::gather(session.map(|_: u32| std::process::id(), 0..64).unwrap()).unwrap();
    let read = Array2::<f64>::read_zarr_chunked(url, "x", [8, 64]).unwrap();
    server.hold("dies", true);
    let got = std::thread::scope(|scope| {
        let computed = scope.spawn(|| read.compute());
        // Documents of the array, asked for by the workers.
        while server.n_waiting("dies") == 0 {
            std::thread::yield_now();
        }
        kill_process(Pid::from_raw(pids[0] as i32).unwrap(), Signal::KILL).unwrap();
        server.hold("dies", false);
        computed.join().unwrap()
    });
    assert_eq!(got, a);
    drop(session);
    Session::close_current();
}
