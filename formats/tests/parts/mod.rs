//! Parts of arrays: what is appended and what is written to boxes, what others see meanwhile, and what is left of a writer
//! that dies.

use crate::support::{Fixture, fill, pattern, slice, whole};
use serde_json::{Value, json};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tilework_expr::{DType, Scalar};
use tilework_formats::{ArraySource, FormatError, IfExists, ZarrPart, ZarrSpec, ZarrTarget, ZarrVersion};

const VERSIONS: [ZarrVersion; 2] = [ZarrVersion::V2, ZarrVersion::V3];

fn read(target: &ZarrTarget) -> (Vec<usize>, Vec<u8>) {
    let reader = ArraySource::zarr(&target.path, &*target.array).open().unwrap();
    let shape = reader.meta().shape.clone();
    let mut bytes = vec![0xaa; shape.iter().product::<usize>() * reader.meta().dtype.size()];
    reader.read(&whole(&shape), &mut bytes).unwrap();
    (shape, bytes)
}

/// An array of bytes, of `shape`, in chunks of 4 by 3.
fn begin(fixture: &Fixture, version: ZarrVersion, shape: &[usize]) -> (ZarrTarget, Vec<u8>) {
    let target = fixture.target(&format!("{version:?}.zarr"), "g/x", version);
    let spec = ZarrSpec { fill_value: Some(Scalar::new(9u8)), ..ZarrSpec::new(shape, DType::U8, &[4, 3]) };
    target.create(&spec, IfExists::Replace).unwrap();
    let bytes = pattern(shape, DType::U8);
    fill(&target, &bytes);
    (target, bytes)
}

fn append(target: &ZarrTarget, axis: usize, shape: &[usize]) -> Result<ZarrPart, FormatError> {
    ZarrPart::append(&target.path, &target.array, DType::U8, (axis, shape))
}

fn region(target: &ZarrTarget, region: &[Range<usize>]) -> Result<ZarrPart, FormatError> {
    ZarrPart::region(&target.path, &target.array, DType::U8, region)
}

/// Writes every chunk that a part touches, as a program would: the old elements, and `element` where it writes.
fn write_chunks(part: &ZarrPart, (shape, old): (&[usize], &[u8]), element: u8) {
    let writer = part.writer().unwrap();
    let chunks = part.meta().chunks.clone();
    let hull = part.hull();
    let lens: Vec<usize> = hull.iter().map(Range::len).collect();
    assert_eq!(writer.meta().shape, lens);
    for i in (0..lens[0]).step_by(chunks[0]) {
        for j in (0..lens[1]).step_by(chunks[1]) {
            let here = [i..lens[0].min(i + chunks[0]), j..lens[1].min(j + chunks[1])];
            let mut bytes = Vec::new();
            for y in here[0].clone().map(|y| y + hull[0].start) {
                for x in here[1].clone().map(|x| x + hull[1].start) {
                    let is_new = part.written()[0].contains(&y) && part.written()[1].contains(&x);
                    bytes.push(if is_new { element } else { old[y * shape[1] + x] });
                }
            }
            writer.write_chunk(&here, &bytes).unwrap();
        }
    }
}

/// The array with a box of one element.
fn with(shape: &[usize], old: (&[usize], &[u8]), written: &[Range<usize>], element: u8) -> Vec<u8> {
    let (old_shape, old) = old;
    let at = |i: usize| (i / shape[1], i % shape[1]);
    let element_of = |i: usize| {
        let (y, x) = at(i);
        if written[0].contains(&y) && written[1].contains(&x) { element } else { old[y * old_shape[1] + x] }
    };
    (0..shape[0] * shape[1]).map(element_of).collect()
}

fn leftovers(target: &ZarrTarget) -> Vec<PathBuf> {
    let group = target.path.join("g");
    let entries = fs::read_dir(group).unwrap().map(|e| e.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains(".tilework-")).collect()
}

