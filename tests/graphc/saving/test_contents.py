"""Files as bytes, mapped or read; archives whose arrays lie where they can be used."""

import errno
import io
import zipfile

import numpy as np
import pytest

from graphc.ir.errors import FileFormatError
from graphc.saving import contents, npz
from graphc.saving.hdf5 import read as read_hdf5
from graphc.saving.hdf5_writer import pieces
from graphc.saving.zips import aligned_member, open_zip, stored_checksum

ARRAYS = {
    "a/kernel": np.arange(6, dtype="f4").reshape(2, 3),
    "a/bias": np.float64(2.5),
    "empty": np.zeros((0, 3), "f4"),
    "flags": np.array([True, False]),
    "ä": np.arange(5, dtype="u1"),
}


def npz_bytes(arrays):
    file = io.BytesIO()
    npz.write(file, arrays)
    return np.frombuffer(file.getvalue(), np.uint8)


@pytest.mark.parametrize("mapped", [True, False])
def test_a_files_bytes_are_its_bytes(tmp_path, monkeypatch, mapped):
    if not mapped:
        monkeypatch.setattr(contents, "_mapped", lambda file: None)
    for size in (0, 1, 4096, 100_001):
        whole = np.random.default_rng(size).bytes(size)
        (tmp_path / "file").write_bytes(whole)
        assert contents.read_bytes(tmp_path / "file").tobytes() == whole


def test_a_file_that_is_replaced_keeps_its_bytes_for_who_has_them(tmp_path):
    (tmp_path / "file").write_bytes(b"old" * 5000)
    data = contents.read_bytes(tmp_path / "file")
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "new").replace(tmp_path / "file")
    assert data.tobytes() == b"old" * 5000


def test_what_the_disk_cannot_read_is_an_error(tmp_path, monkeypatch):
    class Failing:
        def __init__(self, *_, **__):
            pass

        def madvise(self, _):
            raise OSError(errno.EFAULT, "Bad address")

    monkeypatch.setattr(contents.mmap, "mmap", Failing)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(OSError, match=r"Input/output error: .*file"):
        contents.read_bytes(tmp_path / "file")


def test_arrays_in_archives_are_numpys():
    with np.load(io.BytesIO(npz_bytes(ARRAYS))) as found:
        assert set(found) == set(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(found[name], array, strict=True)
    assert npz_bytes(ARRAYS).tobytes() == npz_bytes(ARRAYS).tobytes()


def test_archives_of_numpy_are_read():
    file = io.BytesIO()
    np.savez_compressed(file, **ARRAYS, turned=np.asfortranarray(ARRAYS["a/kernel"]))
    found = npz.read(np.frombuffer(file.getvalue(), np.uint8))
    for name, array in {**ARRAYS, "turned": ARRAYS["a/kernel"]}.items():
        np.testing.assert_array_equal(found[name].read(), array, strict=True)


def test_arrays_lie_at_multiples_of_64_bytes():
    def places(data, found):
        return {(d.read().ctypes.data - data.ctypes.data) % 64 for d in found.values() if d.read().size}

    data = npz_bytes(ARRAYS)
    assert places(data, {k: v for k, v in npz.read(data).items() if k != "flags"}) == {0}
    arrays = {f"g{i}/vars/0": np.full(n, i, "f4") for i, n in enumerate((1, 3, 17, 64, 1000))}
    data = np.frombuffer(b"".join(bytes(p) for p in pieces(arrays)), np.uint8)
    assert places(data, read_hdf5(data)) == {0}


def test_a_changed_value_does_not_match_its_checksum():
    data = npz_bytes({"w": np.zeros(100_000, "f4")}).copy()
    at = data.tobytes().index(bytes(400_000))
    data[at] = 1
    with pytest.raises(FileFormatError, match=r"'w\.npy' does not match its checksum"):
        npz.read(data)["w"].read()


def test_members_without_a_checksum_have_none():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("plain", b"1")
        with aligned_member(archive, file, "own", 7) as inner:
            inner.write(b"22")
    data = np.frombuffer(file.getvalue(), np.uint8)
    archive = open_zip(data, "an archive")
    assert [stored_checksum(archive, name) for name in ("plain", "own")] == [None, 7]
    assert archive.read("own") == b"22"
