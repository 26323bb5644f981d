//! Datasets of HDF5 files.
//!
//! Owns what a dataset's header means. Must not know how chunks are indexed.

use super::attributes::{attributes, scalar};
use super::chunked::{Chunked, undefined};
use super::kinds::dtype_of;
use super::lzf::{self, LZF};
use super::plain::{Bytes, Plain};
use super::{Elements, NetcdfReader, corrupt, missing, parts, scales};
use crate::{ArrayInfo, ArrayMeta, FormatError, elements, region};
use hdf5_reader::error::Error;
use hdf5_reader::group::Group;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::filter_pipeline::FilterDescription;
use hdf5_reader::messages::layout::DataLayout;
use hdf5_reader::{Dataset, FileStorage, FilterRegistry, Hdf5File, OpenOptions};
use serde_json::{Map, Value};
use std::fs::File;
use std::sync::{Arc, Mutex};
use tilework_plan::Stored;

/// The largest chunk that HDF5 allows.
const CHUNK_BYTES_MAX: usize = u32::MAX as usize;
/// What fletcher32 adds to a chunk.
const CHECKSUM_BYTES: usize = 4;
/// What NetCDF puts before the name of an array that is named as an axis is, and is not its coordinates.
pub(super) const NO_COORDINATES: &str = "_nc4_non_coord_";
/// The filters that are undone: those that the library of HDF5 brings along, and h5py's own.
const FILTERS: [u16; 7] = [1, 2, 3, 4, 5, 6, LZF];

/// An open file.
pub(super) struct Hdf5 {
    pub(super) path: String,
    pub(super) library: Hdf5File,
    file: File,
    len: u64,
}

/// What the library says, of the file at `path`.
pub(super) fn failed(path: &str, error: Error) -> FormatError {
    let path = path.to_owned();
    match error {
        Error::Context { source, .. } => failed(&path, *source),
        Error::Io(source) => FormatError::io(&path, source),
        Error::UnexpectedEof { offset, needed, available } => {
            let end = |n: u64| offset.saturating_add(n);
            FormatError::Truncated { path, expected: end(needed), got: end(available) }
        }
        error @ (Error::UnsupportedSuperblockVersion(_)
        | Error::UnsupportedObjectHeaderVersion(_)
        | Error::UnsupportedDatatypeClass(_)
        | Error::UnsupportedLayoutClass(_)
        | Error::UnsupportedLayoutVersion(_)
        | Error::UnsupportedLinkType(_)
        | Error::UnsupportedFilter(_)
        | Error::UnsupportedEncoding(_)
        | Error::UnsupportedChunkIndexType(_)) => FormatError::Unsupported { path, what: error.to_string() },
        error => FormatError::Corrupt { path, reason: error.to_string() },
    }
}

/// Whether the library has not found something, rather than failed to read it.
fn is_missing(error: &Error) -> bool {
    match error {
        Error::Context { source, .. } => is_missing(source),
        Error::DatasetNotFound(_) | Error::GroupNotFound(_) => true,
        _ => false,
    }
}

impl Hdf5 {
    pub(super) fn open(path: &str, file: File, len: u64) -> Result<Hdf5, FormatError> {
        let own = file.try_clone().map_err(|e| FormatError::io(path, e))?;
        let storage = FileStorage::from_file(own).map_err(|e| failed(path, e))?;
        // Who reads asks for each chunk once.
        let options = OpenOptions::default().with_chunk_cache_bytes(0);
        let library = Hdf5File::from_storage_with_options(Arc::new(storage), options);
        let library = library.map_err(|e| failed(path, e))?;
        let superblock = library.superblock();
        if superblock.base_address == 0 && superblock.eof_address > len {
            let expected = superblock.eof_address;
            return Err(FormatError::Truncated { path: path.to_owned(), expected, got: len });
        }
        Ok(Hdf5 { path: path.to_owned(), library, file, len })
    }

    pub(super) fn group(&self, name: &str) -> Result<Group, FormatError> {
        self.library.group(name).map_err(|e| match is_missing(&e) {
            true => missing(&self.path, name, scales::names(self).0),
            false => failed(&self.path, e),
        })
    }

