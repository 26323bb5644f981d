//! Missing, truncated, corrupt and senseless files: an error that names the file, never a wrong number.

use crate::support::{self, Fixture, cut, pattern, whole};
use std::fs;
use std::path::Path;
use tilework_expr::DType;
use tilework_formats::{
    ArraySource, FormatError, IfExists, ZarrCodec, ZarrSpec, ZarrTarget, ZarrVersion, write_npy,
};

fn open_error(source: &ArraySource) -> FormatError {
    match source.open() {
        Ok(_) => panic!("{source:?} was opened"),
        Err(error) => error,
    }
}

fn read_all(source: &ArraySource) -> Result<Vec<u8>, FormatError> {
    let reader = source.open()?;
    let meta = reader.meta().clone();
    let mut out = vec![0xaa; meta.shape.iter().product::<usize>() * meta.dtype.size()];
    reader.read(&whole(&meta.shape), &mut out)?;
    Ok(out)
}

#[test]
fn missing_files_are_named() {
    let fixture = Fixture::new();
    let missing = fixture.path("none");
    for source in
        [ArraySource::npy(&missing), ArraySource::npz(&missing, "a"), ArraySource::zarr(&missing, "a")]
    {
        let error = open_error(&source);
        assert!(matches!(error, FormatError::Missing { .. }), "{error}");
        assert!(error.to_string().contains("/none: no such file"), "{error}");
    }
    for source in [ArraySource::npy(fixture.dir()), ArraySource::npz(fixture.dir(), "a")] {
        let error = open_error(&source).to_string();
        assert!(error.contains("got a directory, expected a file"), "{error}");
    }
    let error = open_error(&ArraySource::zarr(fixture.dir(), "x/y"));
    assert!(matches!(&error, FormatError::Missing { path } if path.ends_with("/x/y")), "{error}");
    let file = fixture.path("file");
    fs::write(&file, "text").unwrap();
    let error = open_error(&ArraySource::zarr(&file, "a")).to_string();
    assert!(error.contains("got a file, expected the directory of a zarr store"), "{error}");
}

#[test]
fn truncated_npy_files_say_both_lengths() {
    let fixture = Fixture::new();
    let path = fixture.path("a.npy");
    let source = ArraySource::npy(&path);
    write_npy(&path, &[100], DType::F64, &[1; 800]).unwrap();
    let reader = source.open().unwrap();
    cut(&path, 500);
    let error = open_error(&source).to_string();
    assert!(error.contains("a.npy: truncated: got 500 bytes, expected 928"), "{error}");
    // A file that shrinks while it is open is an error too, and only where the box needs what is gone.
    reader.read(&[0..10], &mut [0; 80]).unwrap();
    let error = reader.read(&[90..100], &mut [0; 80]).unwrap_err().to_string();
    assert!(error.contains("truncated: got 500 bytes, expected 928"), "{error}");
    for len in [0, 3, 6, 7, 9, 11, 60, 127] {
        cut(&path, len);
        let error = open_error(&source);
        assert!(
            matches!(error, FormatError::Truncated { .. } | FormatError::NotAnArray { .. }),
            "{len} {error}"
        );
    }
}

#[test]
fn foreign_files_are_refused() {
    let fixture = Fixture::new();
    let path = fixture.path("a");
    fs::write(&path, b"PK\x03\x04 no array here").unwrap();
    for source in [ArraySource::npy(&path), ArraySource::npz(&path, "a")] {
        let error = open_error(&source);
        assert!(matches!(error, FormatError::NotAnArray { .. }), "{error}");
    }
    let npz = fixture.npz("b.npz", &[("text".into(), b"hello".to_vec())], true);
    let error = open_error(&ArraySource::npz(&npz, "text")).to_string();
    assert!(error.contains("b.npz[text]: not a readable array"), "{error}");
}

#[test]
fn an_overflowing_shape_is_refused_before_any_allocation() {
    let fixture = Fixture::new();
    let path = fixture.path("huge.npy");
    let image = support::foreign_npy(&[usize::MAX, 0], DType::F64, &[], false, false);
    fs::write(&path, image).unwrap();
    let error = open_error(&ArraySource::npy(&path));
    assert!(matches!(error, FormatError::TooLarge { .. }), "{error}");

    let path = fixture.path("large.npy");
    fs::write(&path, support::foreign_npy(&[1 << 40], DType::U8, &[1], false, false)).unwrap();
    let error = open_error(&ArraySource::npy(&path));
    assert!(matches!(error, FormatError::Truncated { expected, .. } if expected > 1 << 40), "{error}");
}

