"""Makes docs/july.nc, and netcdf.zip: files of HDF5 and NetCDF as h5py and netCDF4 write them, of all layouts, indexes of chunks and versions,
and beside each array, in `expected/FILE/ARRAY.npy`, what h5py or netCDF4 reads there; in `decoded/`, what xarray does.

    pip install h5py==3.16.0 netCDF4==1.7.5.1.post1 xarray==2026.9.0 && python make.py
"""

import pathlib
import tempfile
import zipfile

import h5py
import netCDF4
import numpy as np
import xarray

work = pathlib.Path(tempfile.mkdtemp())
here = pathlib.Path(__file__).parent
DTYPES = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8", "c8", "c16"]


def ramp(shape, dtype="i4"):
    return (np.arange(np.prod(shape, dtype=int)) % 97 - 3).reshape(shape).astype(dtype)


with h5py.File(work / "types.h5", "w") as f:
    for dtype in DTYPES:
        for order in "<>":
            name = f"{'little' if order == '<' else 'big'}/{dtype}"
            data = ramp((3, 5), "f8").astype(dtype) if dtype[0] != "u" else np.arange(15, dtype=dtype).reshape(3, 5)
            if dtype[0] == "c":
                data = data * (1 + 2j)
            f.create_dataset(name, data=data.astype(order + dtype), chunks=(2, 2) if dtype in ("i2", "f8") else None)
    f["bool"] = np.array([[True, False], [False, True]])
    f["scalar"] = np.float64(2.5)
    f["one"] = np.array([7], "i2")
    f["empty"] = np.zeros((0, 3), "f4")
    f["enum"] = np.array([0, 2, 1], dtype=h5py.enum_dtype({"A": 0, "B": 1, "C": 2}, basetype="u1"))
    # Not read, and named.
    f["compound"] = np.zeros(2, dtype=[("x", "f4"), ("y", "i4")])
    f["text"] = np.array([b"abc", b"de"], "S3")
    f["vlen_text"] = ["a", "bc"]
    f.create_dataset("vlen", (2,), dtype=h5py.vlen_dtype("i4"))
    f["half"] = np.zeros(2, "f2")
    f["array"] = np.zeros(2, dtype=[("x", "f4", (2,))])["x"]
    f.create_dataset("null", data=h5py.Empty("f4"))
    f.create_dataset("lzf", data=ramp((40, 30)) // 9, chunks=(20, 20), compression="lzf", shuffle=True)
    f.create_dataset("scaled", data=ramp((8, 8)), chunks=(4, 4), scaleoffset=0)
    f["link"] = h5py.SoftLink("/little/f8")
    f["gone"] = h5py.SoftLink("/nowhere")
    f["elsewhere"] = h5py.ExternalLink("other.h5", "/x")

FILTERS = {
    "plain": {},
    "deflate": {"compression": "gzip", "compression_opts": 4},
    "shuffled": {"compression": "gzip", "shuffle": True},
    "summed": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "sum": {"fletcher32": True},
}
SPACES = {  # shape, chunks, maxshape: each another index of chunks in new files
    "single": ((6, 8), (6, 8), None),
    "fixed": ((13, 11), (4, 3), None),
    "extensible": ((13, 11), (4, 3), (None, 11)),
    "tree": ((13, 11), (4, 3), (None, None)),
    "cube": ((5, 6, 7), (2, 3, 4), (None, 6, 7)),
    "line": ((1500,), (7,), (None,)),
}
for version in ("earliest", "latest", "v108"):
    with h5py.File(work / f"chunks-{version}.h5", "w", libver=(version, "latest") if version != "v108" else ("v108", "v108")) as f:
        for space, (shape, chunks, maxshape) in SPACES.items():
            for filters, options in FILTERS.items():
                if space == "line" and filters != "shuffled":
                    continue
                f.create_dataset(f"{space}/{filters}", data=ramp(shape, "f4"), chunks=chunks, maxshape=maxshape, **options)
            # Some chunks were never written, one of them by half.
            holes = f.create_dataset(f"{space}/holes", shape, "i2", chunks=chunks, maxshape=maxshape, fillvalue=-7, compression="gzip")
            if space not in ("single", "line"):
                holes[1:3, 4:5] = 5
        f.create_dataset("never", (4, 4), "f8", fillvalue=1.5)
        f.create_dataset("never_chunked", (4, 4), "f8", chunks=(2, 2), fillvalue=2.5)
        # The attribute is not the element that was never written.
        f.create_dataset("attribute", (4, 4), "f4", chunks=(2, 2))[0, 0] = 3
        f["attribute"].attrs["_FillValue"] = np.float32(9)
        f.create_dataset("contiguous", data=ramp((9, 10), ">i4"))
        grown = f.create_dataset("shrunk", data=ramp((9, 9)), chunks=(4, 4), maxshape=(None, None))
        grown.resize((5, 5))
        grown.resize((9, 9))
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((2, 3))
        compact = h5py.h5d.create(f.id, b"compact", h5py.h5t.STD_I16LE, space, plist)
        compact.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(6, dtype="i2").reshape(2, 3))
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((2, 2))
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        space = h5py.h5s.create_simple((5, 3))
        implicit = h5py.h5d.create(f.id, b"implicit", h5py.h5t.STD_I16LE, space, plist)
        implicit.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(15, dtype="i2").reshape(5, 3))
        many = f.create_group("many")
        for i in range(20):
            many.attrs[f"a{i}"] = i
            many[f"d{i}"] = np.array([i])
        said = f.create_dataset("said", data=ramp((2, 2)))
        said.attrs["text"] = "µm"
        said.attrs["bytes"] = np.bytes_("K")
        said.attrs["one"] = np.array([1.5])
        said.attrs["two"] = np.array([1, -2], "i8")
        said.attrs["float"] = np.float32(0.25)
        said.attrs["nan"] = np.nan
        said.attrs["large"] = np.uint64(2**64 - 1)
        said.attrs["texts"] = ["a", "b"]
        said.attrs["flag"] = True
        said.attrs["record"] = np.zeros(1, dtype=[("x", "f4")])[0]
        said.dims[0].label = "y"
        x = f.create_dataset("x", data=ramp((2,)))
        x.make_scale("x")
        said.dims[1].attach_scale(x)