#[test]
fn parts_are_seen_when_they_are_whole() {
    let fixture = Fixture::new();
    for version in VERSIONS {
        for (axis, shape, appended) in [
            (0, [10, 7], [3, 7]),
            (1, [10, 7], [10, 1]),
            (0, [8, 7], [9, 7]),
            (1, [4, 0], [4, 5]),
            (0, [0, 2], [1, 2]),
        ] {
            let (target, old) = begin(&fixture, version, &shape);
            let part = append(&target, axis, &appended).unwrap();
            write_chunks(&part, (&shape, &old), 77);
            assert_eq!(read(&target), (shape.to_vec(), old.clone()), "it is not seen yet");
            let written = part.written().to_vec();
            part.finish().unwrap();
            let mut longer = shape;
            longer[axis] += appended[axis];
            let expected = with(&longer, (&shape, &old), &written, 77);
            assert_eq!(read(&target), (longer.to_vec(), expected), "{version:?} {axis} {shape:?}");
            assert!(leftovers(&target).is_empty());
        }
        for boxed in [[5..6, 2..4], [4..10, 6..7], [0..10, 0..7], [9..10, 0..1], [3..3, 0..7]] {
            let shape = [10, 7];
            let (target, old) = begin(&fixture, version, &shape);
            let part = region(&target, &boxed).unwrap();
            write_chunks(&part, (&shape, &old), 66);
            assert_eq!(read(&target).1, old, "it is not seen yet");
            part.finish().unwrap();
            assert_eq!(read(&target).1, with(&shape, (&shape, &old), &boxed, 66), "{boxed:?}");
            // One that is given up leaves all as it was.
            let now = read(&target);
            let part = region(&target, &boxed).unwrap();
            write_chunks(&part, (&shape, &now.1), 55);
            drop(part);
            assert_eq!(read(&target), now);
            assert!(leftovers(&target).is_empty());
        }
    }
}

#[test]
fn shards_are_written_whole() {
    let fixture = Fixture::new();
    let target = fixture.target("s.zarr", "", ZarrVersion::V3);
    let spec = ZarrSpec { shards: Some(vec![4, 6]), ..ZarrSpec::new(&[6, 6], DType::U8, &[2, 3]) };
    target.create(&spec, IfExists::Fail).unwrap();
    let old = pattern(&[6, 6], DType::U8);
    fill(&target, &old);
    let part = append(&target, 0, &[5, 6]).unwrap();
    assert_eq!(part.hull(), [4..11, 0..6], "whole shards");
    write_chunks(&part, (&[6, 6], &old), 3);
    part.finish().unwrap();
    assert_eq!(read(&target), (vec![11, 6], with(&[11, 6], (&[6, 6], &old), &[6..11, 0..6], 3)));
}

#[test]
fn copies_of_the_shape_are_kept_up_to_date() {
    let fixture = Fixture::new();
    for version in VERSIONS {
        let (target, old) = begin(&fixture, version, &[4, 3]);
        let (file, copies) = match version {
            ZarrVersion::V2 => (".zmetadata", json!({"metadata": {}, "zarr_consolidated_format": 1})),
            ZarrVersion::V3 => (
                "zarr.json",
                json!({"zarr_format": 3, "node_type": "group", "attributes": {}, "consolidated_metadata": {"metadata": {}}}),
            ),
        };
        fs::write(target.path.join(file), copies.to_string()).unwrap();
        let part = append(&target, 0, &[2, 3]).unwrap();
        write_chunks(&part, (&[4, 3], &old), 1);
        part.finish().unwrap();
        let copies: Value = serde_json::from_slice(&fs::read(target.path.join(file)).unwrap()).unwrap();
        let shape = match version {
            ZarrVersion::V2 => &copies["metadata"]["g/x/.zarray"]["shape"],
            ZarrVersion::V3 => &copies["consolidated_metadata"]["metadata"]["g/x"]["shape"],
        };
        assert_eq!(*shape, json!([6, 3]));
    }
}

#[test]
fn chunks_of_the_fill_value_take_no_file_and_clear_what_was_there() {
    let fixture = Fixture::new();
    for version in VERSIONS {
        let (target, old) = begin(&fixture, version, &[8, 6]);
        let chunk = target.path.join("g/x").join(if version == ZarrVersion::V3 { "c/1/1" } else { "1.1" });
        assert!(chunk.exists());
        let part = region(&target, &[4..8, 3..6]).unwrap();
        write_chunks(&part, (&[8, 6], &old), 9);
        part.finish().unwrap();
        assert!(!chunk.exists());
        assert_eq!(read(&target).1, with(&[8, 6], (&[8, 6], &old), &[4..8, 3..6], 9));
    }
}

