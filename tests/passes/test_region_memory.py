"""Memory plans of loops and branches: what they say, and that broken ones are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from graphc import passes
from graphc.ir import Graph, parse
from graphc.ir.errors import VerifyError
from graphc.passes.infer import infer
from graphc.passes.memory import plan
from graphc.passes.plan import Carry, ControlPlan, Copy, Plan
from graphc.passes.plan_check import check_plan

LOOP = """\
graph @f(%a: f64[3], %b: f64[3], %c: f64[3], %d: f64[3], %xs: f64[T, 3], %p: bool[])
{
  %a2, %b2, %c2, %d2, %ys, %zs, %us = scan %a, %b, %c, %d, %xs {carries = 4, scanned = 1, length = T} (
    %over, %swap, %old, %follow, %x) {
    %half = multiply %over, %x
    %turned = reverse %swap {axes = (0,)}
    %next = add %turned, %x
    %new = sin %old
    %turned.1 = reverse %follow {axes = (0,)}
    %piece = add %turned.1, %half
    return %half, %next, %new, %piece, %piece, %old, %x
  }
  %e = cond %p, %a2, %b2 (%u, %v) {
    %w = add %u, %v
    return %w
  } (%u, %v) {
    return %u
  }
  return %e, %b2, %c2, %d2, %ys, %zs, %us
}"""
WHILE = """\
graph @f(%n: i64[], %x: f64[4])
{
  %end, %y = while %n, %x {carries = 2} (%a, %c) {
    %one = constant {value = 1, dtype = i64}
    %more = greater %a, %one
    return %more
  } (%a, %c) {
    %one = constant {value = 1, dtype = i64}
    %less = subtract %a, %one
    %d = reverse %c {axes = (0,)}
    return %less, %d
  }
  return %end, %y
}"""
SIZES = {"T": 5}


def final(text: str) -> Graph:
    return passes.run(infer(parse(text)))


def the_loop(memory: Plan) -> tuple[int, ControlPlan]:
    return next((step, c) for step, c in memory.controls.items() if c.carries)


def changed(memory: Plan, change: Callable[[ControlPlan], ControlPlan]) -> Plan:
    step, control = the_loop(memory)
    return replace(memory, controls={**memory.controls, step: change(control)})


def with_carry(k: int, **values: object) -> Callable[[ControlPlan], ControlPlan]:
    def change(control: ControlPlan) -> ControlPlan:
        carries = list(control.carries)
        carries[k] = replace(carries[k], **values)
        return replace(control, carries=tuple(carries))

    return change


def test_each_carry_has_its_way() -> None:
    graph = final(LOOP)
    memory = plan(graph)
    _, control = the_loop(memory)
    assert [c.way for c in control.carries] == ["over", "swap", "history", "follows"]
    assert [len(r.copies) for r in control.regions] == [1]  # what is scanned is a piece as well
    check_plan(graph, memory, SIZES)
    assert Plan.from_json(memory.to_json()) == memory


def test_a_branch_copies_what_it_only_hands_on() -> None:
    memory = plan(final(LOOP))
    cond = next(c for c in memory.controls.values() if not c.carries)
    assert [len(r.copies) for r in cond.regions] == [0, 1]


COND = """\
graph @f(%p: bool[], %x: f64[3], %y: f64[3])
{
  %state = sin %x
  %new, %other = cond %p, %state, %y (%s, %t) {
    %a = multiply %s, %t
    %b = cos %t
    return %a, %b
  } (%s, %t) {
    return %s, %t
  }
  %sum = add %new, %other
  %turned = reverse %sum {axes = (0,)}
  %out = add %turned, %new
  return %out
}"""


def test_a_branch_leaves_a_value_where_it_is() -> None:
    graph = final(COND)
    memory = plan(graph)
    (control,) = memory.controls.values()
    assert memory.places["new"] == memory.places["state"]
    assert [len(r.copies) for r in control.regions] == [0, 1]
    check_plan(graph, memory, {})


@pytest.mark.parametrize("late", ["%b = cos %s", "%b = add %a, %s"])
def test_a_branch_that_reads_a_value_again_does_not_overwrite_it(late: str) -> None:
    text = COND.replace("%a = multiply %s, %t", "%a = reverse %s {axes = (0,)}").replace("%b = cos %t", late)
    graph = final(text)
    memory = plan(graph)
    assert memory.places["new"] != memory.places["state"]
    check_plan(graph, memory, {})


def test_a_while_and_its_condition() -> None:
    graph = final(WHILE)
    memory = plan(graph)
    _, control = the_loop(memory)
    assert [c.way for c in control.carries] == ["over", "swap"]
    assert control.regions[0].places["a"] == control.regions[1].places["a"]
    check_plan(graph, memory, {})


def swapped_slots(control: ControlPlan) -> ControlPlan:
    first, *rest = control.carries
    over = Carry("over", rest[0].first, rest[0].home, rest[0].home, rest[0].home)
    places = dict(control.regions[0].places) | {"swap": rest[0].home, "next": rest[0].home}
    region = replace(control.regions[0], places=places)
    return replace(control, carries=(first, over, *rest[1:]), regions=(region,))


BROKEN: dict[str, Callable[[ControlPlan], ControlPlan]] = {
    "a reversed value is written over itself": swapped_slots,
    "the spare buffer is the home": lambda c: with_carry(1, spare=c.carries[1].home)(c),
    "a carry begins with another's value": lambda c: with_carry(0, first=c.carries[1].first)(c),
    "a carry ends elsewhere": lambda c: with_carry(3, home=c.carries[1].home)(c),
    "a history in the wrong piece": lambda c: with_carry(2, piece=0)(c),
    "no copy": lambda c: replace(c, regions=(replace(c.regions[0], copies=()),)),
    "a copy too many": lambda c: replace(
        c, regions=(replace(c.regions[0], copies=(Copy(c.scanned[0].moved, c.carries[0].home),)),)
    ),
    "pieces exchanged": lambda c: replace(c, pieces=(c.pieces[1], c.pieces[0], c.pieces[2])),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_plans_are_found(case: str) -> None:
    graph = final(LOOP)
    memory = changed(plan(graph), BROKEN[case])
    with pytest.raises(VerifyError, match="memory plan: "):
        check_plan(graph, memory, SIZES)


def test_a_buffer_that_dies_within_a_turn_is_found() -> None:
    graph = final(WHILE)
    memory = plan(graph)
    step, control = the_loop(memory)
    spare = control.carries[1].spare
    slots = list(memory.slots)
    slots[spare] = replace(slots[spare], last=step + 1)
    with pytest.raises(VerifyError, match=f"slot {spare} is used at step"):
        check_plan(graph, replace(memory, slots=tuple(slots)), {})