    fn dataset(&self, name: &str) -> Result<Dataset, FormatError> {
        let mut error = None;
        let plain: Vec<&str> = parts(name).collect();
        let (last, above) = plain.split_last().unwrap_or((&"", &[]));
        let other = format!("{NO_COORDINATES}{last}");
        for last in [other.as_str(), *last] {
            match self.library.dataset(&[above, &[last]].concat().join("/")) {
                Ok(dataset) if scales::is_length_alone(&dataset) => {}
                Ok(dataset) => return Ok(dataset),
                Err(e) => error = Some(e),
            }
        }
        match error {
            Some(e) if !is_missing(&e) => Err(failed(&self.path, e)),
            _ => Err(missing(&self.path, name, scales::names(self).1)),
        }
    }

    /// The array of a name.
    pub(super) fn variable(&self, name: &str) -> Result<NetcdfReader, FormatError> {
        let path = format!("{}[{name}]", self.path);
        let dataset = self.dataset(name)?;
        let (dtype, order) = dtype_of(dataset.dtype())
            .map_err(|got| FormatError::UnsupportedDType { path: path.clone(), got })?;
        if dataset.num_elements().is_ok_and(|n| n == 0) && dataset.shape().is_empty() {
            let reason = "a dataset without a shape (a null dataspace)".to_owned();
            return Err(FormatError::NotAnArray { path, reason });
        }
        let header = Header::of(&path, &self.library, &dataset)?;
        let mut above: Vec<&str> = parts(name).collect();
        above.pop();
        let scales = scales::of(self, &dataset, &above)?;
        let lens: Vec<u64> = dataset.shape().iter().zip(&scales.lens).map(|(a, b)| *a.max(b)).collect();
        let (shape, bytes) = region::checked_shape(&path, &lens, dtype.size())?;
        let fill = match header.fill {
            Some(fill) if fill.len() == dtype.size() => fill,
            _ => vec![0; dtype.size()],
        };
        let mut own = fill.clone();
        elements::normalise(&mut own, dtype, order);
        let info = ArrayInfo {
            name: path.clone(),
            zarr: None,
            dtype,
            fill_value: Some(scalar(&own, dtype)),
            time: None,
            dims: scales.names,
            attributes: Value::Object(attributes(dataset.attributes())),
        };
        let mut meta = ArrayMeta {
            chunks: shape.clone(),
            read_chunks: shape.clone(),
            shape: shape.clone(),
            dtype,
            stored: Stored::Rows,
        };
        let plain = |bytes| Elements::Plain(Plain { bytes, shape: shape.clone(), itemsize: dtype.size() });
        let elements = match header.layout {
            DataLayout::Compact { data } if data.len() >= bytes => plain(Bytes::Memory(data)),
            DataLayout::Compact { data } => {
                return Err(corrupt(&path, format!("got {} bytes, expected {bytes}", data.len())));
            }
            DataLayout::Contiguous { address, .. } if bytes > 0 && address != self.undefined() => {
                plain(self.in_file(&path, address, bytes as u64)?)
            }
            DataLayout::Contiguous { .. } => plain(Bytes::Same(fill)),
            DataLayout::Chunked { address, chunk_indexing, .. } => {
                let chunked =
                    self.chunked(&path, &dataset, (address, chunk_indexing), (header.filters, fill))?;
                meta.chunks = chunked.chunks.iter().map(|&n| n as usize).collect();
                meta.read_chunks.clone_from(&meta.chunks);
                meta.stored = Stored::Boxes(meta.chunks.clone());
                Elements::Chunked(chunked)
            }
        };
        Ok(NetcdfReader { path, meta, info, order, elements })
    }

    fn undefined(&self) -> u64 {
        undefined(self.library.superblock().offset_size)
    }

    /// Elements at a place of the file.
    fn in_file(&self, path: &str, address: u64, bytes: u64) -> Result<Bytes, FormatError> {
        let start = address.saturating_add(self.library.superblock().base_address);
        let expected = start.saturating_add(bytes);
        if expected > self.len {
            return Err(FormatError::Truncated { path: path.to_owned(), expected, got: self.len });
        }
        let file = self.file.try_clone().map_err(|e| FormatError::io(path, e))?;
        Ok(Bytes::File { file, start, record_bytes: None })
    }

