//! Zarr stores beyond whole arrays: groups, attributes, packed elements, fill values, times, parts of arrays, and many
//! files as one array.

// The helpers of tests are outside `#[test]` functions.
#![allow(clippy::unwrap_used)]

use crate::support::{check, on_every_session, unpacked};
use ndarray::{Array1 as Nd1, Array2 as Nd2};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tilework::Error;
use tilework::io::{Json, Scalar, TimeType, TimeUnit, ZarrArray, ZarrGroup, json};
use tilework::prelude::*;

/// Stores that xarray and zarr-python have written, and what xarray reads there: `formats/tests/described/make.py`.
const DESCRIBED: &[u8] = include_bytes!("../../../formats/tests/described/described.zip");

const VERSIONS: [ZarrVersion; 2] = [ZarrVersion::V2, ZarrVersion::V3];

fn described() -> tempfile::TempDir {
    unpacked(DESCRIBED)
}

/// The names of everything at `dir`.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn packed_elements_are_what_xarray_makes_of_them() {
    on_every_session(|| {
        let dir = described();
        for version in ["v2", "v3"] {
            let store = dir.path().join(format!("{version}.zarr"));
            for name in ["t", "depth", "plain", "both", "bytes", "other"] {
                let expected = Array2::<f64>::read_npy(dir.path().join(format!("{version}-{name}.npy")))
                    .unwrap()
                    .compute();
                let read = Array2::<f64>::read_zarr_decoded(&store, name).unwrap();
                check(&read, &expected);
                let in_chunks = Array2::<f32>::read_zarr_decoded_chunked(&store, name, [1, 2]).unwrap();
                check(&in_chunks, &expected.mapv(|x| x as f32));
                check(&ZarrArray::open(&store, name).unwrap().read_decoded().unwrap(), &expected);
            }
        }
    });
}

#[test]
fn attributes_that_make_no_sense_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let write = |attributes: Json| {
        let options = ZarrOptions { attributes, if_exists: IfExists::Replace, ..ZarrOptions::default() };
        arr1(&[0i16, 1]).write_zarr_with(dir.path(), "x", &options)
    };
    for (attributes, expected) in [
        (json!({"scale_factor": 0}), "attribute `scale_factor` is 0, expected a number other than 0"),
        (json!({"scale_factor": "0.1"}), "attribute `scale_factor` is \"0.1\", expected a number"),
        (json!({"add_offset": [1, 2]}), "attribute `add_offset` is [1,2], expected a number"),
        (json!({"_FillValue": "none"}), "attribute `_FillValue` is \"none\", expected a value of i16"),
        (json!({"_FillValue": 70000}), "attribute `_FillValue` is 70000, expected a value of i16"),
    ] {
        write(attributes).unwrap();
        let error = Array1::<f64>::read_zarr_decoded(dir.path(), "x").unwrap_err();
        assert!(matches!(error, Error::Format(_)), "{error}");
        assert!(error.to_string().ends_with(expected), "{error}");
        // As they are stored they can be read.
        assert_eq!(Array1::<i16>::read_zarr(dir.path(), "x").unwrap().sum(), 1);
    }
    for bad in [json!([1]), json!("K"), json!(3)] {
        let error = write(bad.clone()).unwrap_err().to_string();
        assert!(error.contains(&format!("{bad}")) && error.contains("a JSON object"), "{error}");
        let mut x = ZarrArray::open(dir.path(), "x").unwrap();
        assert!(x.update_attributes(bad.clone()).is_err() && x.set_attributes(bad).is_err());
    }
    let error = Array2::<f64>::read_zarr_decoded(dir.path(), "x").unwrap_err();
    assert!(matches!(error, Error::Dimensions { .. }), "{error}");
}

