import os
import subprocess
import sys

import pytest

from graphc.codegen import cache as cache_module
from graphc.codegen.cache import Cache, Counters, Entry, EntryFormatError, default_folder, key_of
from graphc.codegen.target import named

KEY = "0" * 64
ENTRY = Entry({"object": b"\x7fELF" * 100, "plan": b"{}", "empty": b""})


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "deep" / "graphc", Counters())


def counts(cache):
    return (cache.counters.hits, cache.counters.misses, cache.counters.damaged)


def test_an_entry_comes_back(cache):
    assert cache.get(KEY) is None
    assert cache.put(KEY, ENTRY)
    assert cache.get(KEY) == ENTRY
    assert counts(cache) == (1, 1, 0)
    assert (cache.folder.stat().st_mode & 0o777) == 0o700
    assert ((cache.folder / KEY).stat().st_mode & 0o777) == 0o600


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "append"])
def test_a_damaged_entry_is_a_counted_miss_and_goes(cache, damage):
    cache.put(KEY, ENTRY)
    path = cache.folder / KEY
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    changed = {"cut": data[:-40], "flip": data, "empty": b"", "append": data + b"x"}[damage]
    path.write_bytes(bytes(changed))
    assert cache.get(KEY) is None
    assert counts(cache) == (0, 1, 1)
    assert not path.exists()


def test_every_truncation_and_bit_flip_is_seen():
    data = Entry({"a": b"12", "bc": b""}).to_bytes()
    for i in range(len(data)):
        for bad in (data[:i], data[:i] + bytes([data[i] ^ 4]) + data[i + 1 :]):
            with pytest.raises(EntryFormatError):
                Entry.from_bytes(bad)


def test_info_verify_and_clear(cache):
    assert cache.info().entries == 0
    for i in range(3):
        cache.put(f"{i:064}", ENTRY)
    (cache.folder / f"{1:064}").write_bytes(b"junk")
    old = cache.folder / f".{KEY}.1.abcd"
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    (cache.folder / "notes.txt").write_text("mine")
    assert (cache.info().entries, cache.info().problem) == (3, None)
    assert cache.verify() == [f"{1:064}"]
    assert not old.exists()
    assert cache.clear() == 2
    assert os.listdir(cache.folder) == ["notes.txt"]


def test_a_folder_open_to_others_is_closed_if_it_is_ours_alone(cache):
    cache.put(KEY, ENTRY)
    cache.folder.chmod(0o777)
    assert cache.get(KEY) == ENTRY
    assert (cache.folder.stat().st_mode & 0o777) == 0o700
    (cache.folder / "other").write_text("")
    cache.folder.chmod(0o755)
    assert cache.get(KEY) is None
    assert not cache.put(KEY, ENTRY)
    assert (
        cache.info().problem == f"{cache.folder} has mode 0755 and holds other files: use a folder of its own"
    )
    assert (cache.folder.stat().st_mode & 0o777) == 0o755


def test_a_folder_of_another_user_is_not_used(cache, monkeypatch):
    cache.put(KEY, ENTRY)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert cache.get(KEY) is None
    assert not cache.put(KEY, ENTRY)
    assert cache.info().problem == f"{cache.folder} belongs to user {owner}"


def test_an_unusable_disk_stops_nothing(tmp_path, monkeypatch, cache):
    (tmp_path / "file").write_text("")
    blocked = Cache(tmp_path / "file" / "graphc", Counters())
    assert blocked.get(KEY) is None
    assert not blocked.put(KEY, ENTRY)
    assert not Cache(tmp_path / "file", Counters()).put(KEY, ENTRY)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert not cache.put(KEY, ENTRY)
    assert os.listdir(cache.folder) == []


def test_folder_from_the_environment(monkeypatch):
    monkeypatch.setenv("GRAPHC_CACHE_DIR", "/a/b")
    assert str(default_folder()) == "/a/b"
    monkeypatch.delenv("GRAPHC_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert str(default_folder()) == "/c/graphc"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/nowhere/me")
    assert str(default_folder()) == "/nowhere/me/.cache/graphc"


def test_keys_differ_with_every_part(monkeypatch):
    target = named("haswell")
    keys = [
        key_of(target, *parts)
        for parts in (("ab", "c"), ("a", "bc"), ("abc",), (b"ab", "c", 0), ("ab", "c", 1))
    ]
    keys += [key_of(named("znver3"), "ab", "c"), key_of(named("nehalem"), "ab", "c")]
    assert len(set(keys)) == len(keys)
    assert key_of(target, "ab", "c") == keys[0]
    monkeypatch.setattr(cache_module, "source_stamp", lambda: "other")
    assert key_of(target, "ab", "c") != keys[0]


WORKER = """
import sys
from graphc.codegen.cache import Cache, Entry
cache, key = Cache(sys.argv[1]), "a" * 64
good = Entry({"object": b"x" * 300_000, "plan": b"{}"})
for turn in range(30):
    found = cache.get(key)
    assert found is None or found == good
    assert cache.put(key, good)
assert cache.get(key) == good and cache.counters.damaged == 0
print("right")
"""


def test_eight_processes_at_once(tmp_path):
    folder = tmp_path / "graphc"
    command = [sys.executable, "-c", WORKER, str(folder)]
    workers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(8)
    ]
    outputs = [worker.communicate()[0].strip() for worker in workers]
    assert outputs == ["right"] * 8
    assert os.listdir(folder) == ["a" * 64]
