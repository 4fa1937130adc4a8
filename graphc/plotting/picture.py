"""`plot_model`: a model's layers and connections as a picture."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graphc.ir.errors import ArgumentError, MissingPackageError
from graphc.plotting.boxes import Shown, diagram
from graphc.plotting.svg import FONTS, render

if TYPE_CHECKING:
    from graphc.models import Model


@dataclass(frozen=True)
class Picture:
    """A picture as the text of an SVG file; notebooks show it."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | os.PathLike[str], dpi: int = 96) -> None:
        """Write it as `.svg`, or, with the extra `graphc[plot]`, as `.png` with so many dots per inch.

        Raises:
            ArgumentError: the file's name ends otherwise.
            MissingPackageError: a PNG is wanted, but CairoSVG is not installed.
        """
        kind = Path(path).suffix.lower()
        if kind not in WRITERS:
            raise ArgumentError(f"a picture is written as {' or '.join(WRITERS)}, not as {os.fspath(path)!r}")
        Path(path).write_bytes(WRITERS[kind](self.svg, dpi))


def _svg(svg: str, dpi: int) -> bytes:
    return svg.encode()


def _png(svg: str, dpi: int) -> bytes:
    try:
        import cairosvg
    except (ImportError, OSError) as error:
        raise MissingPackageError(
            f"PNG files need CairoSVG ({error}).\n"
            "  fix     pip install graphc[plot], or write an .svg file, which needs nothing."
        ) from error
    # CairoSVG takes the first font of a list even if there is none such.
    plain = svg.replace(FONTS, "monospace")
    return cairosvg.svg2png(bytestring=plain.encode(), scale=dpi / 96)


WRITERS = {".svg": _svg, ".png": _png}


def plot_model(
    model: Model,
    to_file: str | os.PathLike[str] | None = "model.svg",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> Picture:
    """Draw a model: a box for each call of a layer, an arrow for each tensor.

    Args:
        model: a built model. Of a subclassed one only one box is known.
        to_file: ends in ".svg", or with the extra `graphc[plot]` in ".png"; None writes no file.
        show_shapes, show_dtype, show_layer_activations, show_trainable: further lines in the boxes; boxes of
            frozen layers are dashed.
        show_layer_names: whether the boxes name the layers besides their classes.
        rankdir: "TB" from top to bottom, "LR" from left to right.
        expand_nested: draw models that are used as layers inside of their boxes.
        dpi: dots per inch of a PNG.

    Returns:
        The picture, which notebooks show; `.svg` is its text.

    Raises:
        ArgumentError: another file type, or another direction.
        MissingPackageError: a PNG is wanted, but CairoSVG is not installed.

    >>> import graphc
    >>> model = graphc.Sequential([graphc.Input((3,)), graphc.layers.Dense(2, name="head")])
    >>> "head (Dense)" in plot_model(model, to_file=None).svg
    True
    """
    if rankdir not in ("TB", "LR"):
        raise ArgumentError(f"rankdir must be 'TB' or 'LR', not {rankdir!r}")
    shown = Shown(
        show_layer_names, show_shapes, show_dtype, show_layer_activations, show_trainable, expand_nested
    )
    picture = Picture(render(diagram(model, shown), sideways=rankdir == "LR"))
    if to_file is not None:
        picture.save(to_file, dpi)
    return picture
