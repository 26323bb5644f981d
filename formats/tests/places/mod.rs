//! What happens at the place that is written to: who is there, what stays, what is left behind, what it is called.

use crate::support::{Fixture, pattern, whole};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tilework_expr::DType;
use tilework_formats::{
    ArraySource, FormatError, IfExists, NpyWriter, ZarrSpec, ZarrTarget, ZarrVersion, write_npy,
};

fn spec() -> ZarrSpec {
    ZarrSpec::new(&[4], DType::U8, &[2])
}

fn target(store: &Path, array: &str, version: ZarrVersion) -> ZarrTarget {
    ZarrTarget { path: store.to_owned(), array: array.into(), version }
}

/// Writes an array of four elements.
fn write(target: &ZarrTarget, if_exists: IfExists, elements: [u8; 4]) -> Result<(), FormatError> {
    let staged = target.begin(&spec(), if_exists)?;
    let writer = staged.writer()?;
    writer.write_chunk(&[0..2], &elements[..2])?;
    writer.write_chunk(&[2..4], &elements[2..])?;
    staged.finish()
}

fn read(target: &ZarrTarget) -> Result<Vec<u8>, FormatError> {
    let mut elements = vec![0; 4];
    ArraySource::zarr(&target.path, &*target.array).open()?.read(&[0..4], &mut elements)?;
    Ok(elements)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The one thing in a directory that is being written.
fn unfinished(dir: &Path) -> PathBuf {
    let found: Vec<_> = names(dir).into_iter().filter(|n| n.contains(".tilework-")).collect();
    let [name] = &found[..] else { panic!("{found:?} in {}", dir.display()) };
    dir.join(name)
}

const VERSIONS: [ZarrVersion; 2] = [ZarrVersion::V2, ZarrVersion::V3];

#[test]
fn a_failure_to_write_names_the_place_that_the_array_will_take() {
    let fixture = Fixture::new();
    for (version, chunk) in [(ZarrVersion::V2, "1"), (ZarrVersion::V3, "c/1")] {
        for (there, array) in [(false, "g/a"), (true, "g/a"), (false, "")] {
            let store = fixture.path(&format!("{version:?}-{there}-{}.zarr", array.len()));
            let new = target(&store, array, version);
            if there {
                write(&new, IfExists::Fail, [1; 4]).unwrap();
            }
            let staged = new.begin(&spec(), IfExists::Replace).unwrap();
            // A directory in the place of a file: the file system refuses, as a failing disk does.
            fs::create_dir_all(staged.path().join(chunk).join("x")).unwrap();
            let elsewhere = ZarrTarget { path: staged.path(), array: String::new(), version };
            for writer in [staged.writer().unwrap(), elsewhere.open().unwrap()] {
                writer.write_chunk(&[0..2], &[1, 2]).unwrap();
                let error = writer.write_chunk(&[2..4], &[1, 2]).unwrap_err();
                assert!(matches!(error, FormatError::Io { .. }), "{error}");
                let (text, file) = (error.to_string(), store.join(array).join(chunk));
                let at = store.join(array).components().collect::<PathBuf>();
                let named = format!("{}: writing [2..4]: `{}`: ", at.display(), file.display());
                assert!(text.starts_with(&named), "{text}");
                assert!(!text.contains(".tilework-"), "{text}");
            }
        }
    }
}

#[test]
fn an_array_is_seen_when_it_is_whole() {
    let fixture = Fixture::new();
    for version in VERSIONS {
        let store = fixture.path(&format!("{version:?}.zarr"));
        let new = target(&store, "g/h/a", version);
        let staged = new.begin(&spec(), IfExists::Fail).unwrap();
        let writer = staged.writer().unwrap();
        writer.write_chunk(&[0..2], &[1, 2]).unwrap();
        assert!(!store.exists());
        let error = read(&ZarrTarget { path: staged.path(), array: String::new(), version }).unwrap_err();
        assert!(error.to_string().contains("is being written, or was left behind"), "{error}");
        let again = target(&store, "g/h/a", version);
        let error = read(&again).unwrap_err().to_string();
        assert!(error.contains("no such file"), "{error}");
        staged.finish().unwrap();
        assert_eq!(read(&new).unwrap(), [1, 2, 0, 0]);

        let staged = new.begin(&spec(), IfExists::Replace).unwrap();
        staged.writer().unwrap().write_chunk(&[2..4], &[8, 9]).unwrap();
        assert_eq!(read(&new).unwrap(), [1, 2, 0, 0]);
        drop(staged);
        assert_eq!(read(&new).unwrap(), [1, 2, 0, 0]);
        write(&new, IfExists::Replace, [5, 6, 7, 8]).unwrap();
        assert_eq!(read(&new).unwrap(), [5, 6, 7, 8]);
        assert_eq!(names(&store.join("g/h")).len(), 2, "{:?}", names(&store.join("g/h")));
        assert_eq!(names(fixture.dir()).len(), 1 + usize::from(version == ZarrVersion::V3));
    }
}

#[test]
fn what_is_kept_are_codecs_and_attributes() {
    let fixture = Fixture::new();
    for version in VERSIONS {
        let kept = target(&fixture.path(&format!("{version:?}.zarr")), "a", version);
        let with_names = ZarrSpec { dims: vec!["x".into()], ..spec() };
        kept.begin(&with_names, IfExists::Fail).unwrap().finish().unwrap();
        let file = kept.path.join(if version == ZarrVersion::V3 { "a/zarr.json" } else { "a/.zattrs" });
        let before = fs::read_to_string(&file).unwrap();
        assert!(before.contains("\"x\""), "{before}");
        write(&kept, IfExists::Keep, [1, 2, 3, 4]).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
        assert_eq!(read(&kept).unwrap(), [1, 2, 3, 4]);
        write(&kept, IfExists::Keep, [0, 0, 3, 4]).unwrap();
        assert_eq!(read(&kept).unwrap(), [0, 0, 3, 4], "chunks that are not stored are zero");
    }
}

#[test]
fn writers_of_one_place_do_not_meet() {
    let fixture = Fixture::new();
    for version in VERSIONS {
        let store = fixture.path(&format!("{version:?}.zarr"));
        // Two arrays of a store that neither has found.
        let [a, b] = ["g/a", "g/b"].map(|array| target(&store, array, version));
        let staged = [&a, &b].map(|t| t.begin(&spec(), IfExists::Fail).unwrap());
        for (k, one) in staged.iter().enumerate() {
            one.writer().unwrap().write_chunk(&[0..2], &[k as u8 + 1; 2]).unwrap();
        }
        staged.into_iter().for_each(|one| one.finish().unwrap());
        assert_eq!((read(&a).unwrap(), read(&b).unwrap()), (vec![1, 1, 0, 0], vec![2, 2, 0, 0]));

        // One array that two replace: it is the later one's.
        let staged = [1, 2].map(|_| a.begin(&spec(), IfExists::Replace).unwrap());
        for (k, one) in staged.iter().enumerate() {
            one.writer().unwrap().write_chunk(&[2..4], &[k as u8 + 5; 2]).unwrap();
        }
        staged.into_iter().for_each(|one| one.finish().unwrap());
        assert_eq!(read(&a).unwrap(), [0, 0, 6, 6]);

        // One that comes while another is written that was to be the first.
        let late = target(&store, "g/c", version);
        let staged = [1, 2].map(|_| late.begin(&spec(), IfExists::Fail).unwrap());
        let [first, second] = staged.map(|one| one.finish());
        first.unwrap();
        assert!(matches!(second, Err(FormatError::Exists { .. })), "{second:?}");

        // The same deep below, where the directories above come meanwhile too.
        let deep = target(&store, "n/e/w", version);
        let staged = [1, 2].map(|_| deep.begin(&spec(), IfExists::Replace).unwrap());
        for (k, one) in staged.iter().enumerate() {
            one.writer().unwrap().write_chunk(&[0..2], &[k as u8 + 3; 2]).unwrap();
        }
        staged.into_iter().for_each(|one| one.finish().unwrap());
        assert_eq!(read(&deep).unwrap(), [4, 4, 0, 0]);
        for dir in ["", "g", "n", "n/e"] {
            let names = names(&store.join(dir));
            assert!(names.iter().all(|n| !n.contains("tilework")), "{dir}: {names:?}");
        }
    }
    assert_eq!(names(fixture.dir()).len(), 2);
}

#[test]
fn directories_of_users_stay_what_they_are() {
    let fixture = Fixture::new();
    for version in VERSIONS {
        let home = fixture.path(&format!("{version:?}"));
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o750)).unwrap();
        fs::write(home.join("letter.txt"), "dear").unwrap();
        let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
        let before = inode(&home);
        let root = target(&home, "", version);
        for round in 1..4 {
            write(&root, IfExists::Replace, [round; 4]).unwrap();
            assert_eq!(read(&root).unwrap(), [round; 4]);
            assert_eq!(fs::read_to_string(home.join("letter.txt")).unwrap(), "dear");
            assert_eq!(inode(&home), before);
        }
        assert!(names(&home).iter().all(|n| !n.contains("tilework")), "{:?}", names(&home));
        // Where the directory is the array's alone it is another one, with the same mode.
        fs::remove_file(home.join("letter.txt")).unwrap();
        write(&root, IfExists::Replace, [9; 4]).unwrap();
        assert_ne!(inode(&home), before);
        assert_eq!(fs::metadata(&home).unwrap().permissions().mode() & 0o777, 0o750);
        assert_eq!(read(&root).unwrap(), [9; 4]);
    }
}

