//! Zarr stores in S3, beside the same in directories, and read by plain HTTP.

use crate::server::server;
use crate::sessions_are_mine;
use ndarray::{Array2 as Nd2, s as nd};
use std::fs;
use std::path::Path;
use tilework::io::{IfExists, ZarrArray, ZarrCodec, ZarrGroup, ZarrOptions, ZarrVersion, json};
use tilework::prelude::*;

fn table() -> Nd2<f64> {
    Nd2::from_shape_fn((37, 23), |(i, j)| (i * 23 + j) as f64 * 0.5)
}

/// The keys below a name of a bucket and the files below a directory are the same, byte by byte.
#[track_caller]
fn check_same(bucket: &str, below: &str, dir: &Path) {
    let prefix = format!("{below}/");
    let keys: Vec<String> =
        server().keys(bucket).into_iter().filter(|key| key.starts_with(&prefix)).collect();
    let (mut files, mut open) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { files.push(path) }
        }
    }
    let mut names: Vec<String> =
        files.iter().map(|f| format!("{prefix}{}", f.strip_prefix(dir).unwrap().display())).collect();
    names.sort();
    assert_eq!(keys, names);
    for key in keys {
        let file = fs::read(dir.join(&key[prefix.len()..])).unwrap();
        assert!(server().get(bucket, &key).unwrap() == file, "{key}");
    }
}

#[test]
fn arrays_are_what_they_are_in_files() {
    server().bucket("there-and-back");
    let _mine = sessions_are_mine();
    for n in [None, Some(2)] {
        let session = n.map(|n| Session::processes(n).unwrap());
        let dir = tempfile::tempdir().unwrap();
        let a = Array::from_ndarray(table(), [10, 7]);
        for version in [ZarrVersion::V2, ZarrVersion::V3] {
            let name = format!("{n:?}-{version:?} ümlaut 温度.zarr");
            let url = format!("s3://there-and-back/{name}");
            let options = |chunks: Option<Vec<usize>>| ZarrOptions {
                version,
                chunks,
                attributes: json!({"units": "K"}),
                axis_names: vec!["y".into(), "x".into()],
                ..ZarrOptions::default()
            };
            for store in [Path::new(&url), &dir.path().join(&name)] {
                a.write_zarr_with(store, "own", &options(None)).unwrap();
                a.write_zarr_with(store, "a group/odd", &options(Some(vec![16, 5]))).unwrap();
            }
            check_same("there-and-back", &name, &dir.path().join(&name));
            assert_eq!(Array2::<f64>::read_zarr(&url, "own").unwrap().compute(), table());
            let cut = Array2::<f64>::read_zarr_chunked(format!("{url}/"), "a group/odd", 9).unwrap();
            assert_eq!(cut.compute(), table());
            let plain = format!("{n:?}-{version:?}.zarr");
            for key in server().keys("there-and-back").iter().filter(|key| key.starts_with(&name)) {
                let copied = server().get("there-and-back", key).unwrap();
                server().put("there-and-back", &key.replace(&name, &plain), copied);
            }
            let by_http = format!("{}/there-and-back/{plain}", server().http());
            let part = Array2::<f64>::read_zarr(by_http, "a group/odd").unwrap();
            let part = part.slice(s![3..30;3, 2..]).to_owned();
            assert_eq!(part.compute(), table().slice(nd![3..30;3, 2..]));
        }
        assert!(session.is_none_or(|s| s.n_tasks_done() > 0));
    }
    Session::close_current();
}

#[test]
fn an_url_of_a_file_is_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("a store");
    let url = format!("file://{}", at.display()).replace(' ', "%20");
    arr1(&[1, 2]).write_zarr(&url, "x").unwrap();
    assert!(at.join("x/zarr.json").is_file());
    assert_eq!(Array1::<i32>::read_zarr(&url, "x").unwrap().compute(), ndarray::arr1(&[1, 2]));
}