#[test]
fn groups_hold_arrays_and_groups() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("s.zarr");
        let root = ZarrGroup::create_with(&store, "", version, json!({"title": "all"})).unwrap();
        assert_eq!((root.version(), root.name(), root.store()), (version, "", store.as_path()));
        let a = root.create_group("a").unwrap();
        a.create_group("b").unwrap();
        let options = ZarrOptions {
            version,
            axis_names: vec!["x".into()],
            attributes: json!({"units": "m"}),
            fill_value: Some(Scalar::new(-1i32)),
            ..ZarrOptions::default()
        };
        arr1(&[1, 2]).write_zarr_with(&store, "a/b/y", &options).unwrap();
        assert_eq!(root.groups().unwrap(), ["a"]);
        assert!(root.arrays().unwrap().is_empty());
        assert_eq!(root.group("a/b").unwrap().arrays().unwrap(), ["y"]);
        let mut y = a.group("b").unwrap().array("y").unwrap();
        assert_eq!((y.shape(), y.dtype(), y.version()), (&[2][..], DType::I32, version));
        assert_eq!(y.axis_names(), [Some("x")]);
        assert_eq!(y.fill_value(), Some(Scalar::new(-1i32)));
        y.update_attributes(json!({"long_name": "height"})).unwrap();
        assert_eq!(Json::Object(y.attributes().unwrap()), json!({"units": "m", "long_name": "height"}));
        y.set_attributes(json!({"n": 1})).unwrap();
        assert_eq!(Json::Object(y.attributes().unwrap()), json!({"n": 1}));
        assert_eq!(y.axis_names(), [Some("x")]);
        assert_eq!(y.read::<i32, Ix1>().unwrap().sum(), 3);
        assert_eq!(root.attributes().unwrap()["title"], "all");
        assert_eq!(ZarrGroup::open_or_create(&store, "a").unwrap(), a);
        assert_eq!(ZarrGroup::open_or_create(dir.path().join("new"), "g").unwrap().name(), "g");
        for error in [
            ZarrGroup::open(&store, "none").unwrap_err(),
            ZarrGroup::open(&store, "a/b/y").unwrap_err(),
            ZarrGroup::create(&store, "a").unwrap_err(),
            a.create_group("b/y").unwrap_err(),
            a.array("b").unwrap_err(),
            arr1(&[1]).write_zarr_with(&store, "a", &options).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Format(_)), "{error}");
        }
    }
}

fn table(rows: usize, columns: usize, from: i64) -> Nd2<i64> {
    Nd2::from_shape_fn((rows, columns), |(i, j)| from + (i * 100 + j) as i64)
}

fn stacked(parts: &[&Nd2<i64>], axis: usize) -> Nd2<i64> {
    ndarray::concatenate(ndarray::Axis(axis), &parts.iter().map(|p| p.view()).collect::<Vec<_>>()).unwrap()
}

#[test]
fn what_is_appended_comes_behind_the_end() {
    on_every_session(|| {
        let dir = tempfile::tempdir().unwrap();
        let shards = (Some(vec![4, 3]), Some(vec![8, 6]), ZarrVersion::V3);
        for (i, (chunks, shards, version)) in
            [(Some(vec![4, 3]), None, ZarrVersion::V2), (Some(vec![4, 3]), None, ZarrVersion::V3), shards]
                .into_iter()
                .enumerate()
        {
            let store = dir.path().join(format!("{i}.zarr"));
            let options = ZarrOptions { version, chunks, shards, ..ZarrOptions::default() };
            let (first, more) = (table(10, 7, 0), table(5, 7, 5000));
            Array::from_ndarray(first.clone(), [3, 4]).write_zarr_with(&store, "x", &options).unwrap();
            let read = || Array2::<i64>::read_zarr(&store, "x").unwrap();
            Array::from_ndarray(more.clone(), [2, 7]).append_zarr(&store, "x", Axis(0)).unwrap();
            let longer = stacked(&[&first, &more], 0);
            check(&read(), &longer);
            let wide = table(15, 4, 90_000);
            Array::from_ndarray(wide.clone(), 2).append_zarr(&store, "x", Axis(1)).unwrap();
            let both = stacked(&[&longer, &wide], 1);
            check(&read(), &both);
            // An expression of itself, behind itself.
            (read() * 2).append_zarr(&store, "x", Axis(0)).unwrap();
            check(&read(), &stacked(&[&both, &(&both * 2)], 0));
            Array2::<i64>::zeros((0, 11)).append_zarr(&store, "x", Axis(0)).unwrap();
            assert_eq!(read().dim(), (30, 11));
            assert_eq!(names(&store).len(), 2, "{:?}", names(&store));
        }
    });
}

