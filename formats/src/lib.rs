//! Internal to tilework: array files: `.npy`, `.npz` and Zarr (versions 2 and 3), read and written one box at a time, and
//! with the feature `netcdf` NetCDF and HDF5, read.
//!
//! A box is one range of indices per axis. Its elements travel as raw bytes: little-endian, in C order, `bool`
//! as 0 or 1, so that what is read is what [`tilework_expr::Element`] types are in memory.
//!
//! A path may be the URL of an object store, with the feature `object-store`: [`objects`] says what is known of them.
//!
//! Owns files and their formats. Must not know chunk grids of a program, tasks, or what is computed from the
//! elements. Calls block; no call uses more than the calling thread for decoding.
//!
//! ```
//! use tilework_expr::DType;
//! use tilework_formats::{ArraySource, IfExists, ZarrSpec, ZarrTarget, ZarrVersion};
//!
//! let dir = tempfile::tempdir()?;
//! let target =
//!     ZarrTarget { path: dir.path().join("a.zarr"), array: "counts".into(), version: ZarrVersion::V3 };
//! let staged = target.begin(&ZarrSpec::new(&[4, 6], DType::U8, &[2, 6]), IfExists::Fail)?;
//! staged.writer()?.write_chunk(&[0..2, 0..6], &[7; 12])?;
//! staged.finish()?; // nobody has seen it until now
//!
//! let reader = ArraySource::zarr(&target.path, "counts").open()?;
//! let mut column = [9; 4];
//! reader.read(&[0..4, 3..4], &mut column)?;
//! assert_eq!(column, [7, 7, 0, 0]); // the chunk that was never written is zero
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// A box of a one-axis array is an array of one range; the lint suspects `vec![0; n]`.
#![allow(clippy::single_range_in_vec_init)]

#[cfg_attr(not(feature = "zarr"), allow(dead_code, reason = "other files have fewer such metadata"))]
mod about;
mod beside;
mod elements;
mod error;
mod file;
mod inflate;
#[cfg(feature = "netcdf")]
mod netcdf;
#[cfg(not(feature = "netcdf"))]
#[path = "netcdf_left_out.rs"]
mod netcdf;
mod npy;
mod npz;
pub mod objects;
#[cfg_attr(not(feature = "zarr"), allow(dead_code, reason = "other files may have no packed elements"))]
mod packing;
mod region;
mod source;
mod spec;
mod staged;
#[cfg_attr(not(feature = "zarr"), allow(dead_code, reason = "Zarr alone has times"))]
mod time;
#[cfg(feature = "zarr")]
mod zarr;
#[cfg(not(feature = "zarr"))]
#[path = "zarr_left_out.rs"]
mod zarr;

pub use about::{ArrayInfo, NetcdfGroup, ZarrKind, ZarrNode};
pub use error::FormatError;
pub use netcdf::netcdf_group;
pub use npy::{NpyWriter, write_npy};
pub use npz::npz_members;
pub use packing::Packing;
pub use source::{ArrayMeta, ArrayReader, ArraySource};
pub use spec::{IfExists, ZarrCodec, ZarrSpec, ZarrTarget, ZarrVersion};
pub use staged::StagedDir;
pub use time::{TimeKind, TimeType, TimeUnit};
pub use zarr::{ArrayWriter, ZarrPart, ZarrStaged};
