"""Makes described.zip: stores as xarray and zarr-python write them, of both versions of the format, with attributes, names
of axes, packed elements, times, groups and consolidated metadata, and beside each packed array what xarray reads there
(`.npy`).

    pip install zarr==3.1.6 numcodecs==0.16.6 xarray==2026.9.0 && python make.py
"""

import json
import pathlib
import shutil
import tempfile
import warnings
import zipfile

import numpy as np
import xarray
import zarr

warnings.simplefilter("ignore")
work = pathlib.Path(tempfile.mkdtemp())
nan = np.nan

PACKED = {
    "t": (
        np.array([[1.5, nan, 3.0], [4.25, -2.0, nan]]),
        {"dtype": "i2", "scale_factor": 0.25, "add_offset": 1.0, "_FillValue": -99},
    ),
    "depth": (np.array([[1.0, nan, 3.0], [4.0, 5.5, nan]], "f4"), {"_FillValue": np.float32(1e20)}),
    "plain": (np.arange(6.0).reshape(2, 3) + 1, {"_FillValue": None}),
    "both": (
        np.array([[1.0, 2.0, nan], [nan, 5.0, 6.0]]),
        {"dtype": "i4", "_FillValue": -1, "missing_value": -1},
    ),
}

for version in (2, 3):
    store = work / f"v{version}.zarr"
    variables = {name: (("y", "x"), data, {"units": "K"}) for name, (data, _) in PACKED.items()}
    dataset = xarray.Dataset(variables, attrs={"title": "packed", "n": 3})
    encoding = {name: encoding for name, (_, encoding) in PACKED.items()}
    dataset.to_zarr(store, zarr_format=version, encoding=encoding, consolidated=True)
    root = zarr.open_group(store, mode="r+")
    # As NetCDF of old stores unsigned bytes.
    fill = 0 if version == 3 else -1
    bytes_ = root.create_array("bytes", data=np.array([[-1, 0, 127], [-128, 5, -2]], "i1"), fill_value=fill)
    bytes_.attrs.update({"_Unsigned": "true", "_FillValue": -1, "scale_factor": 2.0})
    # Two missing values.
    other = root.create_array("other", data=np.array([[1, 2, -1], [-2, 5, 6]], "i2"), fill_value=0 if version == 3 else -1)
    other.attrs.update({"_FillValue": -1, "missing_value": -2, "add_offset": 10.0})
    for array in (bytes_, other):
        if version == 2:
            array.attrs["_ARRAY_DIMENSIONS"] = ["y", "x"]
    if version == 3:
        for name in ("bytes", "other"):
            path = store / name / "zarr.json"
            document = json.loads(path.read_text())
            document["dimension_names"] = ["y", "x"]
            path.write_text(json.dumps(document))
    zarr.consolidate_metadata(store, zarr_format=version)
    decoded = xarray.open_zarr(store, decode_times=False)
    for name in (*PACKED, "bytes", "other"):
        np.save(work / f"v{version}-{name}.npy", decoded[name].values.astype("f8"))
    # What xarray cannot open.
    root.create_array("instants", data=np.array(["2000-01-01", "NaT", "2000-01-03"], "M8[D]"))
    root.create_array("spans", data=np.array([5, 7], "m8[25us]"))
    group = root.create_group("a/b", attributes={"said": nan, "of": ["a", 1]})
    group.create_array("x", data=np.arange(5), chunks=(2,), fill_value=-5)
    zarr.consolidate_metadata(store, zarr_format=version)

out = pathlib.Path(__file__).with_name("described.zip")
with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
    for file in sorted(work.rglob("*")):
        if file.is_file():
            entry = zipfile.ZipInfo(str(file.relative_to(work)), (2026, 1, 1, 0, 0, 0))
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_STORED)
shutil.rmtree(work)