#[test]
fn damaged_deflated_members_are_never_wrong_numbers() {
    let fixture = Fixture::new();
    let (shape, dtype) = ([100, 50], DType::I32);
    let bytes = pattern(&shape, dtype);
    let image = support::foreign_npy(&shape, dtype, &bytes, false, false);
    let path = fixture.npz("a.npz", &[("a".into(), image)], true);
    let good = fs::read(&path).unwrap();
    let source = ArraySource::npz(&path, "a");
    assert_eq!(read_all(&source).unwrap(), bytes);
    let mut seen = 0;
    for at in (60..good.len() - 120).step_by(97) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&path, bad).unwrap();
        match read_all(&source) {
            Ok(got) => assert!(got == bytes, "byte {at}"),
            Err(error) => {
                assert!(error.to_string().contains("a.npz"), "{error}");
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen} damages were noticed");
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    assert!(matches!(open_error(&source), FormatError::NotAnArray { .. } | FormatError::Io { .. }));
}

fn damaged(
    fixture: &Fixture,
    codec: ZarrCodec,
    shards: Option<Vec<usize>>,
    damage: &dyn Fn(&Path),
) -> FormatError {
    let target = fixture.target("damaged.zarr", "a", ZarrVersion::V3);
    let spec = ZarrSpec { codec, shards, ..ZarrSpec::new(&[40, 40], DType::F64, &[10, 20]) };
    target.create(&spec, IfExists::Replace).unwrap();
    support::fill(&target, &pattern(&[40, 40], DType::F64));
    let source = ArraySource::zarr(&target.path, "a");
    read_all(&source).unwrap();
    damage(&target.path.join("a/c/0/0"));
    read_all(&source).unwrap_err()
}

