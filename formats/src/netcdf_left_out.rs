//! In the place of `netcdf`, in builds without the feature: whoever asks for such a file is told which feature it takes.

use crate::{ArrayInfo, ArrayMeta, FormatError, NetcdfGroup};
use std::convert::Infallible;
use std::ops::Range;
use std::path::Path;
use tilework_plan::Steps;

fn left_out<T>(path: &Path) -> Result<T, FormatError> {
    Err(FormatError::NetcdfLeftOut { path: path.display().to_string() })
}

/// An array that is open for reading, of which there is none.
#[derive(Debug)]
pub(crate) struct NetcdfReader {
    pub(crate) path: String,
    pub(crate) meta: ArrayMeta,
    pub(crate) info: ArrayInfo,
    none: Infallible,
}

impl NetcdfReader {
    pub(crate) fn open(path: &Path, _variable: &str) -> Result<NetcdfReader, FormatError> {
        left_out(path)
    }

    pub(crate) fn read(&self, _region: &[Range<usize>], _out: &mut [u8]) -> Result<(), FormatError> {
        match self.none {}
    }

    pub(crate) fn read_steps(&self, _steps: &[Steps], _out: &mut [u8]) -> Result<(), FormatError> {
        match self.none {}
    }
}

/// Would say what a group has.
///
/// # Errors
/// [`FormatError::NetcdfLeftOut`].
pub fn netcdf_group(path: &Path, _group: &str) -> Result<NetcdfGroup, FormatError> {
    left_out(path)
}

#[cfg(test)]
mod tests {
    use crate::{ArraySource, netcdf_group};

    #[test]
    fn what_is_left_out_names_the_feature_that_it_takes() {
        let expected = "a.nc: NetCDF and HDF5 files need the feature `netcdf` of the crate tilework (of a worker, of \
                        tilework-cli), which this program was built without";
        for error in [
            ArraySource::netcdf("a.nc", "x").open().unwrap_err(),
            netcdf_group("a.nc".as_ref(), "").unwrap_err(),
        ] {
            assert_eq!(error.to_string(), expected);
        }
    }
}
