//! Arrays as other programs publish them: written by zarr-python with numcodecs, by `make.py`.
//!
//! Each either has the elements that were written, or says which codec it lacks.

use crate::support::{Fixture, whole};
use tilework_expr::DType;
use tilework_formats::{ArraySource, FormatError};

const ARCHIVE: &[u8] = include_bytes!("published.zip");

/// Element i, in C order, as the arrays have it.
fn element(dtype: DType, i: u8) -> Vec<u8> {
    match dtype {
        DType::Bool => vec![u8::from(i != 0)],
        DType::F32 => f32::from(i).to_le_bytes().to_vec(),
        DType::F64 => f64::from(i).to_le_bytes().to_vec(),
        DType::C32 => [f32::from(i).to_le_bytes(), [0; 4]].concat(),
        other => u64::from(i).to_le_bytes()[..other.size()].to_vec(),
    }
}

fn read(source: &ArraySource) -> Result<(DType, Vec<u8>), FormatError> {
    let reader = source.open()?;
    let meta = reader.meta().clone();
    let mut bytes = vec![0xaa; 60 * meta.dtype.size()];
    reader.read(&whole(&meta.shape), &mut bytes)?;
    Ok((meta.dtype, bytes))
}

#[test]
fn what_others_publish_is_read_or_its_codec_named() {
    let (fixture, names) = Fixture::of_archive(ARCHIVE);
    let array = |name: &String| {
        let (array, last) = name.rsplit_once('/')?;
        [".zarray", "zarr.json"].contains(&last).then(|| array.to_owned())
    };
    let arrays: Vec<String> = names.iter().filter_map(array).collect();
    assert_eq!(arrays.len(), 38);
    let mut lacking = Vec::new();
    for array in arrays {
        match read(&ArraySource::zarr(fixture.dir(), &*array)) {
            Ok((dtype, bytes)) => {
                let expected: Vec<u8> = (0..60).flat_map(|i| element(dtype, i)).collect();
                assert_eq!(bytes, expected, "{array}");
            }
            Err(FormatError::Unsupported { what, .. }) => {
                let codec = array.rsplit_once('/').unwrap().1;
                assert!(what.contains(codec), "{array}: {what}");
                lacking.push(array);
            }
            Err(error) => lacking.push(format!("{array}: {error}")),
        }
    }
    lacking.sort();
    let expected = [
        "v2/crc32",
        "v2/delta",
        "v2/lz4",
        "v2/lzma",
        "v2/packbits",
        "v3/numcodecs.crc32",
        "v3/numcodecs.delta",
        "v3/numcodecs.lz4",
        "v3/numcodecs.lzma",
        "v3/numcodecs.packbits",
    ];
    assert_eq!(lacking, expected);
}
