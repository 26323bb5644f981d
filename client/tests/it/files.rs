//! Arrays in files.

use crate::support::check;
use ndarray::Array2 as Nd2;
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