for kind in ("NETCDF4", "NETCDF4_CLASSIC", "NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"):
    with netCDF4.Dataset(work / f"{kind.lower()}.nc", "w", format=kind) as f:
        f.title = "test"
        f.createDimension("time", None)
        f.createDimension("y", 3)
        f.createDimension("x", 5)
        f.createDimension("name", 4)
        small = ["i1", "i2", "i4", "f4", "f8"]
        types = DTYPES[:10] if kind in ("NETCDF4", "NETCDF3_64BIT_DATA") else small
        for dtype in types:
            v = f.createVariable(f"fixed_{dtype}", dtype, ("y", "x"))
            v[:] = np.arange(15).reshape(3, 5).astype(dtype)
        time = f.createVariable("time", "f8", ("time",))
        time.units = "days since 2026-07-01"
        time.calendar = "standard"
        time[:] = [0, 1, 2, 3]
        options = {"zlib": True, "chunksizes": (2, 3, 5)} if kind.startswith("NETCDF4") else {}
        t = f.createVariable("t", "i2", ("time", "y", "x"), fill_value=np.int16(-99), **options)
        t.set_auto_maskandscale(False)
        t.scale_factor = 0.25
        t.add_offset = 1.0
        t.units = "K"
        t.valid_range = np.array([-90, 90], "i2")
        data = ramp((4, 3, 5), "i2")
        data[1, 1, 1] = -99
        t[:] = data
        short = f.createVariable("short", "i1", ("time", "y"))
        short[:2] = [[1, 2, 3], [4, 5, 6]]
        f.createVariable("number", "i4", ())[...] = 42
        # Named as an axis is that it does not lie along.
        f.createVariable("name", "i4", ("y",))[:] = [1, 2, 3]
        f.createVariable("label", "S1", ("y", "name"))[:] = np.array([list("abcd")] * 3, "S1")
        if kind == "NETCDF4":
            g = f.createGroup("forecast/day")
            g.createDimension("x", 2)
            g.createVariable("u", ">f4", ("y", "x"), endian="big")[:] = [[1, 2], [3, 4], [5, 6]]
            g.createVariable("zstd", "i4", ("x",), compression="zstd")[:] = [1, 2]
            g.createVariable("word", str, ("x",))[:] = np.array(["a", "b"], object)
with netCDF4.Dataset(work / "records.nc", "w", format="NETCDF3_CLASSIC") as f:
    # A single variable of records has no padding between them.
    f.createDimension("time", None)
    f.createDimension("x", 3)
    f.createVariable("only", "i1", ("time", "x"))[:] = ramp((5, 3), "i1")
with netCDF4.Dataset(work / "nothing.nc", "w", format="NETCDF3_CLASSIC") as f:
    f.createDimension("time", None)
    f.createVariable("t", "f4", ("time",))


def arrays(path):
    """The arrays of a file by name, as they are stored."""
    if path.suffix == ".h5":
        with h5py.File(path) as f:
            found = {}
            f.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
            found["link"] = f.get("link")
            for name, item in found.items():
                if item is not None and name != "half" and item.shape is not None and item.dtype.kind in "biufc" and item.dtype.metadata is None or name in ("bool", "enum"):
                    yield name, item[()]
    else:
        with netCDF4.Dataset(path) as f:
            f.set_auto_maskandscale(False)
            groups = {"": f}
            if "forecast" in f.groups:
                groups["forecast/day/"] = f["forecast/day"]
            for prefix, group in groups.items():
                for name, v in group.variables.items():
                    if name != "zstd" and v.dtype is not str and v.dtype.kind in "iuf":
                        yield prefix + name, np.asarray(v[...])


with zipfile.ZipFile(here / "netcdf.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:

    def add(name, data):
        entry = zipfile.ZipInfo(name)
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, data)

    def add_array(name, data):
        data = np.asarray(data)
        with tempfile.TemporaryFile() as file:
            np.save(file, data.astype(data.dtype.newbyteorder("<"), order="C"))
            file.seek(0)
            add(name, file.read())

    for path in sorted(work.iterdir()):
        add(path.name, path.read_bytes())
        for name, data in arrays(path):
            add_array(f"expected/{path.name}/{name}.npy", data)
        if path.suffix == ".nc" and path.name.startswith("netcdf"):
            with xarray.open_dataset(path, decode_times=False, engine="netcdf4", drop_variables="name") as dataset:
                add_array(f"decoded/{path.name}/t.npy", dataset["t"].values)

# The file of the examples in the documentation.
with netCDF4.Dataset(here / "../../../docs/july.nc", "w", format="NETCDF3_CLASSIC") as f:
    f.title = "three days of July"
    f.createDimension("time", None)
    f.createDimension("station", 2)
    t = f.createVariable("t", "i2", ("time", "station"), fill_value=np.int16(-1))
    t.set_auto_maskandscale(False)
    t.scale_factor = 0.5
    t.add_offset = 273.0
    t.units = "K"
    t[:] = [[24, 29], [22, 30], [34, -1]]
    time = f.createVariable("time", "f8", ("time",))
    time.units = "days since 2026-07-01"
    time[:] = [0, 1, 2]
