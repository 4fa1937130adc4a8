"""Making graphs: names, weak numbers, constants, places, errors."""

import numpy as np
import pytest

from graphc.ir import Builder, Location, symbol, tensor
from graphc.ir.errors import ArgumentError, DTypeError, ShapeError


def test_numbers_take_the_type_of_what_they_meet():
    b = Builder()
    x, i, p = b.input("x", tensor("f64", 3)), b.input("i", tensor("u8", 3)), b.input("p", tensor("bool", 3))
    assert (x * 2).dtype.name == "f64"
    assert (2 - x).dtype.name == "f64"
    assert (i + 1).dtype.name == "u8"
    assert b.select(p, x, 0).dtype.name == "f64"
    assert b.select(p, p, True).dtype.name == "bool"
    assert (x / symbol("B")).dtype.name == "f64"
    with pytest.raises(DTypeError, match=r"the constant 0\.5 does not fit the element type u8"):
        i * 0.5
    with pytest.raises(DTypeError, match=r"needs equal element types, got f64\[3\] and f32\[\]"):
        x + np.float32(1)


def test_the_kind_of_a_lone_number_decides():
    b = Builder()
    assert [b.constant(v).dtype.name for v in (True, 3, 2.5, np.int8(1), np.ones(2))] == [
        "bool", "i64", "f32", "i8", "f64"
    ]  # fmt: skip
    assert b.constant(symbol("B") + 1).dtype.name == "i64"


def test_names_come_from_ops_and_stay_unique():
    b = Builder()
    x = b.input("x", tensor("f32"))
    names = [b.exp(x).value.name, b.exp(x).value.name, b.op("exp", x, name="x").value.name]
    assert names == ["exp", "exp.1", "x.1"]


def test_attributes_are_stored_in_one_form():
    b = Builder()
    x = b.input("x", tensor("f32", 3, 2))
    node = b.transpose(x, axes=[np.int64(1), 0]).builder.nodes[-1]
    assert dict(node.attrs) == {"axes": (1, 0)}
    assert all(type(a) is int for a in node.attrs["axes"])
    b.cast(x, dtype=np.float64)
    assert b.nodes[-1].attrs["dtype"].name == "f64"
    b.matmul(x, x, transpose_b=True)
    assert dict(b.nodes[-1].attrs) == {"transpose_a": False, "transpose_b": True}


def test_errors_name_the_op_and_the_place():
    b = Builder()
    x = b.input("x", tensor("f32", 3))
    with b.at(Location("train.py", 31, "head")), pytest.raises(ShapeError) as e:
        b.concatenate(x, b.constant(np.ones((2, 2), np.float32)), axis=0)
    assert str(e.value) == "concatenate: can't concatenate f32[3] and f32[2, 2]\n  at train.py:31 'head'"
    with pytest.raises(ArgumentError, match="there is no op 'matmull'; did you mean matmul"):
        b.matmull(x, x)


def test_an_update_must_have_the_type_of_its_weight():
    b = Builder()
    w = b.weight("w", tensor("f32", 3))
    with pytest.raises(
        ArgumentError, match=r"can't update %w: f32\[3\] with %exp: f32\[\]: the types differ"
    ):
        b.update(w, b.exp(b.constant(1.0)))
    b.update(w, w + 1)
    b.update(w, w + 2)
    (update,) = b.build().updates
    assert update.new.name == "add.1"


def test_sizes_that_can_not_be_proved_equal_are_required():
    b = Builder()
    x, y = b.input("x", tensor("f32", "B", 3)), b.input("y", tensor("f32", "C", 3))
    z = x + y
    assert z.shape == (symbol("B"), 3)
    (requirement,) = b.build().requirements
    assert (requirement.left, requirement.right) == (symbol("B"), symbol("C"))
    with pytest.raises(ShapeError, match=r"the shapes \(B, 3\) and \(4\) can't be broadcast together"):
        x + b.constant(np.ones(4, np.float32))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda b, x: b.sum(x, axes=(0,), axis=0),
            "sum: got an unexpected keyword argument 'axis'; its attributes are axes, keepdims",
        ),
        (
            lambda b, x: b.sum(x),
            "sum: missing a required argument: 'axes'; its attributes are axes, keepdims",
        ),
        (
            lambda b, x: b.matmul(x),
            "matmul: missing a required argument: 'y'; its attributes are transpose_a, transpose_b",
        ),
        (
            lambda b, x: b.transpose(x, x, axes=(0,)),
            "transpose: too many positional arguments; its attributes are axes",
        ),
        (lambda b, x: b.exp(x, x), "exp: takes 1 operand, got 2"),
    ],
)
def test_calls_with_wrong_arguments(call, message):
    b = Builder()
    with pytest.raises(ArgumentError) as e:
        call(b, b.input("x", tensor("f32", 3)))
    assert str(e.value) == message