#[test]
fn of_shards_the_chunks_that_are_needed_are_read() {
    server().bucket("shards");
    let a = Nd2::from_shape_fn((1024, 512), |(i, j)| ((i * 7919 + j * 104_729) % 65_537) as f64);
    for (name, codec) in [("none", ZarrCodec::None), ("zstd", ZarrCodec::Zstd { level: 1 })] {
        let url = format!("s3://shards/{name}");
        let options = ZarrOptions {
            chunks: Some(vec![32, 32]),
            shards: Some(vec![512, 512]),
            codec,
            ..ZarrOptions::default()
        };
        Array::from_ndarray(a.clone(), [512, 512]).write_zarr_with(&url, "", &options).unwrap();
        let stored = ZarrArray::open(&url, "").unwrap();
        assert_eq!((stored.chunks(), stored.read_chunks()), (&[512, 512][..], &[32, 32][..]));
        let read = Array2::<f64>::read_zarr_chunked(&url, "", [1024, 512]).unwrap();
        let (bytes, requests) = (server().served_bytes("shards"), server().n_requests("shards"));
        let part = read.slice(s![500..530, 40..70]).to_owned().compute();
        assert_eq!(part, a.slice(nd![500..530, 40..70]));
        if name == "none" {
            let (bytes, requests) =
                (server().served_bytes("shards") - bytes, server().n_requests("shards") - requests);
            assert!(bytes < 1_000_000, "{bytes} bytes of {}", 8 * a.len());
            assert!(requests < 30, "{requests} requests");
        }
        assert_eq!(read.compute(), a);
    }
}

#[test]
fn the_chunks_of_a_box_are_asked_for_together() {
    server().bucket("together");
    let url = "s3://together/s.zarr";
    let options = ZarrOptions { chunks: Some(vec![4, 4]), ..ZarrOptions::default() };
    Array::from_ndarray(table(), [37, 23]).write_zarr_with(url, "x", &options).unwrap();
    // One task reads all 60 chunks.
    let read = Array2::<f64>::read_zarr_chunked(url, "x", [37, 23]).unwrap();
    let _mine = sessions_are_mine();
    let at_once = || {
        std::thread::scope(|scope| {
            server().hold("together", true);
            let computed = scope.spawn(|| read.compute());
            let wait_for = |n: u64| {
                while server().n_waiting("together") < n && !computed.is_finished() {
                    std::thread::yield_now();
                }
            };
            // The documents, then chunks, unless those were faster than this thread.
            wait_for(4);
            server().hold("together", false);
            while server().n_waiting("together") > 0 {
                std::hint::spin_loop();
            }
            server().hold("together", true);
            wait_for(16);
            let waiting = server().n_waiting("together");
            server().hold("together", false);
            assert_eq!(computed.join().unwrap(), table());
            waiting
        })
    };
    assert!((0..20).any(|_| at_once() >= 16));
}

#[test]
fn groups_and_attributes_are_asked_and_changed() {
    server().bucket("groups");
    for version in [ZarrVersion::V2, ZarrVersion::V3] {
        let url = format!("s3://groups/{version:?}.zarr");
        let root = ZarrGroup::create_with(&url, "", version, json!({"title": "July"})).unwrap();
        let options = ZarrOptions {
            version,
            attributes: json!({"scale_factor": 0.5, "add_offset": 273.0, "_FillValue": -1}),
            axis_names: vec!["time".into()],
            ..ZarrOptions::default()
        };
        arr1(&[1i16, 3, -1]).write_zarr_with(&url, "2026/07/t", &options).unwrap();
        root.create_group("2026/08").unwrap();
        root.update_attributes(json!({"source": "station 3"})).unwrap();
        assert_eq!(
            root.attributes().unwrap(),
            *json!({"title": "July", "source": "station 3"}).as_object().unwrap()
        );
        assert_eq!((root.groups().unwrap(), root.arrays().unwrap()), (vec!["2026".to_owned()], vec![]));
        let year = root.group("2026").unwrap();
        assert_eq!(year.groups().unwrap(), ["07", "08"]);
        assert_eq!(year.group("07").unwrap().arrays().unwrap(), ["t"]);
        let mut t = year.array("07/t").unwrap();
        assert_eq!((t.version(), t.axis_names()), (version, vec![Some("time")]));
        t.update_attributes(json!({"units": "K"})).unwrap();
        assert_eq!(ZarrArray::open(&url, "2026/07/t").unwrap().attributes().unwrap()["units"], "K");
        let decoded = t.read_decoded::<f64, Ix1>().unwrap().compute();
        assert_eq!(decoded.slice(nd![..2]), ndarray::arr1(&[273.5, 274.5]));
        assert!(decoded[2].is_nan());
        // Several writers change what is said of one group, and nobody's change is lost.
        std::thread::scope(|scope| {
            for i in 0..4 {
                let root = &root;
                scope.spawn(move || root.update_attributes(json!({format!("by-{i}"): i})).unwrap());
            }
        });
        assert_eq!(root.attributes().unwrap().len(), 6);
        let again = ZarrGroup::create(&url, "").unwrap_err().to_string();
        assert!(
            again.contains("a group, which may be opened") || again.contains("another zarr version"),
            "{again}"
        );
    }
}

