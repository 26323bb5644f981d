//! NetCDF and HDF5 files as h5py and netCDF4 write them (`make.py`), read as those read them.

use crate::support::{Fixture, whole};
use proptest::prelude::*;
use serde_json::json;
use std::io::Read;
use std::path::Path;
use tilework_expr::Scalar;
use tilework_formats::{ArrayReader, ArraySource, FormatError, Packing, netcdf_group};
use tilework_plan::Steps;

const ARCHIVE: &[u8] = include_bytes!("netcdf.zip");
const HDF5: [&str; 3] = ["chunks-earliest.h5", "chunks-v108.h5", "chunks-latest.h5"];

fn files() -> (Fixture, Vec<String>) {
    Fixture::of_archive(ARCHIVE)
}

fn all(reader: &ArrayReader) -> Result<Vec<u8>, FormatError> {
    let meta = reader.meta();
    let mut bytes = vec![0xaa; meta.shape.iter().product::<usize>() * meta.dtype.size()];
    reader.read(&whole(&meta.shape), &mut bytes)?;
    Ok(bytes)
}

fn netcdf(fixture: &Fixture, file: &str, variable: &str) -> Result<ArrayReader, FormatError> {
    ArraySource::netcdf(fixture.path(file), variable).open()
}

#[test]
fn what_h5py_and_netcdf4_read_is_read() {
    let (fixture, names) = files();
    let mut n_read = 0;
    for name in names.iter().filter_map(|name| name.strip_prefix("expected/")) {
        let (file, variable) = name.strip_suffix(".npy").unwrap().split_once('/').unwrap();
        let expected = ArraySource::npy(fixture.path(&format!("expected/{name}"))).open().unwrap();
        let reader = netcdf(&fixture, file, variable).unwrap_or_else(|e| panic!("{e}"));
        let (got, want) = (reader.meta(), expected.meta());
        assert_eq!((&got.shape, got.dtype), (&want.shape, want.dtype), "{name}");
        assert_eq!(all(&reader).unwrap(), all(&expected).unwrap(), "{name}");
        n_read += 1;
    }
    assert_eq!(n_read, 279);
}

#[test]
fn boxes_and_steps_are_those_of_the_whole() {
    let (fixture, names) = files();
    let arrays = [
        ("chunks-latest.h5", "cube/summed"),
        ("chunks-earliest.h5", "cube/holes"),
        ("netcdf4.nc", "short"),
        ("netcdf3_classic.nc", "t"),
        ("netcdf3_64bit_data.nc", "fixed_u8"),
        ("chunks-v108.h5", "contiguous"),
        ("chunks-latest.h5", "compact"),
        ("chunks-latest.h5", "never"),
    ];
    assert!(arrays.iter().all(|(file, _)| names.iter().any(|name| name == file)));
    for (file, variable) in arrays {
        let reader = netcdf(&fixture, file, variable).unwrap();
        let expected =
            ArraySource::npy(fixture.path(&format!("expected/{file}/{variable}.npy"))).open().unwrap();
        let shape = reader.meta().shape.clone();
        let size = reader.meta().dtype.size();
        for start in 0..3 {
            for step in 1..4 {
                let steps: Vec<Steps> = shape
                    .iter()
                    .enumerate()
                    .map(|(axis, &n)| {
                        let start = (start + axis).min(n - 1);
                        Steps { start, step, len: (n - start).div_ceil(step) }
                    })
                    .collect();
                let bytes = steps.iter().map(|s| s.len).product::<usize>() * size;
                let (mut got, mut want) = (vec![1; bytes], vec![2; bytes]);
                reader.read_steps(&steps, &mut got).unwrap();
                expected.read_steps(&steps, &mut want).unwrap();
                assert_eq!(got, want, "{file} {variable} {steps:?}");
            }
        }
    }
}

