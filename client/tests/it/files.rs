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
    for x in &arrays {
        check(&x.slice(s![17..18, 3..4]).to_owned(), &b.slice(ndarray::s![17..18, 3..4]).to_owned());
        check(&x.row(17).to_owned(), &b.row(17).to_owned());
        check(&x.column(199).to_owned(), &b.column(199).to_owned());
        check(&x.slice(s![..;50, ..]).to_owned(), &b.slice(ndarray::s![..;50, ..]).to_owned());
        check(
            &x.slice(s![5..290;-7, 3..;11]).to_owned(),
            &b.slice(ndarray::s![5..290;-7, 3..;11]).to_owned(),
        );
        check(
            &x.t().slice(s![..;-60, 2..9;3]).to_owned(),
            &b.t().slice(ndarray::s![..;-60, 2..9;3]).to_owned(),
        );
        check(
            &(x * 2.0 + 1.0).slice(s![..;100, 4]).to_owned(),
            &(&b * 2.0 + 1.0).slice(ndarray::s![..;100, 4]).to_owned(),
        );
        check(&(x.row(3).to_owned() + x.row(211)), &(&b.row(3) + &b.row(211)));
        check(
            &(x - &x.row(3)).slice(s![100.., ..]).to_owned(),
            &(&b - &b.row(3)).slice(ndarray::s![100.., ..]).to_owned(),
        );
        check(
            &x.slice(s![..;40, ..])
                .rechunk([3, 7])
                .map_overlap(1, tilework::Boundary::Nearest, |b| b.to_owned()),
            &b.slice(ndarray::s![..;40, ..]).to_owned(),
        );
        let rows: Vec<_> = (0..300).rev().step_by(9).map(|i| x.row(i).to_owned()).collect();
        let expected = b.select(ndarray::Axis(0), &(0..300).rev().step_by(9).collect::<Vec<_>>());
        check(&tilework::try_stack(Axis(0), &rows).unwrap(), &expected);
        check(x, &b);
    }
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
    let a = Array2::<f64>::ones_chunked((4, 4), 2);
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