#[test]
fn what_does_not_fit_is_told_and_nothing_is_left() {
    let fixture = Fixture::new();
    let (target, old) = begin(&fixture, ZarrVersion::V3, &[10, 7]);
    for (error, expected) in [
        (append(&target, 0, &[3, 8]), "g/x: got shape [3, 8], expected [3, 7]"),
        (append(&target, 0, &[3]), "g/x: got shape [3], expected [3, 7]"),
        (append(&target, 2, &[3, 7]), "got axis 2, expected one of the 2 of the array"),
        (append(&target, 0, &[usize::MAX, 7]), "is too large to address"),
        (region(&target, &[0..11, 0..7]), "box [0..11, 0..7] is outside shape [10, 7]"),
        (region(&target, &[0..1]), "box [0..1] is outside shape [10, 7]"),
        (ZarrPart::append(&target.path, "g/x", DType::F32, (0, &[1, 7])), "g/x: holds u8, expected f32"),
        (
            ZarrPart::append(&target.path, "g", DType::U8, (0, &[1, 7])),
            "it is a group; the arrays in it: `x`",
        ),
        (ZarrPart::append(&target.path, "none", DType::U8, (0, &[1, 7])), "no such file, store or array"),
        (
            ZarrPart::append(&fixture.path("none"), "", DType::U8, (0, &[1, 7])),
            "no such file, store or array",
        ),
    ] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(read(&target), (vec![10, 7], old));
    assert!(leftovers(&target).is_empty());
    // Chunks of unequal lengths.
    let file = target.path.join("g/x/zarr.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    document["chunk_grid"] = json!({
        "name": "rectangular", "configuration": {"chunk_shape": [[4, 6], [7]]}
    });
    fs::write(&file, document.to_string()).unwrap();
    let error = append(&target, 0, &[3, 7]).unwrap_err();
    assert!(matches!(error, FormatError::Unsupported { .. } | FormatError::NotAnArray { .. }), "{error}");
}

#[test]
fn an_array_that_has_become_another_one_is_left() {
    let fixture = Fixture::new();
    let (target, old) = begin(&fixture, ZarrVersion::V3, &[10, 7]);
    let part = append(&target, 0, &[3, 7]).unwrap();
    write_chunks(&part, (&[10, 7], &old), 5);
    // Another program, which knows no locks, has made it longer.
    let file = target.path.join("g/x/zarr.json");
    let text = fs::read_to_string(&file).unwrap();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    document["shape"] = json!([12, 7]);
    fs::write(&file, document.to_string()).unwrap();
    let error = part.finish().unwrap_err();
    assert!(matches!(error, FormatError::Changed { .. }), "{error}");
    assert!(error.to_string().contains("shape [12,7]"), "{error}");
    assert_eq!(read(&target).0, [12, 7]);
    // What is said of it may change meanwhile.
    fs::write(&file, &text).unwrap();
    let part = append(&target, 0, &[3, 7]).unwrap();
    write_chunks(&part, (&[10, 7], &old), 5);
    let node = tilework_formats::ZarrNode::new(&target.path, "g/x");
    node.change_attributes(|said| drop(said.insert("units".into(), json!("K")))).unwrap();
    part.finish().unwrap();
    assert_eq!(read(&target).0, [13, 7]);
    assert_eq!(node.attributes().unwrap()["units"], "K");
}

/// A copy of a directory as a writer that was killed leaves it: nobody holds its lock.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_writer_that_was_killed_before_it_moved_anything_leaves_nothing() {
    let fixture = Fixture::new();
    for version in VERSIONS {
        let (target, old) = begin(&fixture, version, &[10, 7]);
        let part = region(&target, &[2..9, 1..6]).unwrap();
        write_chunks(&part, (&[10, 7], &old), 5);
        let [container] = &leftovers(&target)[..] else { panic!("one container") };
        let dead = fixture.path("dead");
        copy(container, &dead);
        drop(part);
        fs::rename(&dead, container).unwrap();
        assert_eq!(read(&target).1, old);
        drop(region(&target, &[0..1, 0..1]).unwrap());
        assert_eq!(read(&target).1, old);
        assert!(leftovers(&target).is_empty());
    }
}

#[test]
fn who_cuts_chunks_waits_for_others_and_who_does_not_need_not() {
    let fixture = Fixture::new();
    let (target, old) = begin(&fixture, ZarrVersion::V3, &[8, 6]);
    // Boxes of whole chunks, side by side.
    let one = region(&target, &[0..4, 0..6]).unwrap();
    let other = region(&target, &[4..8, 0..6]).unwrap();
    write_chunks(&one, (&[8, 6], &old), 1);
    write_chunks(&other, (&[8, 6], &old), 2);
    // Rows of chunks that are cut, each written by a thread of its own.
    std::thread::scope(|scope| {
        let cut = [3usize, 4].map(|row| {
            let target = &target;
            scope.spawn(move || {
                let part = region(target, &[row..row + 1, 0..6]).unwrap();
                write_chunks(&part, (&[8, 6], &read(target).1), 10 + row as u8);
                part.finish().unwrap();
            })
        });
        one.finish().unwrap();
        other.finish().unwrap();
        cut.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let rows: Vec<u8> = read(&target).1.chunks(6).map(|row| row[0]).collect();
    assert_eq!(rows, [1, 1, 1, 13, 14, 2, 2, 2]);
    assert_eq!(slice(&read(&target).1, &[8, 6], 1, &[3..4, 0..6]), [13; 6]);
}
