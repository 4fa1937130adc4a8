"""Saving that is killed, or that finds the disk full, leaves the old file whole."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc import Input, Sequential, layers, models
from graphc.saving.durable import write_whole

KILLS = int(os.environ.get("GRAPHC_KILLS", "100"))
FILES = ("m.keras", "w.weights.h5", "w.npz", "w.safetensors")

CHILD = """
import os, sys
import numpy as np
from graphc import Input, Sequential, layers

model = Sequential([Input((64,)), layers.Dense(64, name="only")])


def save(number):
    model.set_weights([np.full((64, 64), number, "f4"), np.full(64, number, "f4")])
    for name in sys.argv[1:]:
        (model.save if name.endswith(".keras") else model.save_weights)(name)


save(0)
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        print(os.getpid(), flush=True)
        number = int(line)
        while True:
            number += 1
            save(number)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""
"""Saves in a loop in a forked process, one for each line that it reads: Python starts only once."""


def whole(name, model):
    """The file is wholly of one saving."""
    loaded = models.load_model(name) if name.suffix == ".keras" else model
    if loaded is model:
        model.load_weights(name)
    values = np.concatenate([w.reshape(-1) for w in loaded.get_weights()])
    assert (values == values[0]).all(), f"{name} is a mixture of two savings"


def test_a_process_that_is_killed_while_it_saves_leaves_whole_files(tmp_path):
    random = np.random.default_rng(7)
    model = Sequential([Input((64,)), layers.Dense(64, name="only")])
    code = [sys.executable, "-c", CHILD, *FILES]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    inside = 0
    with subprocess.Popen(code, cwd=tmp_path, **pipes) as child:
        assert child.stdout.readline() == "ready\n"
        for number in range(KILLS):
            child.stdin.write(f"{1000 * number}\n")
            child.stdin.flush()
            process = int(child.stdout.readline())
            time.sleep(float(random.uniform(0, 0.02)))
            os.kill(process, signal.SIGKILL)
            assert child.stdout.readline() == "ended\n"
            left = [p for p in tmp_path.iterdir() if p.suffix == ".partial"]
            inside += bool(left)
            for path in left:
                path.unlink()
            for name in FILES if number % 10 == 0 else FILES[number % 4 :][:1]:
                whole(tmp_path / name, model)
        child.stdin.close()
    assert inside > KILLS // 10, "hardly any process was killed in the middle of a saving"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_leaves_the_old_file(tmp_path, name):
    """A limit on the sizes of files stands for a full disk: writing fails in the middle."""
    model = Sequential([Input((64,)), layers.Dense(64, name="only")])
    path = tmp_path / name
    save = model.save if path.suffix == ".keras" else model.save_weights
    save(path)
    before = path.read_bytes()
    model.set_weights([w + 1 for w in model.get_weights()])
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, old[1]))
        told = rf"File too large; the file is as it was before: '.*{re.escape(name)}'"
        with pytest.raises(OSError, match=told):
            save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_what_fails_while_writing_changes_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write(file):
        file.write(b"half of it")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, write)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_stay_as_they_were_or_as_new_files_have_them(tmp_path):
    path = tmp_path / "file"
    write_whole(path, lambda file: file.write(b"new"))
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()
    path.chmod(0o640)
    write_whole(path, lambda file: file.write(b"newer"))
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.read_bytes() == b"newer"


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_link_to_a_file_keeps_leading_there(tmp_path):
    real = tmp_path / "real.npz"
    model = Sequential([Input((2,)), layers.Dense(1)])
    model.save_weights(real)
    link = Path(tmp_path / "link.npz")
    link.symlink_to(real)
    model.set_weights([w + 1 for w in model.get_weights()])
    model.save_weights(link)
    assert link.is_symlink()
    twin = Sequential([Input((2,)), layers.Dense(1)])
    twin.load_weights(real)
    np.testing.assert_array_equal(twin.get_weights()[0], model.get_weights()[0])


def test_a_folder_that_is_not_there_is_told(tmp_path):
    model = Sequential([Input((2,)), layers.Dense(1)])
    with pytest.raises(FileNotFoundError) as caught:
        model.save(tmp_path / "none" / "m.keras")
    assert str(tmp_path / "none") in str(caught.value)
    model.save(tmp_path / "m.keras")
    with pytest.raises(graphc.GraphcError, match=r"m\.keras exists already"):
        model.save(tmp_path / "m.keras", overwrite=False)