#[test]
fn what_was_left_behind_is_cleared_and_what_is_written_is_not() {
    let fixture = Fixture::new();
    let store = fixture.path("s.zarr");
    let array = target(&store, "a", ZarrVersion::V3);
    write(&array, IfExists::Fail, [1; 4]).unwrap();
    let living = array.begin(&spec(), IfExists::Replace).unwrap();
    let lives = unfinished(&store);
    assert!(fs::read_to_string(lives.join("lock")).unwrap().contains("a` is being written here by process"));
    // What a process leaves that was killed: the same without a lock.
    let dead = store.join(format!("{}0", lives.file_name().unwrap().to_str().unwrap()));
    fs::create_dir_all(dead.join("new/c")).unwrap();
    fs::write(dead.join("lock"), "").unwrap();
    let unrelated = store.join(".b.tilework-host-0");
    fs::create_dir(&unrelated).unwrap();
    write(&array, IfExists::Replace, [2; 4]).unwrap();
    assert!(!dead.exists() && lives.exists() && unrelated.exists());
    living.writer().unwrap().write_chunk(&[0..2], &[3; 2]).unwrap();
    living.finish().unwrap();
    assert_eq!(read(&array).unwrap(), [3, 3, 0, 0]);

    // A writer that was killed while it moved the files.
    let dead = store.join(format!("{}1", lives.file_name().unwrap().to_str().unwrap()));
    fs::create_dir_all(dead.join("old")).unwrap();
    fs::write(dead.join("lock"), "").unwrap();
    fs::rename(store.join("a/zarr.json"), dead.join("old/zarr.json")).unwrap();
    fs::rename(store.join("a/c"), dead.join("old/c")).unwrap();
    let new = target(&fixture.path("new.zarr"), "", ZarrVersion::V3);
    write(&new, IfExists::Fail, [7; 4]).unwrap();
    fs::rename(&new.path, dead.join("new")).unwrap();
    let error = read(&array).unwrap_err().to_string();
    assert!(error.contains(".a.tilework-") && error.contains("interrupted"), "{error}");
    let error = write(&array, IfExists::Fail, [8; 4]).unwrap_err().to_string();
    assert!(error.contains("exists already"), "{error}");
    assert_eq!(read(&array).unwrap(), [7; 4]);
    assert!(!dead.exists());
}

