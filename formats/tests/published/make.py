"""Makes published.zip, the arrays that published/mod.rs reads: written by zarr-python with numcodecs, as other programs
publish them. Element i, in C order, of each is i.

    pip install zarr==3.1.6 numcodecs==0.16.6 && python make.py
"""

import io
import json
import pathlib
import shutil
import tempfile
import warnings
import zipfile

import numcodecs
import numpy as np
import zarr
from numcodecs import zarr3

warnings.simplefilter("ignore")
SHAPE, CHUNKS = (10, 6), (4, 6)
work = pathlib.Path(tempfile.mkdtemp())


def elements(dtype):
    return np.arange(60).reshape(SHAPE).astype(dtype)


def write(name, version, dtype, order=None, fill_value=0, **codecs):
    try:
        array = zarr.create_array(
            str(work / f"v{version}" / name),
            shape=SHAPE,
            chunks=CHUNKS,
            dtype=dtype,
            zarr_format=version,
            fill_value=fill_value,
            **({} if order is None else {"order": order}),
            **codecs,
        )
        array[:] = elements(dtype)
        assert (array[:] == elements(dtype)).all()
        print("wrote", version, name)
    except Exception as error:
        print("NOT", version, name, repr(error)[:200])


def v2(name, dtype, compressor=None, filters=None, **more):
    write(name, 2, dtype, compressors=compressor, filters=filters, **more)


v2("zlib", "<i4", numcodecs.Zlib(3))
v2("gzip", "<i4", numcodecs.GZip(3))
v2("bz2", "<f8", numcodecs.BZ2(3))
v2("zstd", "<f4", numcodecs.Zstd(3))
v2("blosc", "<i2", numcodecs.Blosc("lz4", 5, numcodecs.Blosc.SHUFFLE))
v2("blosc-zstd-bits", "<u4", numcodecs.Blosc("zstd", 5, numcodecs.Blosc.BITSHUFFLE))
v2("shuffle", "<i8", numcodecs.Zlib(3), [numcodecs.Shuffle(8)])
v2("fixedscaleoffset", "<f8", numcodecs.Zlib(3), [numcodecs.FixedScaleOffset(0, 1, "<f8", "<u2")])
v2("fletcher32", "<i4", None, [numcodecs.Fletcher32()])
v2("crc32", "<i4", None, [numcodecs.CRC32()])
v2("adler32", "<i4", None, [numcodecs.Adler32()])
v2("crc32c", "<i4", None, [numcodecs.CRC32C()])
v2("delta", "<i4", numcodecs.Zlib(3), [numcodecs.Delta("<i4")])
v2("lz4", "<i4", numcodecs.LZ4())
v2("lzma", "<i4", numcodecs.LZMA(preset=1))
v2("packbits", "|b1", None, [numcodecs.PackBits()])
v2("big-endian", ">i4", numcodecs.Zlib(3))
v2("fortran", "<i4", numcodecs.Zlib(3), order="F")
v2("no-fill-value", "<c8", numcodecs.Zlib(3), fill_value=None)


def v3(name, dtype, compressors=None, filters=None, **more):
    write(name, 3, dtype, compressors=compressors, filters=filters or (), **more)


v3("gzip", "int32", zarr.codecs.GzipCodec(level=3))
v3("zstd", "int32", zarr.codecs.ZstdCodec(level=3, checksum=True))
v3("blosc", "float32", zarr.codecs.BloscCodec(cname="lz4", shuffle="shuffle", typesize=4))
v3("numcodecs.zlib", "int32", zarr3.Zlib(level=3))
v3("numcodecs.gzip", "int32", zarr3.GZip(level=3))
v3("numcodecs.bz2", "float64", zarr3.BZ2(level=3))
v3("numcodecs.zstd", "int32", zarr3.Zstd(level=3))
v3("numcodecs.blosc", "int32", zarr3.Blosc(cname="lz4", clevel=5, shuffle=1, blocksize=0))
v3("numcodecs.lz4", "int32", zarr3.LZ4())
v3("numcodecs.lzma", "int32", zarr3.LZMA(preset=1))
v3("numcodecs.shuffle", "int64", [zarr3.Shuffle(elementsize=8), zarr3.Zlib(level=3)])
v3("numcodecs.fixedscaleoffset", "float64", (), [zarr3.FixedScaleOffset(offset=0, scale=1, dtype="<f8", astype="<u2")])
v3("numcodecs.delta", "int32", (), [zarr3.Delta(dtype="<i4")])
v3("numcodecs.fletcher32", "int32", zarr3.Fletcher32())
v3("numcodecs.crc32", "int32", zarr3.CRC32())
v3("numcodecs.crc32c", "int32", zarr3.CRC32C())
v3("numcodecs.adler32", "int32", zarr3.Adler32())
v3("numcodecs.packbits", "bool", (), [zarr3.PackBits()])
v3("crc32c", "int32", zarr.codecs.Crc32cCodec())

out = pathlib.Path(__file__).with_name("published.zip")
with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
    for file in sorted(work.rglob("*")):
        if file.is_file():
            text = file.read_bytes()
            if file.name.startswith(".z") or file.name == "zarr.json":
                text = json.dumps(json.loads(text)).encode()
            entry = zipfile.ZipInfo(str(file.relative_to(work)), (2026, 1, 1, 0, 0, 0))
            archive.writestr(entry, text, zipfile.ZIP_DEFLATED)
shutil.rmtree(work)
