"""`tune=True`: what the sizes of a product leave open is measured, in the step itself, at its first call.

tuned(program, weights, inputs, sizes) -> the program with the quickest choices for these sizes

Whether operands lie in a cache when a product begins decides between drivers (`kernels/strategy.POLICIES`),
and follows from the whole step, not from the product. So the step is compiled once for each policy of the
products for which it makes a difference, and their kernels are timed where they are, in turns. The choices
are kept in one entry of the object cache, a table for this CPU by graph, options and sizes: the next process
measures nothing. No choice changes a bit of a result.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import replace

from graphc.codegen import cache
from graphc.codegen.choices import Choices, from_text, to_text
from graphc.codegen.custom import uses_custom
from graphc.codegen.kernels.strategy import CLOSE, POLICIES, strategy
from graphc.codegen.loops import Kernel, Product, is_matrix_product
from graphc.codegen.meter import Meter
from graphc.codegen.native import NativeProgram
from graphc.codegen.object_cache import key_parts
from graphc.codegen.program import Arrays
from graphc.codegen.signature import Sizes
from graphc.codegen.target import Target
from graphc.ir import dims
from graphc.passes.log import log

SECONDS, LEAST_ROUNDS, MOST_ROUNDS = 1.0, 5, 200
"""How long programs are timed, and how often at least and at most."""
MARGIN = 0.97
"""The share of its time that a product must need at most with a policy for that to be chosen."""
MOST_GRAPHS = 1000
"""Graphs that the table has at most; the oldest leave it."""
_LOCK = threading.Lock()


def tuned(program: NativeProgram, weights: Arrays, inputs: Arrays, sizes: Sizes) -> NativeProgram:
    """A program with the choices that are quickest for these sizes; weights and inputs stay as they are."""
    key = _key(program, sizes)
    choices = remembered(program.target).get(key)
    if choices is None:
        choices = measured(program, weights, inputs, sizes)
        if key:
            remember(program.target, key, choices)
    name = program.pipeline.traced.name
    log("compile", f"@{name} is tuned for {sizes}: {len(choices)} choices {to_text(choices)}")
    if not choices:
        return program
    return NativeProgram(program.pipeline, program.options, program.passed, choices)


# -- measuring -----------------------------------------------------------------------------------------------
def measured(program: NativeProgram, weights: Arrays, inputs: Arrays, sizes: Sizes) -> Choices:
    """The policies that are clearly quicker than none."""
    own = program.with_own_names()
    asked = [k.number for k in own.lowered.kernels if is_open(k.kernel, own.target, sizes)]
    if not asked:
        return {}
    options, meters = replace(own.options, cache=False), []
    for policy in POLICIES:
        variant = NativeProgram(own.pipeline, options, own.passed, dict.fromkeys(asked, policy))
        meters.append(Meter(variant, weights, inputs, sizes))
    start, rounds = time.perf_counter(), 0
    while rounds < LEAST_ROUNDS or (rounds < MOST_ROUNDS and time.perf_counter() - start < SECONDS):
        rounds += 1
        for meter in meters:
            meter.look()
    times = zip(*(meter.seconds(asked) for meter in meters), strict=True)
    best = {number: quickest(dict(zip(POLICIES, seconds))) for number, seconds in zip(asked, times)}
    return {number: policy for number, policy in best.items() if policy}


def quickest(seconds: Mapping[str, float]) -> str:
    """The policy that takes least; none unless another is clearly quicker.

    >>> quickest({"": 1.0, ".near": 0.99}), quickest({"": 1.0, ".near": 0.8})
    ('', '.near')
    """
    best = min(seconds, key=lambda policy: seconds[policy])
    return best if seconds[best] < MARGIN * seconds[""] else ""


def is_open(kernel: Kernel, target: Target, sizes: Sizes) -> bool:
    """Whether policies choose different drivers for the kernel's product."""
    return any(_drivers_differ(part, target, sizes) for part in kernel.parts if is_matrix_product(part))


def _drivers_differ(p: Product, target: Target, sizes: Sizes) -> bool:
    """As `kernels/product.py` chooses: with few rows, b is streamed or read in place; with few columns, a is
    packed or read in place.
    """
    if not p.dtype.is_floating:
        return False
    s = strategy(p.dtype.name, target)
    m, n, k = (dims.evaluate(d, sizes) for d in (p.m, p.n, p.k))
    if m <= s.few_rows:
        return m > 1 and p.b.column == 1 and k * n * s.t.size > CLOSE
    return s.width < n <= 4 * s.width and m * k * s.t.size > 2 * CLOSE


# -- the table -----------------------------------------------------------------------------------------------
def _key(program: NativeProgram, sizes: Sizes) -> str:
    """What choices belong to; nothing if they are not to be kept."""
    if not program.options.cache or uses_custom(program.pipeline.traced):
        return ""
    parts = key_parts(program.pipeline.traced, program.options, program.target)
    return cache.key_of(program.target, "choices", json.dumps([parts, sizes, program.passed]))


def _table_key(target: Target) -> str:
    return cache.key_of(target, "table of choices")


def remembered(target: Target) -> dict[str, Choices]:
    """The table of this CPU: choices by graph, options and sizes. A table that can't be read is none."""
    store = cache.default()
    entry = store.get(_table_key(target))
    try:
        found = json.loads(entry.sections["choices"]) if entry is not None else {}
        return {key: from_text(text) for key, text in found.items()}
    except (KeyError, ValueError, TypeError, AttributeError):
        store.counters.count("damaged")
        return {}


def remember(target: Target, key: str, choices: Choices) -> None:
    """Add to the table."""
    with _LOCK:
        found = remembered(target) | {key: choices}
        kept = {k: to_text(found[k]) for k in [*found][-MOST_GRAPHS:]}
        entry = cache.Entry({"choices": json.dumps(kept).encode()})
        cache.default().put(_table_key(target), entry)
