"""The measured peak: its levels, and the least time of some work."""

import pytest

from graphc.codegen.peak import SIZES, Peak, peak

MADE = Peak({"f32": 100e9, "f64": 50e9}, {"L2": 80e9, "L3": 40e9, "memory": 20e9})


def test_levels_by_size():
    assert [MADE.level(n) for n in (0, 128 << 10, (128 << 10) + 1, 5 << 20, 1 << 40)] == [
        "L2",
        "L2",
        "L3",
        "memory",
        "memory",
    ]


def test_the_roof_is_what_takes_longer():
    assert MADE.roof(100e9, 0) == pytest.approx(1.0)
    assert MADE.roof(100e9, 0, "f64") == pytest.approx(2.0)
    assert MADE.roof(100e9, 0, cores=2) == pytest.approx(0.5)
    assert MADE.roof(1.0, 80_000) == pytest.approx(1e-6)
    assert MADE.roof(1.0, 200 << 20) == pytest.approx((200 << 20) / 20e9)
    assert MADE.roof(0, 0) == 0.0


def test_measured():
    found = peak()
    assert found is peak()
    assert set(found.reading) == set(SIZES)
    assert found.memory == found.reading["memory"]
    assert min(found.flops["f32"], found.flops["f64"], *found.reading.values()) > 1e8
