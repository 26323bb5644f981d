//! Zarr V2 and V3 arrays, read by boxes and written by storage chunks, through `zarrs`.
//!
//! The store lies in a directory or, by its URL, in an object store; [`dir`] and [`storage`] are where that is told.
//!
//! Owns the store, the metadata that is written and the mapping of types. Must not know `.npy` files.

mod change;
mod codecs;
mod consolidated;
mod create;
mod dir;
mod group;
mod metadata;
mod moves;
mod part;
mod place;
mod read;
mod remote;
mod staged;
mod storage;
mod store;
mod swap;
mod write;

pub use part::ZarrPart;
pub(crate) use read::ZarrReader;
pub use staged::ZarrStaged;
pub use write::ArrayWriter;

use crate::FormatError;
use std::io;
use tilework_expr::DType;
use zarrs::array::CodecOptions;
use zarrs::array::codec::api::CodecError;
use zarrs::array::{ArrayCreateError, ArrayError, DataType, data_type as t};
use zarrs::plugin::PluginCreateError;
use zarrs::storage::StorageError;

/// One thread a call: the caller decides how many boxes are read or written at once.
fn codec_options() -> CodecOptions {
    CodecOptions::default().with_concurrent_target(1)
}

/// What an object store has said, if that is why chunks could not be read or written.
fn object_error(error: &ArrayError) -> Option<FormatError> {
    match error {
        ArrayError::StorageError(StorageError::IOError(e))
        | ArrayError::CodecError(CodecError::StorageError(StorageError::IOError(e))) => {
            e.get_ref()?.downcast_ref::<FormatError>()?.again()
        }
        _ => None,
    }
}

/// A failure to read or write chunks: of the file system, or of what the chunks hold.
fn chunk_error(path: &str, what: &str, error: &ArrayError) -> FormatError {
    if let Some(error) = object_error(error) {
        return error;
    }
    match error {
        ArrayError::StorageError(StorageError::IOError(e))
        | ArrayError::CodecError(CodecError::StorageError(StorageError::IOError(e))) => {
            let source = io::Error::new(e.kind(), format!("{what}: {e}"));
            FormatError::Io { path: path.to_owned(), source }
        }
        other => FormatError::Zarr { path: path.to_owned(), reason: format!("{what}: {other}") },
    }
}

fn open_error(path: &str, error: ArrayCreateError) -> FormatError {
    let path = path.to_owned();
    match error {
        ArrayCreateError::DataTypeCreateError(e) => {
            FormatError::UnsupportedDType { path, got: e.to_string() }
        }
        ArrayCreateError::CodecsCreateError(PluginCreateError::Unsupported(e)) => {
            FormatError::Unsupported { path, what: e.to_string() }
        }
        ArrayCreateError::UnsupportedZarrV2Array(what) => FormatError::Unsupported { path, what },
        other => FormatError::NotAnArray { path, reason: other.to_string() },
    }
}

/// Our dtype for Zarr's; `None` where there is none.
fn dtype_of(data_type: &DataType) -> Option<DType> {
    macro_rules! first_match {
        ($($zarr:ident => $ours:ident),*) => {
            $(if data_type.is::<t::$zarr>() { return Some(DType::$ours); })*
        };
    }
    first_match!(
        BoolDataType => Bool,
        Int8DataType => I8, Int16DataType => I16, Int32DataType => I32, Int64DataType => I64,
        UInt8DataType => U8, UInt16DataType => U16, UInt32DataType => U32, UInt64DataType => U64,
        Float32DataType => F32, Float64DataType => F64,
        Complex64DataType => C32, ComplexFloat32DataType => C32,
        Complex128DataType => C64, ComplexFloat64DataType => C64
    );
    None
}

/// Zarr V3's name of our dtype.
fn v3_name(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "bool",
        DType::I8 => "int8",
        DType::I16 => "int16",
        DType::I32 => "int32",
        DType::I64 => "int64",
        DType::U8 => "uint8",
        DType::U16 => "uint16",
        DType::U32 => "uint32",
        DType::U64 => "uint64",
        DType::F32 => "float32",
        DType::F64 => "float64",
        DType::C32 => "complex64",
        DType::C64 => "complex128",
    }
}