#[test]
fn consolidated_metadata_follow() {
    let fixture = Fixture::new();
    let document = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    let store = fixture.path("v2.zarr");
    let array = target(&store, "g/a", ZarrVersion::V2);
    write(&array, IfExists::Fail, [1; 4]).unwrap();
    let copies = json!({"zarr_consolidated_format": 1, "metadata": {
        ".zgroup": {"zarr_format": 2}, "g/.zgroup": {"zarr_format": 2}, "other/.zattrs": {"x": "NAN"},
        "g/a/.zarray": {"shape": [99]}, "g/a/.zattrs": {"old": true},
    }});
    // Python's JSON has numbers that are none.
    fs::write(store.join(".zmetadata"), copies.to_string().replace("\"NAN\"", "NaN")).unwrap();
    write(&array, IfExists::Replace, [2; 4]).unwrap();
    let text = fs::read_to_string(store.join(".zmetadata")).unwrap();
    assert!(text.contains("\"x\": NaN"), "{text}");
    let after: Value = serde_json::from_str(&text.replace("NaN", "\"NAN\"")).unwrap();
    assert_eq!(after["metadata"]["g/a/.zarray"], document(&store.join("g/a/.zarray")));
    assert_eq!(after["metadata"].get("g/a/.zattrs"), None);
    assert_eq!(after["metadata"]["other/.zattrs"], copies["metadata"]["other/.zattrs"]);

    let store = fixture.path("v3.zarr");
    write(&target(&store, "g/a", ZarrVersion::V3), IfExists::Fail, [1; 4]).unwrap();
    let mut root = document(&store.join("zarr.json"));
    root["consolidated_metadata"] =
        json!({"kind": "inline", "must_understand": false, "metadata": {"g/a": {"shape": [99]}}});
    fs::write(store.join("zarr.json"), root.to_string()).unwrap();
    write(&target(&store, "h/b", ZarrVersion::V3), IfExists::Fail, [1; 4]).unwrap();
    write(&target(&store, "g/a", ZarrVersion::V3), IfExists::Replace, [2; 4]).unwrap();
    let copies = &document(&store.join("zarr.json"))["consolidated_metadata"]["metadata"];
    for node in ["g", "g/a", "h", "h/b"] {
        assert_eq!(copies[node], document(&store.join(node).join("zarr.json")), "{node}");
    }
}

