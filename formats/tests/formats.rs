//! Every format against the same expectations: what is written is read, boxes are slices of the whole, and
//! damaged or missing files are errors that say what was found.
//!
//! Owns the byte fixtures. Must not know the crate's insides.

// A box of a one-axis array is an array of one range.
#![allow(clippy::single_range_in_vec_init)]
// The helpers of tests are outside `#[test]` functions.
#![allow(clippy::unwrap_used)]

mod damage;
#[cfg(feature = "netcdf")]
mod netcdf;
mod nodes;
mod parts;
mod places;
mod published;
mod support;

use std::fs;
use support::{Fixture, boxes, dtypes, pattern, slice, whole};
use tilework_expr::DType;
use tilework_formats::{
    ArraySource, FormatError, IfExists, NpyWriter, ZarrCodec, ZarrSpec, ZarrTarget, ZarrVersion, npz_members,
    write_npy,
};
use tilework_plan::Steps;

/// Reads many boxes of `source` and compares each with the slice of the whole array.
fn check(source: &ArraySource, shape: &[usize], dtype: DType, expected: &[u8]) {
    let reader = source.open().unwrap();
    assert_eq!((&reader.meta().shape[..], reader.meta().dtype), (shape, dtype), "{source:?}");
    for region in boxes(shape) {
        let expected = slice(expected, shape, dtype.size(), &region);
        let mut got = vec![0xaa; expected.len()];
        reader.read(&region, &mut got).unwrap();
        assert!(got == expected, "{source:?} {dtype} {region:?}");
    }
    for (first, step) in [(0, 1), (0, 2), (1, 3), (2, 1), (1, 7)] {
        // Evenly spaced positions, with other steps along every other axis.
        let along = |(a, &n): (usize, &usize)| {
            let step = step + a % 2;
            let start = if first < n { first } else { 0 };
            Steps { start, step, len: (n - start).div_ceil(step) }
        };
        let steps: Vec<Steps> = shape.iter().enumerate().map(along).collect();
        let expected = every(expected, shape, dtype.size(), &steps);
        let mut got = vec![0xaa; expected.len()];
        reader.read_steps(&steps, &mut got).unwrap();
        assert!(got == expected, "{source:?} {dtype} {steps:?}");
    }
}

/// Evenly spaced positions of an array in C order, element by element.
fn every(bytes: &[u8], shape: &[usize], itemsize: usize, steps: &[Steps]) -> Vec<u8> {
    let mut out = Vec::new();
    for i in 0..steps.iter().map(|s| s.len).product() {
        let (mut rest, mut place, mut stride) = (i, 0, 1);
        for (s, &len) in steps.iter().zip(shape).rev() {
            place += (s.start + rest % s.len * s.step) * stride;
            rest /= s.len;
            stride *= len;
        }
        out.extend(&bytes[place * itemsize..][..itemsize]);
    }
    out
}

const SHAPES: [&[usize]; 7] = [&[], &[1], &[13], &[7, 5], &[4, 3, 6], &[0, 4], &[3, 2, 1, 5]];

