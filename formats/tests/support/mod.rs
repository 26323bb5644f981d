//! Byte fixtures and the plain definition of a slice, against which every reader is held.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use tilework_expr::DType;
use tilework_formats::{ZarrTarget, ZarrVersion};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// A directory that goes with the test.
pub struct Fixture(tempfile::TempDir);

impl Fixture {
    pub fn new() -> Fixture {
        Fixture(tempfile::tempdir().unwrap())
    }

    /// With what is in an archive, and the names of that.
    pub fn of_archive(archive: &[u8]) -> (Fixture, Vec<String>) {
        let fixture = Fixture::new();
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
        let mut names = Vec::new();
        for i in 0..archive.len() {
            let mut entry = archive.by_index(i).unwrap();
            let path = fixture.path(entry.name());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            fs::write(&path, bytes).unwrap();
            names.push(entry.name().to_owned());
        }
        (fixture, names)
    }

    pub fn dir(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub fn target(&self, store: &str, array: &str, version: ZarrVersion) -> ZarrTarget {
        ZarrTarget { path: self.path(store), array: array.into(), version }
    }

    /// An archive of `.npy` images.
    pub fn npz(&self, name: &str, members: &[(String, Vec<u8>)], deflate: bool) -> PathBuf {
        let path = self.path(name);
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        let method = if deflate { CompressionMethod::DEFLATE } else { CompressionMethod::STORE };
        for (member, bytes) in members {
            let options = SimpleFileOptions::default().compression_method(method);
            zip.start_file(format!("{member}.npy"), options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        path
    }
}

pub fn dtypes() -> impl Iterator<Item = DType> {
    DType::ALL.into_iter()
}

/// Elements that all differ (as far as their type allows), in a stream that compresses somewhat.
pub fn pattern(shape: &[usize], dtype: DType) -> Vec<u8> {
    let n: usize = shape.iter().product();
    let mut bytes = Vec::with_capacity(n * dtype.size());
    for i in 0..n as u64 {
        let value = i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) & 0x00ff_ffff_00ff_7fff;
        match dtype {
            DType::Bool => bytes.push((value % 3 == 0) as u8),
            _ => bytes.extend(&[value.to_le_bytes(), (!value).to_le_bytes()].concat()[..dtype.size()]),
        }
    }
    bytes
}

pub fn whole(shape: &[usize]) -> Vec<Range<usize>> {
    shape.iter().map(|&n| 0..n).collect()
}

/// A spread of boxes: the whole, single elements, empty boxes and others in between.
pub fn boxes(shape: &[usize]) -> Vec<Vec<Range<usize>>> {
    let pick = |f: &dyn Fn(usize, usize) -> Range<usize>| -> Vec<Range<usize>> {
        shape.iter().enumerate().map(|(k, &n)| f(k, n)).collect()
    };
    vec![
        whole(shape),
        pick(&|_, n| n.saturating_sub(1)..n),
        pick(&|_, n| n / 3..n.div_ceil(2).max(n / 3)),
        pick(&|k, n| if k == 0 { n / 2..n } else { 0..n }),
        pick(&|k, n| if k + 1 == shape.len() { n / 2..n } else { 0..n }),
        pick(&|k, n| if k % 2 == 1 { n / 2..n } else { 0..n.min(2) }),
        pick(&|_, n| n / 2..n / 2),
    ]
}

/// The box of an array in C order, element by element.
pub fn slice(bytes: &[u8], shape: &[usize], itemsize: usize, region: &[Range<usize>]) -> Vec<u8> {
    let mut out = Vec::new();
    let n: usize = region.iter().map(Range::len).product();
    for i in 0..n {
        let (mut rest, mut place, mut stride) = (i, 0, 1);
        for (r, &len) in region.iter().zip(shape).rev() {
            place += (r.start + rest % r.len()) * stride;
            rest /= r.len();
            stride *= len;
        }
        out.extend(&bytes[place * itemsize..][..itemsize]);
    }
    out
}

/// An `.npy` image as other machines and other libraries write it.
pub fn foreign_npy(shape: &[usize], dtype: DType, bytes: &[u8], big_endian: bool, fortran: bool) -> Vec<u8> {
    let itemsize = dtype.size();
    let mut data = bytes.to_vec();
    if fortran {
        let n: usize = shape.iter().product();
        for (i, element) in data.chunks_exact_mut(itemsize).enumerate().take(n) {
            let (mut rest, mut place) = (i, 0);
            let index: Vec<usize> = shape.iter().map(|&len| (rest % len, rest /= len).0).collect();
            for (at, len) in index.iter().zip(shape) {
                place = place * len + at;
            }
            element.copy_from_slice(&bytes[place * itemsize..][..itemsize]);
        }
    }
    let number = if dtype.is_complex() { itemsize / 2 } else { itemsize };
    if big_endian {
        data.chunks_exact_mut(number).for_each(<[u8]>::reverse);
    }
    let kind = match dtype {
        DType::Bool => "b1",
        DType::C32 => "c8",
        DType::C64 => "c16",
        DType::F32 => "f4",
        DType::F64 => "f8",
        other if other.name().starts_with('i') => &format!("i{itemsize}"),
        _ => &format!("u{itemsize}"),
    };
    let order = if itemsize == 1 {
        '|'
    } else if big_endian {
        '>'
    } else {
        '<'
    };
    let fortran = if fortran { "True" } else { "False" };
    let lens: String = shape.iter().map(|n| format!("{n},")).collect();
    let dict = format!("{{'descr': '{order}{kind}', 'fortran_order': {fortran}, 'shape': ({lens}), }}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((dict.len() as u16).to_le_bytes());
    file.extend(dict.as_bytes());
    file.extend(data);
    file
}

/// Writes every chunk of an array that was created.
pub fn fill(target: &ZarrTarget, bytes: &[u8]) {
    let writer = target.open().unwrap();
    let meta = writer.meta().clone();
    let grid: Vec<usize> = meta.shape.iter().zip(&meta.chunks).map(|(n, c)| n.div_ceil(*c)).collect();
    for i in 0..grid.iter().product() {
        let mut rest = i;
        let mut region: Vec<Range<usize>> = Vec::new();
        for k in (0..grid.len()).rev() {
            let start = rest % grid[k] * meta.chunks[k];
            rest /= grid[k];
            region.insert(0, start..meta.shape[k].min(start + meta.chunks[k]));
        }
        writer.write_chunk(&region, &slice(bytes, &meta.shape, meta.dtype.size(), &region)).unwrap();
    }
}

/// Cuts a file to this many bytes.
pub fn cut(path: &Path, len: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}
