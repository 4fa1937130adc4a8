"""The reader and writer of HDF5: against files of h5py (tests/data/saving), round trips, and refusals."""

import struct
from pathlib import Path

import numpy as np
import pytest

from graphc.ir.errors import FileFormatError
from graphc.saving.hdf5 import checksum, read
from graphc.saving.hdf5_writer import pieces

DATA = Path(__file__).parents[2] / "data" / "saving"
DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", ">f4", ">i8"]


def stored(arrays):
    return np.frombuffer(b"".join(bytes(p) for p in pieces(arrays)), np.uint8).copy()


@pytest.mark.parametrize("name", ["early", "late"])
def test_files_of_h5py_are_read(name):
    found = read(np.fromfile(DATA / f"{name}.h5", np.uint8))
    for path in ("a/b/0", "a/b/1", "c/0"):
        np.testing.assert_array_equal(found[path].read(), np.arange(6, dtype="f4").reshape(2, 3))
    assert found["scalar"].read() == 3.0
    assert found["scalar"].shape == ()
    assert found["flags"].read().tolist() == [True, False]
    assert found["flags"].dtype == bool
    assert found["empty"].read().shape == (0, 3)
    swapped = found["t/swapped"].read()
    assert swapped.tolist() == [0, 1, 2]
    assert swapped.dtype == np.dtype("i2")
    assert swapped.dtype.isnative


def test_chunks_are_joined_and_their_filters_undone():
    found = read(np.fromfile(DATA / "early.h5", np.uint8))
    np.testing.assert_array_equal(found["t/packed"].read(), np.arange(1000, dtype="f4").reshape(50, 20))
    np.testing.assert_array_equal(found["t/plain"].read(), np.arange(60).reshape(20, 3))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 5), (2, 3, 1)])
def test_every_type_and_shape_comes_back(dtype, shape):
    values = np.random.default_rng(1).integers(0, 2, shape).astype(dtype)
    found = read(stored({"a/0": values}))["a/0"]
    assert found.shape == shape
    assert found.dtype == values.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found.read(), values)


@pytest.mark.parametrize("count", [0, 1, 8, 9, 256, 257, 2500])
def test_groups_of_any_size_come_back(count):
    arrays = {f"layers/x{i}/vars/0": np.array([i], "i4") for i in range(count)}
    found = read(stored(arrays))
    assert set(found) == set(arrays)
    assert all(found[path].read() == value for path, value in arrays.items())


def test_special_values_and_views_come_back():
    values = np.array([[np.nan, np.inf, -0.0], [-np.inf, 1e-45, 3.4e38]], "f4").T
    got = read(stored({"x": values}))["x"].read()
    assert got.tobytes() == np.ascontiguousarray(values).tobytes()


def test_changed_values_are_found_by_their_checksum():
    data = stored({"w": np.arange(5, dtype="f4")})
    at = bytes(data).index(struct.pack("<5f", *range(5)))
    data[at + 17] ^= 1
    with pytest.raises(FileFormatError, match="'/w' is damaged: its values do not match"):
        read(data)["w"].read()


def test_the_checksum_counts_the_last_bytes():
    assert checksum(np.array([1, 2, 3], "u1")) == 1 + (2 << 8) + (3 << 16)
    assert checksum(np.array([2**64 - 1, 2], "u8")) == 1


def test_what_is_no_hdf5_file_is_refused():
    with pytest.raises(FileFormatError, match="does not begin with HDF5's signature"):
        read(np.frombuffer(b"hello, world", np.uint8))
    with pytest.raises(FileFormatError, match="needed, but the file ends at 3"):
        read(np.zeros(3, np.uint8))


def test_a_file_that_is_cut_off_is_refused():
    data = stored({"w": np.arange(5, dtype="f4")})
    with pytest.raises(FileFormatError, match="the file is cut off"):
        read(data[:-1])


def test_a_group_that_holds_itself_is_refused():
    data = stored({"a/b": np.zeros(1)})
    root = struct.unpack_from("<Q", data, 64)[0]
    inner = next(at for at in range(96, len(data) - 8, 8) if data[at : at + 4].tobytes() == b"SNOD")
    struct.pack_into("<Q", data, inner + 16, root)
    with pytest.raises(FileFormatError, match="linked in a circle"):
        read(data)


def test_a_huge_shape_allocates_nothing():
    data = stored({"w": np.zeros(7, "f8")})
    at = bytes(data).index(struct.pack("<BBB5xQ", 1, 1, 0, 7))
    struct.pack_into("<Q", data, at + 8, 2**47)
    with pytest.raises(FileFormatError, match="has 56 bytes, but needs"):
        read(data)["w"].read()
