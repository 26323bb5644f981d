//! Turns the land mask of the Earth from one `.npz` into a chunked Zarr store, and checks what it wrote.
//!
//! Owns the choice of chunks for this one file. Shows reading and writing by boxes in bounded memory: one shard
//! (23 MB) at a time, of an array of 933 MB.
//!
//! `cargo run --release -p tilework-formats --example make_land_mask -- land_mask.npz examples/data/land_mask.zarr`

// A box of a one-axis array is an array of one range.
#![allow(clippy::single_range_in_vec_init)]

use std::error::Error;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;
use tilework_expr::DType;
use tilework_formats::{ArraySource, FormatError, IfExists, ZarrCodec, ZarrSpec, ZarrTarget, ZarrVersion};

const SHAPE: [usize; 2] = [21_600, 43_200];
/// 9 degrees of latitude by 36 of longitude: 4.7 million cells, 200 chunks in all.
const CHUNK: [usize; 2] = [1_080, 4_320];
/// One file for five chunks, so that the store is 40 files and not 200.
const SHARD: [usize; 2] = [1_080, 21_600];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(input), Some(output), None) = (args.next(), args.next(), args.next()) else {
        return Err("usage: make_land_mask IN.npz OUT_DIR".into());
    };
    convert(Path::new(&input), Path::new(&output))?;
    check(Path::new(&output))?;
    Ok(())
}

fn convert(input: &Path, output: &Path) -> Result<(), FormatError> {
    let started = Instant::now();
    let mask = ArraySource::npz(input, "mask").open()?;
    mask.expect(DType::Bool, 2)?;
    let target = |array: &str| ZarrTarget {
        path: output.to_owned(),
        array: array.to_owned(),
        version: ZarrVersion::V3,
    };
    let spec = ZarrSpec {
        shards: Some(SHARD.to_vec()),
        codec: ZarrCodec::Zstd { level: 9 },
        dims: vec!["lat".into(), "lon".into()],
        ..ZarrSpec::new(&SHAPE, DType::Bool, &CHUNK)
    };
    target("mask").create(&spec, IfExists::Replace)?;
    let writer = target("mask").open()?;
    let mut shard = vec![0; SHARD[0] * SHARD[1]];
    let (mut reading, mut writing) = (0.0, 0.0);
    for region in grid(SHARD) {
        let before = Instant::now();
        mask.read(&region, &mut shard)?;
        reading += before.elapsed().as_secs_f64();
        let before = Instant::now();
        writer.write_chunk(&region, &shard)?;
        writing += before.elapsed().as_secs_f64();
    }
    for (axis, name) in ["lat", "lon"].into_iter().enumerate() {
        let values = read_axis(&ArraySource::npz(input, name), SHAPE[axis])?;
        let spec = ZarrSpec {
            codec: ZarrCodec::Blosc { level: 9 },
            dims: vec![name.into()],
            ..ZarrSpec::new(&[SHAPE[axis]], DType::F64, &[SHAPE[axis]])
        };
        target(name).create(&spec, IfExists::Replace)?;
        target(name).open()?.write_chunk(&[0..SHAPE[axis]], &values)?;
    }
    let total = started.elapsed().as_secs_f64();
    println!("converted in {total:.1} s: {reading:.1} s reading the archive, {writing:.1} s writing");
    Ok(())
}

fn read_axis(source: &ArraySource, len: usize) -> Result<Vec<u8>, FormatError> {
    let reader = source.open()?;
    reader.expect(DType::F64, 1)?;
    let mut bytes = vec![0; len * 8];
    reader.read(&[0..len], &mut bytes)?;
    Ok(bytes)
}

/// Reads the store back, chunk by chunk, and prints the share of land, weighted by the cosine of latitude.
fn check(store: &Path) -> Result<(), FormatError> {
    let lat = read_axis(&ArraySource::zarr(store, "lat"), SHAPE[0])?;
    let weights: Vec<f64> =
        lat.as_chunks::<8>().0.iter().map(|&b| f64::from_le_bytes(b).to_radians().cos()).collect();
    let mask = ArraySource::zarr(store, "mask").open()?;
    let started = Instant::now();
    let mut reading = 0.0;
    let mut chunk = vec![0; CHUNK[0] * CHUNK[1]];
    let mut land = 0.0;
    for region in grid(CHUNK) {
        let before = Instant::now();
        mask.read(&region, &mut chunk)?;
        reading += before.elapsed().as_secs_f64();
        for (row, weight) in chunk.chunks_exact(CHUNK[1]).zip(&weights[region[0].clone()]) {
            let ocean = row.iter().filter(|&&cell| cell != 0).count();
            land += weight * (CHUNK[1] - ocean) as f64;
        }
    }
    let all = weights.iter().sum::<f64>() * SHAPE[1] as f64;
    let cells = (SHAPE[0] * SHAPE[1]) as f64;
    println!("land share {:.5} %", 100.0 * land / all);
    println!(
        "read back in {:.2} s, of which {reading:.2} s reading: {:.0} million cells a second",
        started.elapsed().as_secs_f64(),
        cells / reading / 1e6
    );
    Ok(())
}

/// The boxes of this shape that the mask consists of, row by row.
fn grid(shape: [usize; 2]) -> impl Iterator<Item = [Range<usize>; 2]> {
    (0..SHAPE[0]).step_by(shape[0]).flat_map(move |row| {
        (0..SHAPE[1]).step_by(shape[1]).map(move |col| [row..row + shape[0], col..col + shape[1]])
    })
}
