"""The table of layers, against recorded tables of Keras 2 (each byte, trailing blanks included)."""

import re
from pathlib import Path

import pytest

from graphc.ir.errors import ArgumentError
from graphc.summary import Summary, SummaryRow, print_summary, render_classic, render_rich

GOLDEN = Path(__file__).parents[1] / "golden" / "summaries"

CUT_CLASSES = {
    "max_pooling2d_1": "MaxPooling2D",
    "global_max_pooling2d": "GlobalMaxPooling2D",
    "global_average_pooling2d": "GlobalAveragePooling2D",
    "conv2d_transpose": "Conv2DTranspose",
    "conv2d_transpose_1": "Conv2DTranspose",
    "conv2d_transpose_2": "Conv2DTranspose",
    "conv2d_transpose_3": "Conv2DTranspose",
}


def parse(text):
    """The summary that a recorded table shows; class names cut off there come from `CUT_CLASSES`."""
    lines = text.splitlines()
    branched = "Connected to" in lines[2]
    rows = []
    for line in lines[4:]:
        if line.startswith("="):
            break
        if line.startswith("_"):
            continue
        if line.startswith(" "):
            rows[-1]["connected_to"].append(line.strip())
            continue
        name, class_name, shape, params, source = re.fullmatch(
            r"(\w+) \((\w+)\)? +(\[?\([^)]*\)\]?) +(\d+) +(\S*) *", line
        ).groups()
        rows.append(
            {
                "name": name,
                "class_name": CUT_CLASSES.get(name, class_name),
                "output_shape": shape,
                "params": int(params),
                "connected_to": [source] if source else [],
            }
        )
    counts = [int(line.split(": ")[1].replace(",", "")) for line in lines if " params: " in line]
    name = re.fullmatch('Model: "(.*)"', lines[0]).group(1)
    return Summary(name, [SummaryRow(**row) for row in rows], counts[1], counts[2], branched)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.txt")), ids=lambda path: path.stem)
def test_recorded_tables_byte_for_byte(path):
    text = path.read_text()
    summary = parse(text)
    assert len(summary.rows) >= 7
    assert "\n".join(render_classic(summary)) + "\n" == text


def test_all_recorded_tables_are_there():
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {"encoder", "autoencoder", "seq_cnn", "residual"}


NET = Summary(
    "outer",
    [
        SummaryRow("input_1", "InputLayer", "[(None, 4)]", 0),
        SummaryRow(
            "inner",
            "Functional",
            "(None, 2)",
            10,
            ["input_1[0][0]"],
            nested=[
                SummaryRow("input_2", "InputLayer", "[(None, 4)]", 0),
                SummaryRow("dense", "Dense", "(None, 2)", 10, ["input_2[0][0]"], trainable=False),
            ],
        ),
        SummaryRow("add", "Add", "(None, 2)", 0, ["inner[0][0]", "inner[1][0]"]),
    ],
    0,
    12345,
    branched=True,
)


NESTED = """\
Model: "outer"
_______________________________________________________________________
Layer (type)       Output Shape  Param  Connected to        Trainable~~
=======================================================================
input_1 (InputLaye [(None, 4)]   0                          Y~~~~~~~~~~
_______________________________________________________________________
inner (Functional) (None, 2)     10     input_1[0][0]       Y~~~~~~~~~~
|¯|
| input_2 (InputLa [(None, 4)]   0                          Y         |
|_____________________________________________________________________|
| dense (Dense)    (None, 2)     10     input_2[0][0]       N         |
|¯|
_______________________________________________________________________
add (Add)          (None, 2)     0      inner[0][0]         Y~~~~~~~~~~
                                        inner[1][0]~~~~~~~~~~~~~~~~~~~~
=======================================================================
Total params: 12,345
Trainable params: 0
Non-trainable params: 12,345
_______________________________________________________________________
"""  # a tilde is a trailing blank, and the overline is as wide as the table


def test_nested_rows_and_trainable_column():
    lines = render_classic(NET, line_length=60, expand_nested=True, show_trainable=True)
    assert lines == NESTED.replace("~", " ").replace("¯", "¯" * 69).splitlines()
    assert "|" not in "".join(render_classic(NET))


def test_only_the_first_line_names_the_layer():
    rows = [line for line in render_classic(NET) if "inner[" in line]
    assert rows[0].split() == ["add", "(Add)", "(None,", "2)", "0", "inner[0][0]"]
    assert rows[1].split() == ["inner[1][0]"]
    assert rows[1].index("inner") == rows[0].index("inner")


def test_positions_and_line_length():
    plain = Summary("m", [SummaryRow("dense", "Dense", "(None, 10)", 7850)], 7850, 0)
    by_share = render_classic(plain, line_length=50, positions=[0.4, 0.8, 1.0])
    assert by_share == render_classic(plain, line_length=50, positions=[20, 40, 50])
    assert by_share[4] == "dense (Dense)       (None, 10)          7850      "
    narrow = render_classic(plain, positions=[8, 14, 20])
    assert narrow[4] == "dense ( (None 7850  "
    with pytest.raises(ArgumentError, match="positions should have 3 numbers, one per column, not 2"):
        render_classic(plain, positions=[0.5, 1.0])


def test_print_fn_gets_one_line_at_a_time(capsys):
    lines = []
    print_summary(NET, print_fn=lines.append)
    assert lines == render_classic(NET)
    print_summary(NET)
    assert capsys.readouterr().out.splitlines() == lines


def test_unused_layers_and_empty_models():
    row = SummaryRow("dense", "Dense", "?", "0 (unused)")
    assert render_classic(Summary("m", [row], 0, 0))[4].split() == ["dense", "(Dense)", "?", "0", "(unused)"]
    assert len(render_classic(Summary("m", [], 0, 0))) == 9


def test_rich_table():
    lines = render_rich(NET, line_length=90, expand_nested=True, show_trainable=True)
    text = "\n".join(lines)
    for words in ('Model: "outer"', "[(None, 4)]", "  dense (Dense)", "inner[1][0]", "params: 12,345", "╭"):
        assert words in text
    assert "\x1b" not in text
    assert max(map(len, lines)) <= 90


def test_unknown_style():
    with pytest.raises(ArgumentError, match="style should be 'keras2' or 'rich', not 'html'"):
        print_summary(NET, style="html")