#[test]
fn a_box_of_an_array_is_written() {
    on_every_session(|| {
        let dir = tempfile::tempdir().unwrap();
        for version in VERSIONS {
            let store = dir.path().join(format!("{version:?}.zarr"));
            let options = ZarrOptions { version, chunks: Some(vec![4, 3]), ..ZarrOptions::default() };
            let mut expected = table(10, 7, 0);
            Array::from(expected.clone()).write_zarr_with(&store, "x", &options).unwrap();
            let read = || Array2::<i64>::read_zarr(&store, "x").unwrap();
            // Within a chunk, across several, of whole ones, at the end, of everything, of nothing.
            let boxes = [
                (s![1..2, 1..2], ndarray::s![1..2, 1..2]),
                (s![2..9, 1..5], ndarray::s![2..9, 1..5]),
                (s![4..8, 3..6], ndarray::s![4..8, 3..6]),
                (s![-1.., ..], ndarray::s![-1.., ..]),
                (s![.., ..], ndarray::s![.., ..]),
                (s![3..3, ..], ndarray::s![3..3, ..]),
            ];
            for (i, (ours, theirs)) in boxes.into_iter().enumerate() {
                let shape = expected.slice(theirs).dim();
                let new = table(shape.0, shape.1, 1000 * (i as i64 + 1));
                Array::from_ndarray(new.clone(), 2).write_zarr_region(&store, "x", ours).unwrap();
                expected.slice_mut(theirs).assign(&new);
                check(&read(), &expected);
            }
            // The array upside down: each chunk is made of another one.
            read().slice(s![..;-1, ..]).to_owned().write_zarr_region(&store, "x", s![.., ..]).unwrap();
            check(&read(), &expected.slice(ndarray::s![..;-1, ..]).to_owned());
            assert_eq!(names(&store).len(), 2, "{:?}", names(&store));
        }
    });
}

#[test]
fn what_does_not_fit_is_told_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("s.zarr");
    let options = ZarrOptions { chunks: Some(vec![4, 3]), ..ZarrOptions::default() };
    Array::from(table(10, 7, 0)).write_zarr_with(&store, "g/x", &options).unwrap();
    let gone = dir.path().join("gone.npy");
    Array::from(table(3, 7, 0)).write_npy(&gone).unwrap();
    let lost = Array2::<i64>::read_npy(&gone).unwrap();
    std::fs::remove_file(&gone).unwrap();
    let row = || Array2::<i64>::zeros((1, 7));
    for (error, expected) in [
        (
            Array2::<i64>::zeros((3, 8)).append_zarr(&store, "g/x", Axis(0)),
            "got shape [3, 8], expected [3, 7]",
        ),
        (Array1::<i64>::zeros(7).append_zarr(&store, "g/x", Axis(0)), "got shape [7], expected [7, 7]"),
        (Array2::<f64>::zeros((3, 7)).append_zarr(&store, "g/x", Axis(0)), "holds i64, expected f64"),
        (row().append_zarr(&store, "g/x", Axis(2)), "got axis 2, expected one of the 2 of the array"),
        (row().append_zarr(&store, "g", Axis(0)), "it is a group; the arrays in it: `x`"),
        (row().append_zarr(&store, "g/y", Axis(0)), "no such file, store or array"),
        (row().append_zarr(dir.path().join("no"), "", Axis(0)), "no such file, store or array"),
        (row().write_zarr_region(&store, "g/x", s![0..2, ..]), "got shape [1, 7], expected [2, 7]"),
        (
            row().write_zarr_region(&store, "g/x", s![10..11, ..]),
            "box [10..11, 0..7] is outside shape [10, 7]",
        ),
        (row().write_zarr_region(&store, "g/x", s![-11.., ..]), "got -11.. of 10"),
        (row().write_zarr_region(&store, "g/x", s![0..2;2, ..]), "got a step of 2, expected steps of 1"),
        // As wide as it is said.
        (row().write_zarr_region(&store, "g/x", s![0..1, ..]), ""),
        (lost.append_zarr(&store, "g/x", Axis(0)), "x is as it was"),
        (lost.write_zarr_region(&store, "g/x", s![0..3, ..]), "x is as it was"),
    ] {
        match error {
            Err(error) => assert!(error.to_string().contains(expected), "{error}"),
            Ok(()) => assert!(expected.is_empty(), "no error: {expected}"),
        }
    }
    let mut expected = table(10, 7, 0);
    expected.row_mut(0).fill(0);
    check(&Array2::<i64>::read_zarr(&store, "g/x").unwrap(), &expected);
    assert_eq!(names(&store.join("g")), ["x", "zarr.json"]);
}

/// Not a test of its own: the program that the next test kills while it appends.
fn append_until_killed(store: &Path) {
    for round in 2.. {
        let x = Array1::<f64>::in_chunks(10).ones(1003) * f64::from(round);
        x.append_zarr(store, "g/x", Axis(0)).expect("appended");
        if round == 3 {
            println!("appending");
        }
    }
}

