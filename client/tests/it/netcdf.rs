//! NetCDF and HDF5 files on sessions: elements, packed ones, many files as one array, and what goes wrong.

// The helpers of tests are outside `#[test]` functions.
#![allow(clippy::unwrap_used)]

use crate::support::{check, on_every_session, unpacked};
use std::path::PathBuf;
use tilework::Error;
use tilework::io::{NetcdfFile, NetcdfVariable, Scalar};
use tilework::prelude::*;

/// Files that h5py and netCDF4 have written, and what they and xarray read there: `formats/tests/netcdf/make.py`.
const ARCHIVE: &[u8] = include_bytes!("../../../formats/tests/netcdf/netcdf.zip");

fn files() -> tempfile::TempDir {
    unpacked(ARCHIVE)
}

#[test]
fn arrays_are_read_in_stored_chunks_and_in_others_on_every_session() {
    on_every_session(|| {
        let dir = files();
        for file in ["chunks-earliest.h5", "chunks-latest.h5"] {
            let path = dir.path().join(file);
            for name in ["tree/summed", "fixed/deflate", "extensible/plain"] {
                let expected = dir.path().join(format!("expected/{file}/{name}.npy"));
                let expected = Array2::<f32>::read_npy(expected).unwrap().compute();
                check(&Array::read_netcdf(&path, name).unwrap(), &expected);
                let cut = Array2::<f32>::read_netcdf_chunked(&path, name, [5, 4]).unwrap();
                check(&cut, &expected);
                check(
                    &cut.slice(s![1..;3, ..;-2]).to_owned(),
                    &expected.slice(ndarray::s![1..;3, ..;-2]).to_owned(),
                );
                check(&cut.sum_axis(Axis(0)), &expected.sum_axis(ndarray::Axis(0)));
            }
        }
        let by_day = NetcdfFile::open(dir.path().join("netcdf4.nc")).unwrap().group("forecast").unwrap();
        let u = by_day.group("day").unwrap().variable("u").unwrap().read::<f32, Ix2>().unwrap();
        check(&u, &ndarray::arr2(&[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
    });
}

#[test]
fn packed_elements_are_what_xarray_makes_of_them() {
    let dir = files();
    for file in [
        "netcdf4.nc",
        "netcdf4_classic.nc",
        "netcdf3_classic.nc",
        "netcdf3_64bit_offset.nc",
        "netcdf3_64bit_data.nc",
    ] {
        let expected = dir.path().join(format!("decoded/{file}/t.npy"));
        let expected = Array3::<f64>::read_npy(&expected)
            .map(|x| x.compute())
            .or_else(|_| Array3::<f32>::read_npy(&expected).map(|x| x.compute().mapv(f64::from)))
            .unwrap();
        let path = dir.path().join(file);
        let t = NetcdfVariable::open(&path, "t").unwrap();
        check(&t.read_decoded().unwrap(), &expected);
        let in_chunks = Array3::<f64>::read_netcdf_decoded_chunked(&path, "t", [3, 1, 2]).unwrap();
        check(&in_chunks, &expected);
        assert_eq!((t.shape(), t.dtype()), (&[4, 3, 5][..], DType::I16));
        assert_eq!(t.axis_names(), ["time", "y", "x"].map(Some));
        assert_eq!(t.packing().unwrap(), "scale_factor = 0.25, add_offset = 1.0, _FillValue = -99");
        let is_netcdf4 = file.starts_with("netcdf4");
        assert_eq!(t.fill_value(), is_netcdf4.then(|| Scalar::new(-99i16)));
        assert_eq!(t.chunks(), if is_netcdf4 { [2, 3, 5] } else { [4, 3, 5] });
    }
}

#[test]
fn many_files_are_one_array() {
    let dir = files();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for day in 1..=12 {
        std::fs::copy(dir.path().join("records.nc"), data.join(format!("day-{day}.nc"))).unwrap();
    }
    let one = Array2::<i8>::read_netcdf(dir.path().join("records.nc"), "only").unwrap().compute();
    let expected = ndarray::concatenate(ndarray::Axis(0), &[one.view(); 12]).unwrap();
    let pattern = data.join("day-*.nc");
    check(&Array2::read_netcdf_glob(&pattern, "only", Axis(0)).unwrap(), &expected);
    check(&Array2::read_glob(&pattern, Axis(0)).unwrap(), &expected);
    check(&Array2::read_dir(&data, Axis(0)).unwrap(), &expected);
    let several =
        Array2::<i16>::read_files([dir.path().join("netcdf4.nc")], Axis(0)).unwrap_err().to_string();
    assert!(several.contains("netcdf4.nc with 15 arrays"), "{several}");
    assert!(several.contains("expected a NetCDF or HDF5 file with one: read others by `read_netcdf_glob`"));
}

#[test]
fn what_goes_wrong_says_what_was_found() {
    let dir = files();
    let path = dir.path().join("netcdf4.nc");
    let said = |error: Error| error.to_string().replace(&format!("{}/", dir.path().display()), "");
    let wrong = Array3::<f32>::read_netcdf(&path, "t").unwrap_err();
    assert!(matches!(&wrong, Error::DType { got: DType::I16, expected: DType::F32, .. }), "{wrong}");
    let wrong = Array2::<i16>::read_netcdf(&path, "t").unwrap_err();
    assert!(matches!(&wrong, Error::Dimensions { got: 3, expected: 2, .. }), "{wrong}");
    let wrong = said(NetcdfFile::open(&path).unwrap().variable("tt").unwrap_err());
    assert!(wrong.starts_with("netcdf4.nc: there is no `tt`; there is: `t`,"), "{wrong}");
    let wrong = said(Array1::<f64>::read_netcdf(dir.path().join("none.nc"), "t").unwrap_err());
    assert_eq!(wrong, "none.nc: no such file, store or array");
}

#[test]
fn a_file_that_has_changed_since_is_an_error() {
    let dir = files();
    let path: PathBuf = dir.path().join("records.nc");
    let array = Array2::<i8>::read_netcdf(&path, "only").unwrap();
    let bytes = std::fs::read(&path).unwrap();
    // One record fewer.
    let mut fewer = bytes.clone();
    fewer[7] = 4;
    std::fs::write(&path, &fewer).unwrap();
    let error = array.try_compute().unwrap_err().to_string();
    assert!(error.contains("got shape [4, 3] of i8, expected [5, 3] of i8: the file has changed"), "{error}");
    std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
    let error = array.try_compute().unwrap_err().to_string();
    assert!(error.contains("records.nc[only]: truncated: got 107 bytes, expected"), "{error}");
}
