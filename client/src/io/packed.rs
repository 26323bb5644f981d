//! Packed elements as numbers: what attributes of arrays in files say of scale, offset and missing elements, applied.
//!
//! Must not know what the attributes are called.

use super::stored;
use crate::array::{Array, Real};
use crate::error::Result;
use crate::library::number;
use ndarray::Dimension;
use std::path::Path;
use tilework_expr::{BinaryOp, Chunks, DType, Expr};
use tilework_formats::{ArraySource, Packing};

/// # Reading packed elements
impl<A: Real, D: Dimension> Array<A, D> {
    /// [`Array::read_zarr`] with what the attributes say of the elements applied, by the conventions of CF, as xarray
    /// does: missing elements (`_FillValue`, `missing_value`) are NaN, all others are multiplied by `scale_factor`,
    /// and `add_offset` is added; `_Unsigned` says how their bits are read. The elements may be stored as any real type.
    ///
    /// In version 2 the array's fill value is a missing element too, as for xarray; zero is the one of arrays for
    /// which nobody chose any. In version 3 it is not.
    ///
    /// ```
    /// use tilework::io::json;
    /// use tilework::prelude::*;
    ///
    /// # fn main() -> tilework::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = dir.path();
    /// let attributes = json!({"scale_factor": 0.5, "add_offset": 273.0, "_FillValue": -1});
    /// let options = ZarrOptions { attributes, ..ZarrOptions::default() };
    /// arr1(&[0i16, 3, -1]).write_zarr_with(store, "t", &options)?;
    /// let t = Array1::<f64>::read_zarr_decoded(store, "t")?;
    /// assert_eq!(t.slice(s![..2]).to_owned().compute(), ndarray::arr1(&[273.0, 274.5]));
    /// assert!(t.compute()[2].is_nan());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) for a store that cannot be read, and for attributes that make no sense: a
    /// factor that is 0 or no number, a missing element that is none of the stored type.
    /// [`Error::Dimensions`](crate::Error::Dimensions) for another number of dimensions,
    /// [`Error::Expr`](crate::Error::Expr) where complex elements are stored.
    pub fn read_zarr_decoded(path: impl AsRef<Path>, array: &str) -> Result<Self> {
        Self::decoded(ArraySource::zarr(path.as_ref(), array), None)
    }

    /// [`Array::read_zarr_decoded`] in the given chunks.
    ///
    /// # Errors
    /// As [`Array::read_zarr_decoded`]; chunks that do not fit the shape.
    pub fn read_zarr_decoded_chunked(
        path: impl AsRef<Path>,
        array: &str,
        chunks: impl Into<Chunks>,
    ) -> Result<Self> {
        Self::decoded(ArraySource::zarr(path.as_ref(), array), Some(chunks.into()))
    }

    pub(super) fn decoded(source: ArraySource, chunks: Option<Chunks>) -> Result<Self> {
        let source = source.absolute()?;
        let reader = source.open()?;
        let stored = stored::<D>(&source, &reader, chunks)?;
        Ok(match reader.info() {
            Some(info) => Self::of_expr(unpacked(&stored, &info.packing()?, A::DTYPE)?),
            None => Self::of_expr(stored.cast(A::DTYPE)?),
        })
    }
}

/// The numbers that stored elements stand for.
fn unpacked(stored: &Expr, packing: &Packing, dtype: DType) -> Result<Expr> {
    // Between integers of one size it is the bits that stay.
    let stored = stored.cast(packing.dtype)?;
    let mut numbers = stored.cast(dtype)?;
    for (factor, op) in [(packing.scale, BinaryOp::Mul), (packing.offset, BinaryOp::Add)] {
        if let Some(factor) = factor {
            numbers = numbers.binary(op, &number(dtype, factor)?)?;
        }
    }
    let mut is_missing: Option<Expr> = None;
    for &value in &packing.missing {
        let hit = stored.binary(BinaryOp::Eq, &Expr::full(&[], &Chunks::Auto, value)?)?;
        is_missing = Some(match is_missing {
            None => hit,
            Some(other) => other.binary(BinaryOp::Or, &hit)?,
        });
    }
    Ok(match is_missing {
        Some(is_missing) => is_missing.select(&number(dtype, f64::NAN)?, &numbers)?,
        None => numbers,
    })
}