#[test]
fn what_is_said_of_arrays_and_groups_is_told() {
    let (fixture, _) = files();
    for file in HDF5 {
        let reader = netcdf(&fixture, file, "said").unwrap();
        let info = reader.info().unwrap();
        let expected = json!({
            "text": "µm", "bytes": "K", "one": 1.5, "two": [1, -2], "float": 0.25, "nan": "NaN",
            "large": u64::MAX, "texts": ["a", "b"], "flag": true,
        });
        assert_eq!(serde_json::Value::from(info.attributes().unwrap()), expected, "{file}");
        assert_eq!(info.dims, [Some("y".to_owned()), Some("x".to_owned())], "{file}");
        let group = netcdf_group(&fixture.path(file), "").unwrap();
        assert_eq!(group.groups, ["cube", "extensible", "fixed", "line", "many", "single", "tree"]);
        assert!(group.variables.contains(&("x".to_owned(), true)));
        let many = netcdf_group(&fixture.path(file), "many").unwrap();
        assert_eq!((many.variables.len(), many.attributes.len()), (20, 20), "{file}");
        let holes = netcdf(&fixture, file, "/tree/holes/").unwrap();
        assert_eq!(holes.info().unwrap().fill_value, Some(Scalar::new(-7i16)));
        assert_eq!(holes.meta().chunks, [4, 3]);
    }
    for file in ["netcdf4.nc", "netcdf4_classic.nc", "netcdf3_classic.nc", "netcdf3_64bit_offset.nc"] {
        let group = netcdf_group(&fixture.path(file), "").unwrap();
        assert_eq!(serde_json::Value::from(group.attributes), json!({"title": "test"}), "{file}");
        assert!(group.variables.contains(&("time".to_owned(), true)), "{file}");
        assert!(!group.variables.iter().any(|(name, _)| name == "y"), "{file}");
        assert!(group.variables.contains(&("name".to_owned(), false)), "{file}");
        let t = netcdf(&fixture, file, "t").unwrap();
        let info = t.info().unwrap();
        assert_eq!(info.dims, ["time", "y", "x"].map(|name| Some(name.to_owned())), "{file}");
        let said = json!({
            "_FillValue": -99, "scale_factor": 0.25, "add_offset": 1.0, "units": "K", "valid_range": [-90, 90],
        });
        assert_eq!(serde_json::Value::from(info.attributes().unwrap()), said, "{file}");
        assert_eq!(info.packed().unwrap(), "scale_factor = 0.25, add_offset = 1.0, _FillValue = -99");
        let Packing { scale, offset, missing, .. } = info.packing().unwrap();
        assert_eq!((scale, offset, missing), (Some(0.25), Some(1.0), vec![Scalar::new(-99i16)]));
        let time = netcdf(&fixture, file, "time").unwrap();
        assert_eq!(time.info().unwrap().attributes().unwrap()["units"], "days since 2026-07-01");
        assert_eq!(time.info().unwrap().dims, [Some("time".to_owned())]);
    }
    let u = netcdf(&fixture, "netcdf4.nc", "forecast/day/u").unwrap();
    assert_eq!(u.info().unwrap().dims, [Some("y".to_owned()), Some("x".to_owned())]);
    assert_eq!(netcdf_group(&fixture.path("netcdf4.nc"), "forecast").unwrap().groups, ["day"]);
}

/// What is said of an array that cannot be opened, behind the name of the file.
fn error(fixture: &Fixture, file: &str, variable: &str) -> String {
    let error = netcdf(fixture, file, variable).map(|_| ()).unwrap_err().to_string();
    error.strip_prefix(&fixture.path(file).display().to_string()).expect("the file is named").to_owned()
}

