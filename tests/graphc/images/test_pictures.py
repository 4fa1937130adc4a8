"""Image files, Pillow images and arrays."""

import struct
import sys
import zlib

import numpy as np
import pytest

from graphc import utils
from graphc.ir.errors import ArgumentError, FileFormatError, MissingPackageError, ShapeError

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 10, 3))


def test_round_trip_keeps_every_pixel(tmp_path, pixels):
    for ending in ("png", "bmp", "tiff", "ppm"):
        path = tmp_path / f"a.{ending}"
        utils.save_img(path, pixels, scale=False)
        array = utils.img_to_array(utils.load_img(path))
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, pixels)


def test_color_modes(tmp_path, pixels):
    path = tmp_path / "a.png"
    utils.save_img(path, pixels, scale=False)
    shapes = {
        mode: utils.img_to_array(utils.load_img(path, mode)).shape for mode in ("grayscale", "rgb", "rgba")
    }
    assert shapes == {"grayscale": (6, 10, 1), "rgb": (6, 10, 3), "rgba": (6, 10, 4)}
    with pytest.raises(
        ArgumentError, match="color_mode must be one of 'grayscale', 'rgb', 'rgba', not 'lab'"
    ):
        utils.load_img(path, "lab")


def test_deep_grayscale_is_kept_or_refused(tmp_path):
    values = np.array([[0, 300], [40000, 65535]], "uint16")
    path = tmp_path / "deep.png"
    Image.fromarray(values).save(path)
    np.testing.assert_array_equal(utils.img_to_array(utils.load_img(path, "grayscale"))[..., 0], values)
    with pytest.raises(FileFormatError, match="more than 8 bits"):
        utils.load_img(path)


def test_resizing(tmp_path):
    path = tmp_path / "a.png"
    rows = np.repeat(np.arange(4) * 10, 2)[:, None, None] * np.ones((1, 8, 1))
    utils.save_img(path, rows, scale=False)
    small = utils.img_to_array(utils.load_img(path, "grayscale", (4, 2), "box"))
    np.testing.assert_array_equal(small[..., 0], np.arange(4)[:, None] * 10 * np.ones((1, 2)))
    with pytest.raises(ArgumentError, match="interpolation must be one of"):
        utils.load_img(path, target_size=(2, 2), interpolation="cubic")
    for size in ((0, 2), 4, (2, 2, 3), (2.0, 2)):
        with pytest.raises(ArgumentError, match="two positive whole numbers"):
            utils.load_img(path, target_size=size)


def test_aspect_ratio_cuts_the_sides(tmp_path):
    path = tmp_path / "wide.png"
    columns = np.arange(12)[None, :, None] * np.ones((4, 1, 1))
    utils.save_img(path, columns, scale=False)
    image = utils.load_img(path, "grayscale", (4, 4), keep_aspect_ratio=True)
    assert utils.img_to_array(image)[0, :, 0].tolist() == [4, 5, 6, 7]
    thin = utils.load_img(path, "grayscale", (100, 1), keep_aspect_ratio=True)
    assert thin.size == (1, 100)


def test_channels_first(pixels):
    array = utils.img_to_array(pixels, "channels_first", "uint8")
    assert array.shape == (3, 6, 10)
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(
        np.asarray(utils.array_to_img(array, "channels_first", scale=False)), pixels
    )


def test_array_to_img_scales_and_refuses():
    assert np.asarray(utils.array_to_img(np.array([[[-1.0], [1.0]]]))).tolist() == [[0, 255]]
    assert np.asarray(utils.array_to_img(np.full((1, 1, 1), 3.0))).tolist() == [[0]]
    assert utils.array_to_img(np.full((1, 1, 1), 300), scale=False).getpixel((0, 0)) == 300
    for wrong in (np.full((1, 1, 3), 256), np.full((1, 1, 1), -1)):
        with pytest.raises(ArgumentError, match="do not fit 0 to 255"):
            utils.array_to_img(wrong, scale=False)
    with pytest.raises(ArgumentError, match="NaN"):
        utils.array_to_img(np.full((1, 1, 1), np.nan))
    for shape in ((2, 2), (2, 2, 2), (0, 2, 3)):
        with pytest.raises(ShapeError):
            utils.array_to_img(np.zeros(shape))
    with pytest.raises(ShapeError):
        utils.img_to_array(np.zeros(3))


def test_jpeg_leaves_out_transparency(tmp_path):
    with pytest.warns(UserWarning, match="transparency"):
        utils.save_img(tmp_path / "a.jpg", np.zeros((2, 2, 4)))
    with pytest.raises(ArgumentError, match=r"a\.what"):
        utils.save_img(tmp_path / "a.what", np.zeros((2, 2, 3)))


def test_files_that_are_no_images(tmp_path, pixels):
    text = tmp_path / "text.png"
    text.write_bytes(b"no image")
    with pytest.raises(FileFormatError, match=r"text\.png' is no image of a kind that is read: PNG, JPEG"):
        utils.load_img(text)
    script = tmp_path / "script.png"
    script.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(FileFormatError, match="no image of a kind"):
        utils.load_img(script)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        utils.load_img(tmp_path / "nowhere.png")


def _failure(path):
    """The error of loading, None without one; any other exception passes."""
    try:
        utils.load_img(path)
    except FileFormatError as error:
        return error
    return None


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "tiff", "ppm"])
def test_every_truncation_is_one_error(tmp_path, pixels, ending):
    path = tmp_path / f"a.{ending}"
    utils.save_img(path, pixels, scale=False)
    whole = path.read_bytes()
    cut = tmp_path / f"cut.{ending}"
    refused = 0
    for length in np.linspace(0, len(whole) - 3, 25).astype(int):
        cut.write_bytes(whole[:length])
        failed = _failure(cut)
        assert failed is None or repr(str(cut)) in str(failed)
        refused += failed is not None
    assert refused >= 10


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "tiff", "ppm", "webp"])
def test_mutated_files_give_an_image_or_one_error(tmp_path, pixels, ending):
    path = tmp_path / f"a.{ending}"
    utils.save_img(path, pixels, scale=False)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    random = np.random.default_rng(1)
    refused = 0
    for _ in range(150):
        changed = whole.copy()
        places = random.integers(len(whole), size=random.integers(1, 6))
        changed[places] = random.integers(0, 256, len(places))
        path.write_bytes(changed.tobytes())
        refused += _failure(path) is not None
    assert refused > 0


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_decompression_bombs_are_refused(tmp_path):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    path = tmp_path / "bomb.png"
    for side in (9_600, 60_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        )
        with pytest.raises(FileFormatError, match=r"bomb\.png' is refused"):
            utils.load_img(path)


def test_without_pillow(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingPackageError, match=r"pip install graphc\[images\]"):
        utils.load_img(tmp_path / "a.png")
    with pytest.raises(ImportError, match=r"graphc\[images\]"):
        utils.array_to_img(np.zeros((1, 1, 1)))