#[test]
fn a_file_keeps_its_mode_and_leftovers_stop_nobody() {
    let fixture = Fixture::new();
    let path = fixture.path("a.npy");
    write_npy(&path, &[1], DType::U8, &[1]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let living = NpyWriter::create(&path, &[1], DType::U8).unwrap();
    let lives = unfinished(fixture.dir());
    assert_eq!(fs::metadata(&lives).unwrap().permissions().mode() & 0o777, 0o640, "from the start");
    let error = ArraySource::npy(&lives).open().unwrap_err().to_string();
    assert!(error.contains("is being written, or was left behind"), "{error}");
    let dead = PathBuf::from(format!("{}0", lives.display()));
    fs::write(&dead, "").unwrap();
    write_npy(&path, &[1], DType::U8, &[2]).unwrap();
    assert!(!dead.exists() && lives.exists());
    living.write(&[0..1], &[3]).unwrap();
    living.finish().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(names(fixture.dir()), ["a.npy"]);
}

#[test]
fn folders_that_cannot_be_written_are_not_missing_files() {
    let fixture = Fixture::new();
    let nowhere = fixture.path("no/such/a.npy");
    let error = write_npy(&nowhere, &[1], DType::U8, &[1]).unwrap_err();
    assert!(matches!(error, FormatError::Folder { .. }), "{error}");
    assert!(error.to_string().contains("/no/such: cannot write into this folder"), "{error}");
    fs::write(fixture.path("file"), "").unwrap();
    for (store, array) in [("file", "a"), ("file/below", "a")] {
        let error =
            write(&target(&fixture.path(store), array, ZarrVersion::V3), IfExists::Fail, [1; 4]).unwrap_err();
        assert!(!matches!(error, FormatError::Missing { .. }), "{error}");
        assert!(
            error.to_string().contains("file` is a file") || error.to_string().contains("Not a directory"),
            "{error}"
        );
    }
    // Nobody can make directories there, whoever it is.
    let error =
        write(&target(Path::new("/proc/x.zarr"), "a", ZarrVersion::V3), IfExists::Fail, [1; 4]).unwrap_err();
    assert!(matches!(error, FormatError::Folder { .. }), "{error}");
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_at_once() {
    let fixture = Fixture::new();
    let make = |path: &Path| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    let pipe = fixture.path("pipe");
    make(&pipe);
    for source in [ArraySource::npy(&pipe), ArraySource::npz(&pipe, "a")] {
        let error = source.open().unwrap_err().to_string();
        assert!(error.contains("got a named pipe, expected a file"), "{error}");
    }
    let store = fixture.path("s.zarr");
    make(&store.join("v3/zarr.json"));
    make(&store.join("v2/.zarray"));
    for array in ["v2", "v3"] {
        let error = ArraySource::zarr(&store, array).open().unwrap_err().to_string();
        assert!(error.contains("got a named pipe, expected a file"), "{error}");
    }
    let array = target(&store, "a", ZarrVersion::V3);
    write(&array, IfExists::Fail, [1; 4]).unwrap();
    fs::remove_file(store.join("a/c/1")).unwrap();
    make(&store.join("a/c/1"));
    let error = read(&array).unwrap_err().to_string();
    assert!(error.contains("a/c/1`") && error.contains("got a named pipe"), "{error}");
}

#[test]
fn a_group_says_which_arrays_are_in_it() {
    let fixture = Fixture::new();
    for version in VERSIONS {
        let store = fixture.path(&format!("{version:?}.zarr"));
        for array in ["g/x", "g/y", "g/deep/z"] {
            write(&target(&store, array, version), IfExists::Fail, [1; 4]).unwrap();
        }
        let error = read(&target(&store, "g", version)).unwrap_err().to_string();
        assert!(error.ends_with("it is a group; the arrays in it: `x`, `y`, `deep/z`"), "{error}");
        let above = read(&target(fixture.dir(), "", version)).unwrap_err().to_string();
        assert!(above.contains("/g/x`"), "{above}");
    }
}

#[test]
fn a_damaged_chunk_is_named_and_none_is_larger_than_it_can_be() {
    let fixture = Fixture::new();
    let (shape, dtype) = ([40, 40], DType::F64);
    for version in VERSIONS {
        let array = target(&fixture.path(&format!("{version:?}.zarr")), "a", version);
        array.create(&ZarrSpec::new(&shape, dtype, &[10, 20]), IfExists::Fail).unwrap();
        crate::support::fill(&array, &pattern(&shape, dtype));
        let chunk = if version == ZarrVersion::V3 { "a/c/2/1" } else { "a/2.1" };
        let file = array.path.join(chunk);
        let fails = |expected: &str| {
            let mut out = vec![0; 40 * 40 * 8];
            let reader = ArraySource::zarr(&array.path, "a").open().unwrap();
            let error = reader.read(&whole(&shape), &mut out).unwrap_err().to_string();
            assert!(error.contains(&format!("{chunk}`")) && error.contains(expected), "{error}");
        };
        fs::write(&file, b"not a chunk").unwrap();
        fails("");
        // A frame that says that it holds 64 TB, and one of a few bytes that does hold 64 MB.
        fs::write(&file, [0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0x40, 0, 0, 1, 0, 0]).unwrap();
        fails("");
        fs::write(&file, zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap()).unwrap();
        fails("");
        fs::File::create(&file).unwrap().set_len(1 << 40).unwrap();
        fails("more than a chunk of this array can have");
    }
}