#[test]
fn elements_that_cannot_be_read_are_named() {
    let (fixture, _) = files();
    let expected = "expected bool, an 8 to 64 bit integer, a 32 or 64 bit float or a complex number of these";
    for (file, variable, got) in [
        ("netcdf3_classic.nc", "label", "characters (NC_CHAR)"),
        ("netcdf4.nc", "label", "strings of 1 bytes"),
        ("types.h5", "compound", "compound (x, y)"),
        ("types.h5", "text", "strings of 3 bytes"),
        ("types.h5", "vlen_text", "strings"),
        ("types.h5", "vlen", "lists of any length (vlen)"),
        ("types.h5", "half", "float16"),
    ] {
        let error = error(&fixture, file, variable);
        assert_eq!(error, format!("[{variable}]: unsupported element type {got}, {expected}"));
    }
    let zstd = error(&fixture, "netcdf4.nc", "forecast/day/zstd");
    assert_eq!(
        zstd,
        "[forecast/day/zstd]: unsupported: chunks that are stored by the filter 32015 (Zstandard)"
    );
    let null = error(&fixture, "types.h5", "null");
    assert_eq!(null, "[null]: not a readable array: a dataset without a shape (a null dataspace)");
}

#[test]
fn what_is_not_there_is_told_with_what_is_near() {
    let (fixture, _) = files();
    std::fs::write(fixture.path("text.nc"), "no such file").unwrap();
    std::fs::write(fixture.path("empty.nc"), "").unwrap();
    std::fs::write(fixture.path("nine.nc"), b"CDF\x09\0\0\0\0").unwrap();
    let neither =
        ": not a readable array: got neither NetCDF nor HDF5 at its beginning, expected one of them";
    let nine = ": unsupported: version 9 of the classic format of NetCDF, expected 1, 2 or 5";
    let near = |name, names| format!(": there is no `{name}`; there is: {names} more");
    for (file, variable, expected) in [
        ("none.nc", "t", ": no such file, store or array".to_owned()),
        ("text.nc", "t", neither.to_owned()),
        ("empty.nc", "t", neither.to_owned()),
        ("nine.nc", "t", nine.to_owned()),
        ("netcdf3_classic.nc", "tme", near("tme", "`time`, `name`, `t`, `label`, `number`, 6")),
        ("netcdf4.nc", "", near("", "`t`, `name`, `time`, `label`, `short`, 14")),
        ("types.h5", "gone", near("gone", "`one`, `bool`, `link`, `enum`, `half`, 34")),
    ] {
        assert_eq!(error(&fixture, file, variable), expected);
    }
    // What says the length of an axis and nothing else.
    assert!(error(&fixture, "netcdf4.nc", "y").starts_with(": there is no `y`"));
    let below = error(&fixture, "netcdf4.nc", "forecast/day/v");
    assert!(below.starts_with(": there is no `forecast/day/v`; there is: `forecast/day/u`,"), "{below}");
    let url = ArraySource::netcdf("s3://bucket/a.nc", "t").open().unwrap_err().to_string();
    let expected = "s3://bucket/a.nc: unsupported: NetCDF and HDF5 files in object stores, expected a file of this machine";
    assert_eq!(url, expected);
    let group = netcdf_group(&fixture.path("netcdf4.nc"), "forcast").unwrap_err().to_string();
    assert!(group.ends_with("there is no `forcast`; there is: `forecast`, `forecast/day`"), "{group}");
}

#[test]
fn files_that_end_early_say_so() {
    let (fixture, _) = files();
    for (file, variable) in [
        ("netcdf3_classic.nc", "short"),
        ("netcdf4.nc", "t"),
        ("chunks-latest.h5", "contiguous"),
        ("records.nc", "only"),
    ] {
        let path = fixture.path(file);
        let bytes = std::fs::read(&path).unwrap();
        for len in [16, 60, bytes.len() / 2, bytes.len() - 4] {
            std::fs::write(&path, &bytes[..len]).unwrap();
            let error = netcdf(&fixture, file, variable).map(|_| ()).unwrap_err();
            assert!(
                matches!(error, FormatError::Truncated { .. }),
                "{file}: {len} of {}: {error}",
                bytes.len()
            );
        }
        // While it is open.
        std::fs::write(&path, &bytes).unwrap();
        let reader = netcdf(&fixture, file, variable).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(70).unwrap();
        let error = all(&reader).unwrap_err();
        assert!(matches!(error, FormatError::Truncated { .. } | FormatError::Io { .. }), "{file}: {error}");
    }
}