#[test]
fn consolidated_metadata_stay_true_and_name_what_http_does_not_list() {
    let server = server();
    server.bucket("copies");
    let url = "s3://copies/s.zarr";
    let root = ZarrGroup::create(url, "").unwrap();
    arr1(&[1.0]).write_zarr(url, "g/x").unwrap();
    let by_http = format!("{}/copies/s.zarr", server.http());
    let listed = |inner: &str| ZarrGroup::open(&by_http, inner).unwrap().arrays();
    let none = listed("g").unwrap_err().to_string();
    assert!(none.contains("s.zarr/g: HTTP servers do not list what they have"), "{none}");
    // A program that makes copies, and ours, which keeps them true.
    let document = |key: &str| -> tilework::io::Json {
        let text = server.get("copies", &format!("s.zarr/{key}zarr.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    let mut consolidated = document("");
    consolidated["consolidated_metadata"] = json!({
        "kind": "inline", "must_understand": false, "metadata": {"g": document("g/"), "g/x": document("g/x/")},
    });
    server.put("copies", "s.zarr/zarr.json", consolidated.to_string());
    arr1(&[2.0]).write_zarr(url, "g/y").unwrap();
    root.group("g").unwrap().update_attributes(json!({"of": "g"})).unwrap();
    assert_eq!(document("")["consolidated_metadata"]["metadata"]["g"]["attributes"]["of"], "g");
    assert_eq!(listed("g").unwrap(), ["x", "y"]);
    assert_eq!(ZarrGroup::open(&by_http, "").unwrap().groups().unwrap(), ["g"]);
    let read = ZarrArray::open(&by_http, "g/y").unwrap().read::<f64, Ix1>().unwrap();
    assert_eq!(read.compute(), ndarray::arr1(&[2.0]));
}

#[test]
fn an_array_takes_the_place_of_the_one_that_it_is_made_of() {
    server().bucket("replaced");
    let _mine = sessions_are_mine();
    for version in [ZarrVersion::V2, ZarrVersion::V3] {
        let name = format!("{version:?}.zarr");
        let url = format!("s3://replaced/{name}");
        let options = ZarrOptions { version, ..ZarrOptions::default() };
        Array::from_ndarray(table(), [10, 7]).write_zarr_with(&url, "x", &options).unwrap();
        let there = Array::from_ndarray(table(), [10, 7]).write_zarr_with(&url, "x", &options).unwrap_err();
        assert!(there.to_string().contains("an array, and it was not to be replaced"), "{there}");
        let x = || Array2::<f64>::read_zarr(&url, "x").unwrap();
        let replace = |chunks| ZarrOptions { chunks, if_exists: IfExists::Replace, ..options.clone() };
        // Of other chunks: those of the old one are gone.
        (&x() * 2.0).write_zarr_with(&url, "x", &replace(Some(vec![30, 30]))).unwrap();
        assert_eq!(x().compute(), table() * 2.0);
        let keys = server().keys("replaced");
        let n_keys = keys.iter().filter(|key| key.starts_with(&format!("{name}/x/"))).count();
        // Two chunks and a document; nothing that was beside them.
        assert_eq!(n_keys, 3, "{keys:?}");
        let keep = ZarrOptions { if_exists: IfExists::Keep, chunks: Some(vec![30, 30]), ..options.clone() };
        (&x() + 1.0).write_zarr_with(&url, "x", &keep).unwrap();
        assert_eq!(x().compute(), table() * 2.0 + 1.0);
        // A computation that fails leaves what is there, and nothing else.
        let before = server().keys("replaced");
        let fails = x().mapv(|v: f64| if v > 100.0 { panic!("no") } else { v });
        let error = fails.write_zarr_with(&url, "x", &replace(None)).unwrap_err().to_string();
        assert!(error.contains("nothing was written"), "{error}");
        assert_eq!((server().keys("replaced"), x().compute()), (before.clone(), table() * 2.0 + 1.0));
        let error = fails.write_zarr_with(&url, "new", &options).unwrap_err().to_string();
        assert!(error.contains("nothing was written"), "{error}");
        assert_eq!(server().keys("replaced"), before);
    }
}

#[test]
fn what_a_killed_writer_leaves_is_seen_and_removed() {
    let server = server();
    server.bucket("left");
    let url = "s3://left/s.zarr";
    arr1(&[1, 2, 3, 4]).write_zarr(url, "done").unwrap();
    // One that came no further than some chunks of a new array.
    server.put("left", "s.zarr/x/c/0", "half");
    server.put("left", "s.zarr/x/c/7", "half");
    server.put("left", "s.zarr/x/.tilework/.x.tilework-host-1/zarr.json", "{");
    let none = Array1::<i32>::read_zarr(url, "x").unwrap_err().to_string();
    assert!(
        none.contains("x/.tilework/.x.tilework-host-1`: a write that has not ended, or was interrupted"),
        "{none}"
    );
    arr1(&[5]).write_zarr(url, "x").unwrap();
    assert_eq!(Array1::<i32>::read_zarr(url, "x").unwrap().compute(), ndarray::arr1(&[5]));
    let of = |array: &str| -> Vec<String> {
        let prefix = format!("s.zarr/{array}/");
        server.keys("left").into_iter().filter(|key| key.starts_with(&prefix)).collect()
    };
    assert_eq!(of("x"), ["s.zarr/x/c/0", "s.zarr/x/zarr.json"]);
    // One that had all of the array, and was putting it in the place of the old one.
    for key in of("done") {
        let new = key.replace("done/", "y/.tilework/.y.tilework-host-2/new/");
        server.put("left", &new, server.get("left", &key).unwrap());
    }
    server.put("left", "s.zarr/y/.tilework/.y.tilework-host-2/complete", "");
    server.put("left", "s.zarr/y/c/9", "old");
    let again = arr1(&[9]).write_zarr(url, "y").unwrap_err().to_string();
    assert!(again.contains("an array, and it was not to be replaced"), "{again}");
    assert_eq!(Array1::<i32>::read_zarr(url, "y").unwrap().compute(), ndarray::arr1(&[1, 2, 3, 4]));
    assert_eq!(of("y"), ["s.zarr/y/c/0", "s.zarr/y/zarr.json"]);
}

#[test]
fn parts_are_appended_and_written() {
    server().bucket("parts");
    let _mine = sessions_are_mine();
    for n in [None, Some(2)] {
        let session = n.map(|n| Session::processes(n).unwrap());
        let dir = tempfile::tempdir().unwrap();
        for version in [ZarrVersion::V2, ZarrVersion::V3] {
            let name = format!("{n:?}-{version:?}");
            let url = format!("s3://parts/{name}");
            let options = ZarrOptions { version, chunks: Some(vec![10, 7]), ..ZarrOptions::default() };
            for store in [Path::new(&url), &dir.path().join(&name)] {
                let a = Array::from_ndarray(table(), [10, 7]);
                a.write_zarr_with(store, "x", &options).unwrap();
                // Both ends lie within chunks; what is written is made of what is there.
                let x = || Array2::<f64>::read_zarr(store, "x").unwrap();
                (&x().slice(s![..11, ..]) * 3.0).append_zarr(store, "x", Axis(0)).unwrap();
                let zeros = Array2::<f64>::zeros((15, 8));
                zeros.write_zarr_region(store, "x", s![5..20, 6..14]).unwrap();
                let error = x().mapv(|v: f64| if v > 100.0 { panic!("no") } else { v });
                assert!(error.append_zarr(store, "x", Axis(0)).is_err());
            }
            check_same("parts", &name, &dir.path().join(&name));
            let x = Array2::<f64>::read_zarr(&url, "x").unwrap().compute();
            assert_eq!(x.slice(nd![37.., ..]), table().slice(nd![..11, ..]).to_owned() * 3.0);
            assert!(x.slice(nd![5..20, 6..14]).iter().all(|&v| v == 0.0));
        }
        drop(session);
    }
    Session::close_current();
}

#[test]
fn what_a_killed_writer_of_a_part_had_begun_is_finished() {
    let server = server();
    server.bucket("begun");
    let url = "s3://begun/s.zarr";
    let options = ZarrOptions { chunks: Some(vec![2]), ..ZarrOptions::default() };
    arr1(&[1, 2, 3, 4]).write_zarr_with(url, "x", &options).unwrap();
    let document: tilework::io::Json =
        serde_json::from_slice(&server.get("begun", "s.zarr/x/zarr.json").unwrap()).unwrap();
    // What `[5, 6]` behind them would be, by a writer who came as far as to say it.
    let own = "s.zarr/x/.tilework/.x.tilework-host-1";
    arr1(&[5, 6]).write_zarr_with("s3://begun/other", "", &options).unwrap();
    for key in ["c/0", "zarr.json"] {
        let bytes = server.get("begun", &format!("other/{key}")).unwrap();
        server.put("begun", &format!("{own}/new/{key}"), bytes);
    }
    let mut before = document.clone();
    before.as_object_mut().unwrap().remove("attributes");
    let moves = json!({"first": [2], "counts": [1], "before": before, "shape": [6]});
    server.put("begun", &format!("{own}/moves"), moves.to_string());
    let x = || Array1::<i32>::read_zarr(url, "x").unwrap().compute();
    assert_eq!(x(), ndarray::arr1(&[1, 2, 3, 4]));
    arr1(&[7]).append_zarr(url, "x", Axis(0)).unwrap();
    assert_eq!(x(), ndarray::arr1(&[1, 2, 3, 4, 5, 6, 7]));
    assert!(server.keys("begun").iter().all(|key| !key.contains("tilework")), "{:?}", server.keys("begun"));
}

#[test]
fn npy_files_are_read_by_ranges() {
    let server = server();
    server.bucket("npy");
    let dir = tempfile::tempdir().unwrap();
    let a = Nd2::from_shape_fn((500, 300), |(i, j)| (i * 300 + j) as f64);
    Array::from(a.clone()).write_npy(dir.path().join("a.npy")).unwrap();
    server.put("npy", "a.npy", fs::read(dir.path().join("a.npy")).unwrap());
    for url in ["s3://npy/a.npy".to_owned(), format!("{}/npy/a.npy", server.http())] {
        let read = Array2::<f64>::read_npy(&url).unwrap();
        assert_eq!(read.compute(), a);
        let part = read.slice(s![7..460;3, 290..]).to_owned();
        assert_eq!(part.compute(), a.slice(nd![7..460;3, 290..]));
    }
    let all = Array2::<f64>::read_files(["s3://npy/a.npy"; 2], Axis(0)).unwrap();
    assert_eq!(all.shape(), [1000, 300]);
    server.put("npy", "cut.npy", server.get("npy", "a.npy").unwrap().slice(..1000));
    let error = Array2::<f64>::read_npy("s3://npy/cut.npy").unwrap_err().to_string();
    assert!(error.contains("s3://npy/cut.npy: truncated: got 1000 bytes"), "{error}");
}