#[test]
fn damaged_chunks_are_errors() {
    let fixture = Fixture::new();
    let half = |path: &Path| cut(path, fs::metadata(path).unwrap().len() / 2);
    let empty = |path: &Path| cut(path, 0);
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(path, bytes).unwrap();
    };
    let codecs = [ZarrCodec::Zstd { level: 1 }, ZarrCodec::Gzip { level: 1 }];
    for codec in codecs.into_iter().chain([ZarrCodec::None, ZarrCodec::Blosc { level: 1 }]) {
        for shards in [None, Some(vec![20, 40])] {
            let checksummed = codecs.contains(&codec);
            for (damage, noticed) in
                [(&half as &dyn Fn(&Path), true), (&empty, true), (&flip as &dyn Fn(&Path), checksummed)]
            {
                if !noticed {
                    continue;
                }
                let error = damaged(&fixture, codec, shards.clone(), damage);
                assert!(matches!(error, FormatError::Zarr { .. }), "{error}");
                assert!(
                    error.to_string().contains("damaged.zarr/a: zarr: reading [0..40, 0..40]"),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn a_missing_chunk_is_the_fill_value() {
    let fixture = Fixture::new();
    for version in [ZarrVersion::V2, ZarrVersion::V3] {
        let target =
            ZarrTarget { path: fixture.path(&format!("{version:?}")), array: String::new(), version };
        target.create(&ZarrSpec::new(&[4], DType::U8, &[2]), IfExists::Fail).unwrap();
        support::fill(&target, &[1, 2, 3, 4]);
        let chunk = if version == ZarrVersion::V2 { "1" } else { "c/1" };
        fs::remove_file(target.path.join(chunk)).unwrap();
        assert_eq!(read_all(&ArraySource::zarr(&target.path, "")).unwrap(), [1, 2, 0, 0]);
        let metadata = target.path.join(if version == ZarrVersion::V2 { ".zarray" } else { "zarr.json" });
        let text = fs::read_to_string(&metadata).unwrap().replace("\"fill_value\": 0", "\"fill_value\": 7");
        fs::write(metadata, text).unwrap();
        assert_eq!(read_all(&ArraySource::zarr(&target.path, "")).unwrap(), [1, 2, 7, 7]);
    }
}

#[test]
fn metadata_of_version_2_are_read_as_zarr_python_reads_them() {
    let fixture = Fixture::new();
    let array = fixture.path("s.zarr/t");
    fs::create_dir_all(&array).unwrap();
    let source = ArraySource::zarr(fixture.path("s.zarr"), "t");
    let with = |dtype: &str, fill_value: &str, rest: &str| {
        let text = format!(
            r#"{{"zarr_format": 2, "shape": [2], "chunks": [2], "order": "C", "dtype": {dtype}, "fill_value": {fill_value}, {rest}}}"#
        );
        fs::write(array.join(".zarray"), text).unwrap();
        read_all(&source)
    };
    let plain = r#""filters": null, "compressor": null"#;
    for (dtype, fill_value, element) in [
        (r#""<i4""#, "5.0", 5i32.to_le_bytes().to_vec()),
        (r#"">i4""#, "5", 5i32.to_le_bytes().to_vec()),
        (r#""int16""#, "-3", (-3i16).to_le_bytes().to_vec()),
        (r#""<f8""#, r#""-Infinity""#, f64::NEG_INFINITY.to_le_bytes().to_vec()),
        (r#""<f4""#, "null", vec![0; 4]),
        (r#""<c8""#, "null", vec![0; 8]),
        (r#""|b1""#, "1", vec![1]),
        (r#""<f8""#, "NaN", f64::NAN.to_le_bytes().to_vec()),
        (r#"">M8[s]""#, r#""NaT""#, i64::MIN.to_le_bytes().to_vec()),
        (r#""<m8[25us]""#, "7", 7i64.to_le_bytes().to_vec()),
    ] {
        assert_eq!(with(dtype, fill_value, plain).unwrap(), element.repeat(2), "{dtype} {fill_value}");
    }
    for (dtype, words) in [
        (r#""<M8[parsec]""#, "<M8[parsec] (datetime64[parsec])"),
        (r#""<f2""#, "<f2 (float16)"),
        (r#"[["x", "<f4"]]"#, "a structure"),
    ] {
        let error = with(dtype, "0", plain).unwrap_err();
        assert!(matches!(error, FormatError::UnsupportedDType { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    for rest in [
        r#""filters": null, "compressor": {"id": "zfpy", "mode": 1}"#,
        r#""filters": [{"id": "zfpy"}], "compressor": null"#,
    ] {
        let error = with(r#""<i4""#, "0", rest).unwrap_err();
        assert!(matches!(error, FormatError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains("zfpy"), "{error}");
    }
}

#[test]
fn senseless_metadata_is_refused() {
    let fixture = Fixture::new();
    let target = fixture.target("a.zarr", "a", ZarrVersion::V3);
    target.create(&ZarrSpec::new(&[4, 4], DType::F32, &[2, 2]), IfExists::Fail).unwrap();
    let file = target.path.join("a/zarr.json");
    let good = fs::read_to_string(&file).unwrap();
    let compact: String = good.split_whitespace().collect();
    let source = ArraySource::zarr(&target.path, "a");
    let with = |from: &str, to: &str| {
        assert!(compact.contains(from), "{from} in {compact}");
        fs::write(&file, compact.replace(from, to)).unwrap();
        open_error(&source)
    };
    let max = "18446744073709551615";
    let error = with("\"shape\":[4,4]", &format!("\"shape\":[{max},{max}]"));
    assert!(matches!(error, FormatError::TooLarge { .. }), "{error}");
    let error = with("\"chunk_shape\":[2,2]", &format!("\"chunk_shape\":[{max},{max}]"));
    assert!(matches!(error, FormatError::TooLarge { .. } | FormatError::NotAnArray { .. }), "{error}");
    let error = with("\"chunk_shape\":[2,2]", "\"chunk_shape\":[0,2]");
    assert!(matches!(error, FormatError::NotAnArray { .. }), "{error}");
    let error = with("float32", "float16");
    assert!(matches!(error, FormatError::UnsupportedDType { .. }), "{error}");
    let error = with("float32", "no_such_type");
    assert!(matches!(error, FormatError::UnsupportedDType { .. }), "{error}");
    let error = with("\"node_type\":\"array\"", "\"node_type\":\"group\"");
    assert!(matches!(error, FormatError::NotAnArray { .. }), "{error}");
    let error = with("{", "");
    assert!(error.to_string().contains("a.zarr/a: not a readable array: a/zarr.json"), "{error}");
    let error = open_error(&ArraySource::zarr(&target.path, ""));
    assert!(matches!(error, FormatError::NotAnArray { .. }), "{error}");
}