#[test]
fn chunks_that_are_damaged_are_told() {
    let (fixture, _) = files();
    let path = fixture.path("chunks-latest.h5");
    let reader = netcdf(&fixture, "chunks-latest.h5", "fixed/summed").unwrap();
    assert!(all(&reader).is_ok());
    let mut bytes = std::fs::read(&path).unwrap();
    // The streams of zlib in the file begin so.
    for at in 0..bytes.len() - 2 {
        if bytes[at..at + 2] == [0x78, 0x5e] {
            bytes[at + 3] ^= 0x55;
        }
    }
    std::fs::write(&path, bytes).unwrap();
    let reader = netcdf(&fixture, "chunks-latest.h5", "fixed/summed").unwrap();
    let error = all(&reader).unwrap_err();
    assert!(matches!(error, FormatError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("the chunk at byte"), "{error}");
}

/// Opens and reads an array of a file that may be anything: no panic, no end, no more memory than the array takes.
fn endure(path: &Path, variable: &str) {
    let _ = netcdf_group(path, "");
    let Ok(reader) = ArraySource::netcdf(path, variable).open() else { return };
    let meta = reader.meta();
    let bytes = meta.shape.iter().try_fold(meta.dtype.size(), |n, &len| n.checked_mul(len)).unwrap();
    if bytes < 1 << 20 {
        let _ = all(&reader);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn damaged_files_are_errors_or_other_values(
        file in 0usize..6,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        end in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let (file, variables) = [
            ("chunks-earliest.h5", &["tree/summed", "said", "never"][..]),
            ("chunks-v108.h5", &["tree/holes", "cube/summed"][..]),
            ("chunks-latest.h5", &["tree/summed", "fixed/holes", "extensible/plain", "line/shuffled", "implicit"][..]),
            ("types.h5", &["scaled", "big/c16", "bool", "lzf"][..]),
            ("netcdf3_64bit_data.nc", &["t", "short", "fixed_u8"][..]),
            ("netcdf4.nc", &["t", "short", "forecast/day/u"][..]),
        ][file];
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(ARCHIVE)).unwrap();
        let mut bytes = Vec::new();
        archive.by_name(file).unwrap().read_to_end(&mut bytes).unwrap();
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        let fixture = Fixture::new();
        let path = fixture.path(file);
        std::fs::write(&path, bytes).unwrap();
        variables.iter().for_each(|variable| endure(&path, variable));
    }
}

#[test]
fn headers_that_promise_too_much_are_refused() {
    let fixture = Fixture::new();
    let header = |n_dims: u32, len: u32| -> Vec<u8> {
        let mut bytes = b"CDF\x01\0\0\0\0\0\0\0\x0a".to_vec();
        bytes.extend(n_dims.to_be_bytes());
        bytes.extend([0, 0, 0, 1, b'x', 0, 0, 0]);
        bytes.extend(len.to_be_bytes());
        bytes.extend([0; 8]);
        bytes.extend(b"\0\0\0\x0b\0\0\0\x01\0\0\0\x01t\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0");
        bytes.extend([0; 8]);
        bytes.extend(b"\0\0\0\x06\0\0\0\0\0\0\0\x40");
        bytes
    };
    for (n_dims, len, expected) in [
        (
            1,
            u32::MAX,
            "shape [4294967295, 4294967295, 4294967295] of 8-byte elements is too large to address",
        ),
        (1, 1000, "truncated: got 88 bytes, expected 8000000064"),
        (u32::MAX, 5, "truncated: got 88 bytes, expected 92"),
    ] {
        let bytes = header(n_dims, len);
        std::fs::write(fixture.path("a.nc"), &bytes).unwrap();
        let error = error(&fixture, "a.nc", "t");
        assert!(error.contains(expected), "{n_dims} {len}: {error}");
    }
}