    fn chunked(
        &self,
        path: &str,
        dataset: &Dataset,
        (address, indexing): (u64, Option<hdf5_reader::messages::layout::ChunkIndexing>),
        (filters, fill): (Vec<FilterDescription>, Vec<u8>),
    ) -> Result<Chunked, FormatError> {
        let chunks = dataset.chunks().unwrap_or_default();
        let lens: Vec<usize> = chunks.iter().map(|&n| n as usize).collect();
        let chunk_bytes = region::n_bytes(&lens, fill.len()).filter(|&n| n <= CHUNK_BYTES_MAX);
        let (Some(chunk_bytes), true) =
            (chunk_bytes, lens.len() == dataset.ndim() && !lens.contains(&0) && !lens.is_empty())
        else {
            return Err(corrupt(path, format!("chunks of {chunks:?} for shape {:?}", dataset.shape())));
        };
        if let Some(other) = filters.iter().find(|filter| !FILTERS.contains(&filter.id)) {
            let what = format!("chunks that are stored by the filter {}", filter_name(other));
            return Err(FormatError::Unsupported { path: path.to_owned(), what });
        }
        let mut registry = FilterRegistry::new();
        let lzf = move |_: &FilterDescription, packed: &[u8], _: usize| {
            let bytes_max = chunk_bytes.saturating_add(CHECKSUM_BYTES);
            lzf::unpacked(packed, bytes_max).map_err(|why| Error::DecompressionError(format!("LZF: {why}")))
        };
        registry.register(LZF, Box::new(lzf));
        Ok(Chunked {
            file: self.library.clone(),
            indexing,
            address,
            stored: dataset.shape().to_vec(),
            stored_max: dataset.max_dims().map(<[u64]>::to_vec),
            chunks,
            filters,
            registry,
            itemsize: fill.len(),
            chunk_bytes,
            fill,
            index: Mutex::new(None),
        })
    }

    /// What is said of a group.
    pub(super) fn attributes_of(&self, group: &Group) -> Result<Map<String, Value>, FormatError> {
        Ok(attributes(group.attributes().map_err(|e| failed(&self.path, e))?))
    }
}

/// A filter by its number and the name that it is known by.
fn filter_name(filter: &FilterDescription) -> String {
    let name = match filter.id {
        307 => "bzip2",
        32001 => "Blosc",
        32004 => "LZ4",
        32008 => "Bitshuffle",
        32013 => "ZFP",
        32015 => "Zstandard",
        32017 => "SZ",
        32026 => "Blosc2",
        _ => filter.name.as_deref().unwrap_or("without a name").trim_end_matches('\0'),
    };
    format!("{} ({name})", filter.id)
}

/// What the header of a dataset says of its elements.
struct Header {
    layout: DataLayout,
    filters: Vec<FilterDescription>,
    /// The element that was never written, in the file's order of bytes.
    fill: Option<Vec<u8>>,
}

impl Header {
    /// The messages themselves: a dataset of the library takes an attribute `_FillValue` for the element that was never
    /// written where nothing says which that is.
    fn of(path: &str, file: &Hdf5File, dataset: &Dataset) -> Result<Header, FormatError> {
        let header = file.get_or_parse_header(dataset.address()).map_err(|e| failed(path, e))?;
        let (mut layout, mut filters, mut fill) = (None, Vec::new(), None);
        for message in &header.messages {
            match message {
                HdfMessage::DataLayout(message) => layout = Some(message.layout.clone()),
                HdfMessage::FilterPipeline(message) => filters.clone_from(&message.filters),
                HdfMessage::FillValue(message) if message.value.is_some() => fill.clone_from(&message.value),
                HdfMessage::ExternalFiles(_) => {
                    let what = "elements in other files (external storage)".to_owned();
                    return Err(FormatError::Unsupported { path: path.to_owned(), what });
                }
                _ => {}
            }
        }
        let layout = layout.ok_or_else(|| corrupt(path, "the dataset says no layout"))?;
        Ok(Header { layout, filters, fill })
    }
}