#[test]
fn who_is_killed_while_it_appends_leaves_an_array_of_whole_appendices() {
    const CHILD: &str = "TILEWORK_TEST_APPENDS_UNTIL_KILLED";
    if let Some(store) = std::env::var_os(CHILD) {
        return append_until_killed(Path::new(&store));
    }
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("s.zarr");
    let name = "zarr::who_is_killed_while_it_appends_leaves_an_array_of_whole_appendices";
    let writing = || -> Vec<PathBuf> {
        let entries = std::fs::read_dir(store.join("g")).unwrap().flatten();
        let of_x = entries.filter(|e| e.file_name().to_string_lossy().starts_with(".x.tilework-"));
        of_x.map(|e| e.path()).collect()
    };
    let mut left = 0;
    for kill in 0..6 {
        let replace = ZarrOptions { if_exists: IfExists::Replace, ..ZarrOptions::default() };
        Array1::<f64>::in_chunks(10).ones(1003).write_zarr_with(&store, "g/x", &replace).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", name, "--nocapture"]).env(CHILD, &store).stdout(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(out.any(|line| line.unwrap().contains("appending")), "it has appended");
        // In the middle of one: its directory is there, with this many chunks, or they are being moved.
        let chunks = |at: &Path| std::fs::read_dir(at.join("new/c")).map_or(0, Iterator::count);
        let far = |at: &PathBuf| if kill == 5 { at.join("moves").exists() } else { chunks(at) >= kill * 15 };
        while !writing().iter().any(far) {
            assert!(child.try_wait().unwrap().is_none(), "it ended");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        left += writing().len();
        let whole = |x: &Nd1<f64>| {
            assert_eq!(x.len() % 1003, 0);
            let rounds = x.iter().enumerate().all(|(i, &v)| v == (i / 1003 + 1) as f64);
            assert!(rounds && x.len() >= 3 * 1003, "a mixture: {x}");
        };
        whole(&Array1::<f64>::read_zarr(&store, "g/x").unwrap().compute());
        // The next one finds what is left, and goes on.
        let n = Array1::<f64>::read_zarr(&store, "g/x").unwrap().len();
        Array1::<f64>::zeros(0).append_zarr(&store, "g/x", Axis(0)).unwrap();
        let now = Array1::<f64>::read_zarr(&store, "g/x").unwrap();
        assert!(now.len() == n || now.len() == n + 1003);
        whole(&now.compute());
        assert_eq!(names(&store.join("g")), ["x", "zarr.json"]);
    }
    assert!(left > 0, "no write was interrupted");
}

#[test]
fn several_programs_fill_one_array() {
    let dir = tempfile::tempdir().unwrap();
    let options = ZarrOptions { chunks: Some(vec![5]), ..ZarrOptions::default() };
    let x = ZarrArray::create(dir.path(), "x", &[40], DType::I64, &options).unwrap();
    assert_eq!((x.shape(), x.chunks()), (&[40][..], &[5][..]));
    // Boxes that share chunks, from threads in the place of programs: none loses what another one wrote.
    std::thread::scope(|scope| {
        for part in 0..8 {
            let path = dir.path();
            scope.spawn(move || {
                let from = part * 5 - if part > 0 { 2 } else { 0 };
                let to = if part == 7 { 40 } else { part * 5 + 3 };
                let values = Array1::from_iter((from..to).map(|i| i as i64));
                values.write_zarr_region(path, "x", s![from..to]).unwrap();
            });
        }
    });
    assert_eq!(x.read::<i64, Ix1>().unwrap().compute(), Nd1::from_iter(0..40));
    for part in 0..4 {
        let path = dir.path().join("x");
        assert!(path.join(format!("c/{part}")).is_file());
    }
}

#[test]
fn times_are_numbers_with_a_unit() {
    let dir = tempfile::tempdir().unwrap();
    for version in VERSIONS {
        let store = dir.path().join(format!("{version:?}.zarr"));
        let options = ZarrOptions {
            version,
            time: Some(TimeType::instants(TimeUnit::Day)),
            fill_value: Some(Scalar::new(i64::MIN)),
            ..ZarrOptions::default()
        };
        arr1(&[0i64, 10957]).write_zarr_with(&store, "day", &options).unwrap();
        arr1(&[i64::MIN]).append_zarr(&store, "day", Axis(0)).unwrap();
        let day = ZarrArray::open(&store, "day").unwrap();
        assert_eq!(day.time().unwrap().to_string(), "datetime64[D]");
        check(&day.read::<i64, Ix1>().unwrap(), &ndarray::arr1(&[0, 10957, i64::MIN]));
    }
    let wrong = ZarrOptions { time: Some(TimeType::spans(TimeUnit::Second)), ..ZarrOptions::default() };
    let error = arr1(&[1.0]).write_zarr_with(dir.path(), "f", &wrong).unwrap_err().to_string();
    assert!(error.contains("got timedelta64[s] for elements of f64, expected i64"), "{error}");
    let wrong = ZarrOptions { fill_value: Some(Scalar::new(1u8)), ..ZarrOptions::default() };
    let error = arr1(&[1.0]).write_zarr_with(dir.path(), "f", &wrong).unwrap_err().to_string();
    assert!(error.contains("got fill value 1u8, expected one of f64"), "{error}");
}

#[test]
fn many_files_are_one_array() {
    on_every_session(|| {
        let dir = tempfile::tempdir().unwrap();
        let part = |i: usize| table(2 + i % 2, 3, 1000 * i as i64);
        let all: Vec<_> = (0..12).map(part).collect();
        for (i, part) in all.iter().enumerate() {
            let ours = Array::from(part.clone());
            ours.write_npy(dir.path().join(format!("npy/{i}.npy"))).unwrap_or_else(|_| {
                std::fs::create_dir_all(dir.path().join("npy")).unwrap();
                ours.write_npy(dir.path().join(format!("npy/{i}.npy"))).unwrap();
            });
            ours.write_zarr(dir.path().join(format!("zarr/run-{i}.zarr")), "t").unwrap();
        }
        let expected = stacked(&all.iter().collect::<Vec<_>>(), 0);
        std::fs::write(dir.path().join("npy/README.md"), "not an array").unwrap();
        check(&Array2::<i64>::read_dir(dir.path().join("npy"), Axis(0)).unwrap(), &expected);
        check(&Array2::<i64>::read_glob(dir.path().join("npy/*.npy"), Axis(0)).unwrap(), &expected);
        check(&Array2::<i64>::read_glob(dir.path().join("zarr/run-*.zarr/t"), Axis(0)).unwrap(), &expected);
        let of_stores = |i: usize| dir.path().join(format!("zarr/run-{i}.zarr/t"));
        let two = Array2::<i64>::read_files([of_stores(3), of_stores(1)], Axis(0)).unwrap();
        check(&two, &stacked(&[&all[3], &all[1]], 0));
        let arrays = Array2::<i64>::read_dir(dir.path().join("zarr/run-4.zarr"), Axis(0)).unwrap();
        check(&arrays, &all[4]);
    });
}

#[test]
fn files_that_do_not_fit_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    Array::from(table(2, 3, 0)).write_npy(at("a.npy")).unwrap();
    Array::from(table(2, 4, 0)).write_npy(at("b.npy")).unwrap();
    Array::from(table(2, 3, 0).mapv(|x| x as f32)).write_npy(at("c.npy")).unwrap();
    let glob = |pattern: &str| Array2::<i64>::read_glob(at(pattern), Axis(0)).unwrap_err().to_string();
    for (pattern, expected) in [
        ("[ab].npy", "b.npy, behind"),
        ("[ab].npy", "got shape [2, 4], expected [2, 3]"),
        ("[ac].npy", "c.npy holds f32, expected i64"),
        ("*.zarr", "*.zarr: no such file, store or array"),
        ("[a.npy", "got"),
        ("none/*.npy", "no such file, store or array"),
    ] {
        let error = glob(pattern);
        assert!(error.contains(expected), "{pattern}: {error}");
    }
    let empty: [&str; 0] = [];
    assert!(Array2::<i64>::read_files(empty, Axis(0)).is_err());
    assert!(Array2::<i64>::read_files([at("a.npy")], Axis(2)).is_err());
    assert!(Array2::<i64>::read_dir(at("none"), Axis(0)).is_err());
    let error = Array1::<i64>::read_files([at("a.npy")], Axis(0)).unwrap_err();
    assert!(matches!(error, Error::Dimensions { .. }), "{error}");
    let (joined, wide) = (Array2::<i64>::read_glob(at("[ab].npy"), Axis(1)).unwrap(), table(2, 4, 0));
    check(&joined, &stacked(&[&table(2, 3, 0), &wide], 1));
}
