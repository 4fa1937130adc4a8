"""`.keras` files: a stored zip archive of `metadata.json`, `config.json` and `model.weights.h5`.

Reading makes objects of known and of registered classes only. Nothing is imported, run, or written to disk
because a file says so, and no weight may be larger than the file's own.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from graphc.ir.errors import ArgumentError, FileFormatError, GraphcError
from graphc.saving import hdf5, registry, weights
from graphc.saving.compile_config import compile_config, compile_from_config
from graphc.saving.contents import read_bytes
from graphc.saving.durable import write_whole
from graphc.saving.layout import optimizer_places, weight_places
from graphc.saving.models import DAMAGE, json_values, model_from_config
from graphc.saving.zips import aligned_member, member, open_zip
from graphc.variable import from_file

if TYPE_CHECKING:
    from graphc.models import Model

METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
MOST_JSON = 2**27
KERAS_VERSION = "3.15.1"
"""The version of Keras whose files these are like."""
FREE_SIZE = 2**26
"""Bytes that a weight may have whatever the file's size is."""


def save_model(model: Model, filepath: Any, overwrite: bool = True) -> None:
    """Write a model to a `.keras` file: architecture, weights, and how it is compiled with the optimizer's
    state. Keras 3 reads it too.

    Raises:
        ArgumentError: the path does not end in .keras, or the file is there and `overwrite` is False.
    """
    path = _checked(filepath)
    weights.refuse_existing(path, overwrite)
    config = {**registry.serialize(model), "compile_config": compile_config(model)}
    texts = {
        METADATA: {"keras_version": KERAS_VERSION, "date_saved": f"{datetime.now():%Y-%m-%d@%H:%M:%S}"},
        CONFIG: json_values(config),
    }
    places = weight_places(model) + optimizer_places(model)

    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, value in texts.items():
                archive.writestr(name, json.dumps(value))
            with aligned_member(archive, file, WEIGHTS) as inner:
                weights.write_hdf5(inner, places)  # type: ignore[arg-type]

    write_whole(path, write)


def load_model(
    filepath: Any,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """The model of a `.keras` file, of graphc or of Keras 3.

    Args:
        filepath: the file.
        custom_objects: classes and functions of yours that the file names, by their names.
        compile: compile it as it was, so that training goes on where it was.
        safe_mode: must be True: code from files is never run.

    Raises:
        FileNotFoundError: there is no such file.
        ArgumentError: the path does not end in .keras.
        FileFormatError: it is damaged, or names a class that is not known.
    """
    path = _checked(filepath)
    if not safe_mode:
        raise ArgumentError("safe_mode=False is not supported: code from a file is never run.")
    try:
        return _read(read_bytes(path), path.name, custom_objects, compile)
    except FileFormatError as e:
        raise FileFormatError(f"{path}: {e}") from e


def _read(data: np.ndarray, name: str, custom_objects: Mapping[str, Any] | None, compiled: bool) -> Any:
    archive = open_zip(data, "a .keras file")
    config = _config(member(archive, data, CONFIG, MOST_JSON).tobytes())
    found = hdf5.read(member(archive, data, WEIGHTS, check=False))
    if not all(d.summed for d in found.values()):
        member(archive, data, WEIGHTS)
    largest = max((int(np.prod(d.shape)) * d.dtype.itemsize for d in found.values()), default=0)
    with from_file(max(FREE_SIZE, 2 * largest)):
        model = model_from_config(config, custom_objects)
        given = config.get("compile_config")
        if compiled and given:
            _compile(model, given, custom_objects)
    try:
        plan = weights.fitting(model, found, weights.HDF5, name)
    except ArgumentError as e:
        raise FileFormatError(f"the weights do not fit the configuration: {e}") from e
    plan += weights.fitting_optimizer(model, found, weights.HDF5, must=True)
    weights.take(plan)
    return model


def _compile(model: Model, given: Any, custom_objects: Mapping[str, Any] | None) -> None:
    try:
        compile_from_config(model, given, custom_objects)
    except GraphcError:
        raise
    except (*DAMAGE, AttributeError) as e:
        raise FileFormatError(f"the stored compile_config can't be read: {type(e).__name__}: {e}.") from e


def _config(text: bytes) -> dict[str, Any]:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise FileFormatError(f"{CONFIG!r} is not JSON: {e}.") from e
    if not isinstance(config, dict):
        raise FileFormatError(f"{CONFIG!r} describes no model.")
    return config


def _checked(filepath: Any) -> Path:
    path = Path(filepath)
    if path.suffix != ".keras":
        raise ArgumentError(
            f"models are stored in files that end in .keras, not {path.name!r}.\n"
            "  fix     give such a name; weights alone are stored by save_weights()."
        )
    return path
