//! Zarr V2 and V3 arrays, read by boxes and written by storage chunks, through `zarrs`.
//!
//! Owns the store, the metadata that is written and the mapping of types. Must not know `.npy` files.

mod create;
mod read;
mod store;
mod write;

pub(crate) use read::ZarrReader;
pub use write::ArrayWriter;

use crate::FormatError;
use tilework_expr::DType;
use zarrs::array::CodecOptions;
use zarrs::array::{ArrayCreateError, DataType, data_type as t};
use zarrs::storage::StorageError;

/// One thread a call: the caller decides how many boxes are read or written at once.
fn codec_options() -> CodecOptions {
    CodecOptions::default().with_concurrent_target(1)
}

fn zarr_error(path: &str, error: impl std::fmt::Display) -> FormatError {
    FormatError::Zarr { path: path.to_owned(), reason: error.to_string() }
}

fn open_error(path: &str, error: ArrayCreateError) -> FormatError {
    let path = path.to_owned();
    match error {
        ArrayCreateError::MissingMetadata => FormatError::Missing { path },
        ArrayCreateError::DataTypeCreateError(e) => {
            FormatError::UnsupportedDType { path, got: e.to_string() }
        }
        ArrayCreateError::StorageError(StorageError::InvalidMetadata(key, reason)) => {
            FormatError::NotAnArray { path, reason: format!("{key}: {reason}") }
        }
        ArrayCreateError::StorageError(e) => FormatError::Zarr { path, reason: e.to_string() },
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