#[test]
fn npy_files_round_trip() {
    let fixture = Fixture::new();
    for shape in SHAPES {
        for dtype in dtypes() {
            let bytes = pattern(shape, dtype);
            let path = fixture.path("a.npy");
            write_npy(&path, shape, dtype, &bytes).unwrap();
            check(&ArraySource::npy(&path), shape, dtype, &bytes);
        }
    }
    assert_eq!(fs::read_dir(fixture.dir()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn foreign_npy_layouts_are_read() {
    let fixture = Fixture::new();
    for shape in SHAPES {
        for dtype in dtypes() {
            let bytes = pattern(shape, dtype);
            for (big_endian, fortran) in [(true, false), (false, true), (true, true)] {
                let path = fixture.path("foreign.npy");
                fs::write(&path, support::foreign_npy(shape, dtype, &bytes, big_endian, fortran)).unwrap();
                check(&ArraySource::npy(&path), shape, dtype, &bytes);
            }
        }
    }
}

#[test]
fn bools_are_normalised() {
    let fixture = Fixture::new();
    let path = fixture.path("bools.npy");
    write_npy(&path, &[4], DType::Bool, &[0, 1, 2, 255]).unwrap();
    check(&ArraySource::npy(&path), &[4], DType::Bool, &[0, 1, 1, 1]);

    let target = fixture.target("bools.zarr", "", ZarrVersion::V3);
    let spec = ZarrSpec { codec: ZarrCodec::None, ..ZarrSpec::new(&[4], DType::Bool, &[4]) };
    target.create(&spec, IfExists::Fail).unwrap();
    target.open().unwrap().write_chunk(&[0..4], &[0, 1, 1, 1]).unwrap();
    fs::write(target.path.join("c/0"), [0, 1, 2, 255]).unwrap();
    let mut got = [9; 4];
    match ArraySource::zarr(&target.path, "").open().unwrap().read(&[0..4], &mut got) {
        Ok(()) => assert_eq!(got, [0, 1, 1, 1]),
        // The codec may refuse what is no bool.
        Err(e) => assert!(matches!(e, FormatError::Zarr { .. }), "{e}"),
    }
}

#[test]
fn wide_rows_are_read_run_by_run() {
    // Far rows, near rows (read in one call with the gap) and runs longer than one block.
    let fixture = Fixture::new();
    for (shape, region) in [
        ([20, 9000], [3..17, 17..8000]),
        ([800, 700], [1..799, 3..5]),
        ([3, 200_000], [0..3, 1..199_999]),
        ([600, 1000], [0..600, 0..1000]),
    ] {
        let bytes = pattern(&shape, DType::U16);
        let expected = slice(&bytes, &shape, 2, &region);
        for fortran in [false, true] {
            let path = fixture.path("wide.npy");
            fs::write(&path, support::foreign_npy(&shape, DType::U16, &bytes, false, fortran)).unwrap();
            let mut got = vec![0; expected.len()];
            ArraySource::npy(&path).open().unwrap().read(&region, &mut got).unwrap();
            assert!(got == expected, "{shape:?} {region:?} fortran {fortran}");
        }
    }
}

#[test]
fn npy_files_are_written_box_by_box() {
    let fixture = Fixture::new();
    let (shape, dtype) = ([10, 7], DType::I32);
    let bytes = pattern(&shape, dtype);
    let path = fixture.path("parts.npy");
    let writer = NpyWriter::create(&path, &shape, dtype).unwrap();
    std::thread::scope(|scope| {
        for rows in [0..4, 4..8, 8..10] {
            for cols in [0..3, 3..7] {
                let (writer, bytes, region) = (&writer, &bytes, [rows.clone(), cols]);
                scope.spawn(move || writer.write(&region, &slice(bytes, &shape, 4, &region)).unwrap());
            }
        }
    });
    assert!(!path.exists());
    writer.finish().unwrap();
    check(&ArraySource::npy(&path), &shape, dtype, &bytes);

    let half = NpyWriter::create(fixture.path("half.npy"), &shape, dtype).unwrap();
    half.write(&[0..5, 0..7], &bytes[..140]).unwrap();
    let error = half.finish().unwrap_err().to_string();
    assert!(error.contains("got 140 bytes of data, expected 280"), "{error}");
    assert_eq!(fs::read_dir(fixture.dir()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn what_is_no_file_is_not_replaced_and_links_are_followed() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for path in [&socket, dir.path()] {
        let error = write_npy(path, &[1], DType::U8, &[7]).unwrap_err();
        assert!(matches!(error, FormatError::Exists { .. }), "{error}");
        assert!(!path.is_file(), "{}", path.display());
    }
    let (file, link) = (dir.path().join("a.npy"), dir.path().join("link.npy"));
    std::fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    write_npy(&link, &[1], DType::U8, &[7]).unwrap();
    assert!(link.is_symlink());
    check(&ArraySource::npy(&file), &[1], DType::U8, &[7]);
}

#[test]
fn npz_members_are_read() {
    let fixture = Fixture::new();
    for deflate in [false, true] {
        let members: Vec<_> = SHAPES
            .iter()
            .enumerate()
            .map(|(i, shape)| {
                let dtype = DType::ALL[i];
                (
                    format!("m{i}"),
                    support::foreign_npy(shape, dtype, &pattern(shape, dtype), i % 2 == 1, i % 3 == 1),
                )
            })
            .collect();
        let path = fixture.npz("a.npz", &members, deflate);
        for (i, shape) in SHAPES.iter().enumerate() {
            let dtype = DType::ALL[i];
            check(&ArraySource::npz(&path, format!("m{i}")), shape, dtype, &pattern(shape, dtype));
        }
        assert_eq!(npz_members(&path).unwrap(), ["m0", "m1", "m2", "m3", "m4", "m5", "m6"]);
        let error = ArraySource::npz(&path, "other").open().unwrap_err().to_string();
        assert!(error.contains("no member `other`, expected one of: m0, m1, m2"), "{error}");
    }
}

#[test]
fn members_have_the_names_that_numpy_gives_them() {
    let fixture = Fixture::new();
    let image = |n: u8| support::foreign_npy(&[1], DType::U8, &[n], false, false);
    // `Fixture::npz` adds `.npy`: the archive has `a.npy`, `a.npy.npy` and `b.npy`.
    let path = fixture.npz(
        "a.npz",
        &[("a".into(), image(1)), ("a.npy".into(), image(2)), ("b".into(), image(3))],
        true,
    );
    for (member, element) in [("a", 1), ("a.npy", 1), ("a.npy.npy", 2), ("b", 3), ("b.npy", 3)] {
        check(&ArraySource::npz(&path, member), &[1], DType::U8, &[element]);
    }
    assert_eq!(npz_members(&path).unwrap(), ["a", "a.npy.npy", "b"]);
    // Members without the ending are not the same as those with it.
    let path = fixture.path("both.npz");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for (name, n) in [("a.npy", 4), ("a", 5)] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, &image(n)).unwrap();
    }
    zip.finish().unwrap();
    assert_eq!(npz_members(&path).unwrap(), ["a.npy", "a"]);
    for (member, element) in [("a", 5), ("a.npy", 4)] {
        check(&ArraySource::npz(&path, member), &[1], DType::U8, &[element]);
    }
}

#[test]
fn deflated_members_are_read_in_any_order_and_by_many_threads() {
    // Long enough for several marks (one every MiB).
    let fixture = Fixture::new();
    let (shape, dtype) = ([400, 1000], DType::I64);
    let bytes = pattern(&shape, dtype);
    let path = fixture.npz(
        "big.npz",
        &[("a".into(), support::foreign_npy(&shape, dtype, &bytes, false, false))],
        true,
    );
    let reader = ArraySource::npz(&path, "a").open().unwrap();
    let regions: Vec<_> =
        [[390..400, 0..1000], [0..3, 1..2], [200..250, 10..20], [0..400, 999..1000], [100..300, 0..1000]]
            .into_iter()
            .collect();
    std::thread::scope(|scope| {
        for turn in 0..4 {
            let (reader, regions, bytes) = (&reader, &regions, &bytes);
            scope.spawn(move || {
                for k in 0..regions.len() {
                    let region = &regions[(k + turn) % regions.len()];
                    let expected = slice(bytes, &shape, 8, region);
                    let mut got = vec![0; expected.len()];
                    reader.read(region, &mut got).unwrap();
                    assert!(got == expected, "{region:?}");
                }
            });
        }
    });
}

#[test]
fn zarr_arrays_round_trip() {
    let fixture = Fixture::new();
    let codecs = [
        ZarrCodec::None,
        ZarrCodec::Zstd { level: 3 },
        ZarrCodec::Gzip { level: 6 },
        ZarrCodec::Blosc { level: 5 },
    ];
    for (i, dtype) in dtypes().enumerate() {
        for (j, (shape, chunks, shards)) in [
            (&[][..], &[][..], &[][..]),
            (&[13], &[5], &[10]),
            (&[7, 5], &[3, 2], &[6, 4]),
            (&[4, 3, 6], &[2, 3, 4], &[4, 3, 4]),
            (&[0, 4], &[2, 2], &[2, 4]),
        ]
        .into_iter()
        .enumerate()
        {
            for version in [ZarrVersion::V2, ZarrVersion::V3] {
                for sharded in [false, true] {
                    if sharded && version == ZarrVersion::V2 {
                        continue;
                    }
                    let spec = ZarrSpec {
                        shards: sharded.then(|| shards.to_vec()),
                        codec: codecs[(i + j) % codecs.len()],
                        dims: (0..shape.len()).map(|k| format!("axis{k}")).collect(),
                        ..ZarrSpec::new(shape, dtype, chunks)
                    };
                    let target = fixture.target("store.zarr", &format!("g{version:?}/a"), version);
                    let target = ZarrTarget { path: target.path.join(format!("{version:?}")), ..target };
                    target.create(&spec, IfExists::Replace).unwrap();
                    let bytes = pattern(shape, dtype);
                    support::fill(&target, &bytes);
                    check(&ArraySource::zarr(&target.path, &target.array), shape, dtype, &bytes);
                }
            }
        }
    }
}

#[test]
fn shards_say_what_is_read_and_what_is_written() {
    let fixture = Fixture::new();
    let target = fixture.target("a.zarr", "x", ZarrVersion::V3);
    let spec = ZarrSpec { shards: Some(vec![4, 6]), ..ZarrSpec::new(&[8, 8], DType::F32, &[2, 3]) };
    target.create(&spec, IfExists::Fail).unwrap();
    let writer = target.open().unwrap();
    assert_eq!((&writer.meta().chunks, &writer.meta().read_chunks), (&vec![4, 6], &vec![2, 3]));
    let error = writer.write_chunk(&[0..2, 0..3], &[0; 24]).unwrap_err();
    assert!(matches!(error, FormatError::Unaligned { .. }), "{error}");
    assert!(error.to_string().contains("is not one whole chunk of [4, 6]"), "{error}");
    writer.write_chunk(&[4..8, 6..8], &[1; 32]).unwrap();
}

#[test]
fn only_whole_chunks_are_written() {
    let fixture = Fixture::new();
    let target = fixture.target("a.zarr", "", ZarrVersion::V2);
    target.create(&ZarrSpec::new(&[7, 5], DType::U8, &[3, 5]), IfExists::Fail).unwrap();
    let writer = target.open().unwrap();
    writer.write_chunk(&[6..7, 0..5], &[1; 5]).unwrap();
    for bad in [[1..4, 0..5], [0..2, 0..5], [0..6, 0..5], [0..3, 0..4], [0..0, 0..5]] {
        let n = bad[0].len() * bad[1].len();
        let error = writer.write_chunk(&bad, &vec![1; n]).unwrap_err();
        assert!(matches!(error, FormatError::Unaligned { .. }), "{bad:?} {error}");
    }
    let error = writer.write_chunk(&[0..3, 0..5], &[1; 14]).unwrap_err().to_string();
    assert!(error.contains("got a buffer of 14 bytes, expected 15"), "{error}");
    assert!(matches!(writer.write_chunk(&[6..9, 0..5], &[1; 15]), Err(FormatError::OutOfBounds { .. })));
}

#[test]
fn a_chunk_of_zeros_is_not_stored() {
    let fixture = Fixture::new();
    for (version, chunk) in [(ZarrVersion::V2, "1"), (ZarrVersion::V3, "c/1")] {
        let target = fixture.target(&format!("{version:?}.zarr"), "", version);
        target.create(&ZarrSpec::new(&[4], DType::F64, &[2]), IfExists::Fail).unwrap();
        for last in [[0; 16], [1; 16], [0; 16]] {
            let bytes = [[1; 16], last].concat();
            support::fill(&target, &bytes);
            assert_eq!(target.path.join(chunk).exists(), last != [0; 16]);
            check(&ArraySource::zarr(&target.path, ""), &[4], DType::F64, &bytes);
        }
    }
}

#[test]
fn existing_arrays_are_kept_replaced_or_refused() {
    let fixture = Fixture::new();
    let spec = ZarrSpec::new(&[4], DType::U8, &[2]);
    for version in [ZarrVersion::V2, ZarrVersion::V3] {
        let target = fixture.target(&format!("{version:?}.zarr"), "g/a", version);
        target.create(&spec, IfExists::Fail).unwrap();
        support::fill(&target, &[1, 2, 3, 4]);
        let note = target.path.join("g/a/note.txt");
        fs::write(&note, "mine").unwrap();
        let source = ArraySource::zarr(&target.path, "g/a");

        let error = target.create(&spec, IfExists::Fail).unwrap_err();
        assert!(matches!(error, FormatError::Exists { .. }), "{error}");
        target.create(&spec, IfExists::Keep).unwrap();
        check(&source, &[4], DType::U8, &[1, 2, 3, 4]);
        let other = ZarrSpec::new(&[4], DType::I8, &[2]);
        assert!(matches!(target.create(&other, IfExists::Keep), Err(FormatError::WrongDType { .. })));
        let other = ZarrSpec::new(&[5], DType::U8, &[2]);
        assert!(matches!(target.create(&other, IfExists::Keep), Err(FormatError::WrongShape { .. })));
        let other = ZarrSpec::new(&[4], DType::U8, &[3]);
        assert!(matches!(target.create(&other, IfExists::Keep), Err(FormatError::Exists { .. })));

        target.create(&other, IfExists::Replace).unwrap();
        check(&source, &[4], DType::U8, &[0, 0, 0, 0]);
        assert_eq!(fs::read_to_string(&note).unwrap(), "mine");

        // A group is never replaced, and nothing is put below an array.
        let group = ZarrTarget { array: "g".into(), ..target.clone() };
        assert!(matches!(group.create(&spec, IfExists::Replace), Err(FormatError::Exists { .. })));
        let below = ZarrTarget { array: "g/a/b".into(), ..target.clone() };
        let error = below.create(&spec, IfExists::Fail).unwrap_err().to_string();
        assert!(error.contains("`/g/a` above it is an array"), "{error}");
    }
    let mixed = fixture.target("V2.zarr", "g/new", ZarrVersion::V3);
    let error = mixed.create(&spec, IfExists::Fail).unwrap_err().to_string();
    assert!(error.contains("another zarr version, expected V3"), "{error}");
}

#[test]
fn zarr_works_inside_another_runtime() {
    let fixture = Fixture::new();
    let target = fixture.target("a.zarr", "", ZarrVersion::V3);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        target.create(&ZarrSpec::new(&[2], DType::U8, &[1]), IfExists::Fail).unwrap();
        support::fill(&target, &[1, 2]);
        tokio::spawn(async move {
            let reader = ArraySource::zarr(&target.path, "").open().unwrap();
            let mut got = [0; 2];
            reader.read(&[0..2], &mut got).unwrap();
            assert_eq!(got, [1, 2]);
        })
        .await
        .unwrap();
    });
}

#[test]
fn many_threads_read_one_zarr_array() {
    let fixture = Fixture::new();
    let target = fixture.target("a.zarr", "", ZarrVersion::V3);
    let (shape, dtype) = ([64, 64], DType::F64);
    target.create(&ZarrSpec::new(&shape, dtype, &[16, 16]), IfExists::Fail).unwrap();
    let bytes = pattern(&shape, dtype);
    support::fill(&target, &bytes);
    let reader = ArraySource::zarr(&target.path, "").open().unwrap();
    std::thread::scope(|scope| {
        for k in 0..8 {
            let (reader, bytes) = (&reader, &bytes);
            scope.spawn(move || {
                for region in [[k..64, 0..64], [k * 8..k * 8 + 8, 3..60], [0..64, k * 8..64]] {
                    let expected = slice(bytes, &shape, 8, &region);
                    let mut got = vec![0; expected.len()];
                    reader.read(&region, &mut got).unwrap();
                    assert!(got == expected, "{region:?}");
                }
            });
        }
    });
}

#[test]
fn callers_mistakes_are_errors() {
    let fixture = Fixture::new();
    let path = fixture.path("a.npy");
    write_npy(&path, &[3, 4], DType::F64, &[0; 96]).unwrap();
    let reader = ArraySource::npy(&path).open().unwrap();
    let text = |result: Result<(), FormatError>| result.unwrap_err().to_string();
    assert!(
        text(reader.read(&[0..4, 0..4], &mut [0; 128])).contains("box [0..4, 0..4] is outside shape [3, 4]")
    );
    assert!(text(reader.read(&whole(&[3]), &mut [0; 24])).contains("box [0..3] is outside shape [3, 4]"));
    assert!(text(reader.read(&[0..1, 0..1], &mut [0; 7])).contains("got a buffer of 7 bytes, expected 8"));
    assert!(text(reader.expect(DType::F32, 2)).contains("a.npy: holds f64, expected f32"));
    assert!(text(reader.expect(DType::F64, 1)).contains("got 2 axes, expected 1"));
    assert!(reader.expect(DType::F64, 2).is_ok());
    assert!(
        text(write_npy(&path, &[3], DType::F64, &[0; 23])).contains("got a buffer of 23 bytes, expected 24")
    );
    assert!(text(write_npy(&path, &[usize::MAX, 3], DType::F64, &[])).contains("too large"));
    let target = fixture.target("a.zarr", "../b", ZarrVersion::V3);
    let error = text(target.create(&ZarrSpec::new(&[1], DType::U8, &[1]), IfExists::Fail));
    assert!(error.contains("got array path `../b`"), "{error}");
    assert!(ArraySource::npy("a.npy").absolute().unwrap().path().is_absolute());
}
