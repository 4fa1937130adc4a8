"""Instructions of the loop-nest form as LLVM text (`emit_memory`: loads and stores)."""

from __future__ import annotations

from collections.abc import Iterable

from graphc.codegen import primitives
from graphc.codegen.element import Element, const, splat
from graphc.codegen.emit_memory import Memory
from graphc.codegen.emit_scope import Scalar
from graphc.codegen.loops import Check, Compute, Constant, Index, Instruction, Load, Store
from graphc.ir.dims import Size


class Body(Memory):
    """Writes instructions; what they compute is known to those behind them."""

    def run(self, code: Iterable[Instruction]) -> None:
        """Write instructions that are no folds."""
        for i in code:
            self.step(i)

    def step(self, i: Instruction) -> None:
        """Write one instruction."""
        match i:
            case Constant():
                self.values[i.result] = self._constant(i)
            case Index():
                self.values[i.result] = self._index(i.axis)
            case Load():
                self.values[i.result] = self.load(i)
            case Compute():
                self.values[i.result] = self._compute(i)
            case Store():
                self.store(i)
            case Check():
                self._check(i)

    def _constant(self, i: Constant) -> Scalar:
        t = Element(i.dtype.name, 1)
        if isinstance(i.value, Size):
            size = self.frame.size(i.value)
            return Scalar(t.dtype, (primitives.cast(self.f, Element("i64", 1), t, str(size)),))
        return Scalar(t.dtype, (const(t, i.value),), literal=i.value)

    def _index(self, axis: str) -> Scalar:
        if axis in self.counts:
            return Scalar("i64", (str(self.counts[axis]),))
        return Scalar("i64", tuple(self.lane_numbers()), True, counts=True)

    def _compute(self, i: Compute) -> Scalar:
        args = [self.values[a] for a in i.args]
        if not any(a.varying for a in args):
            return Scalar(i.dtype.name, (self._apply(i, 1, [a.parts[0] for a in args]),))
        if i.op == "cast" and args[0].counts and i.dtype.bits == 32 and i.dtype.is_integer:
            return Scalar(i.dtype.name, tuple(self.lane_numbers(dtype=i.dtype.name)), True)
        lists = [self.vectors(a) for a in args]
        width = self.lanes.lanes
        parts = tuple(self._apply(i, width, list(xs)) for xs in zip(*lists))
        shared = int(args[1].literal or 0) if i.op == "index_divide" and args[0].counts else 0
        return Scalar(i.dtype.name, parts, True, width=shared)

    def _apply(self, i: Compute, lanes: int, args: list[str]) -> str:
        types = [Element(self.values[a].dtype, lanes) for a in i.args]
        if i.op == "cast":
            return primitives.cast(self.f, types[0], Element(i.dtype.name, lanes), args[0])
        if i.op == "select":
            # LLVM would make a masked store of what chooses between memory and a constant: slow where a mask
            # is no register of its own. It does not see the load behind a freeze.
            x, y = (self.f(f"freeze {t.vec} {a}") if a[0] == "%" else a for t, a in zip(types[1:], args[1:]))
            return primitives.select(self.f, types[1], args[0], x, y)
        if i.op in ("shift_left", "shift_right"):
            amount = self.values[i.args[1]].literal
            if amount is not None and 0 <= amount < types[0].bits:
                return primitives.shift(self.f, types[0], args[0], args[1], i.op == "shift_left")
        return primitives.emit(self.f, i.op, types[0], args)

    def _check(self, i: Check) -> None:
        x = self.values[i.condition]
        status = f"i64 {i.code}"
        if not x.varying:
            self.f.give_up(self.f(f"xor i1 {x.parts[0]}, true"), status)
            return
        t = self.element("bool")
        for u, holds in enumerate(x.parts):
            fails = self.f(f"xor {t.mask} {holds}, {splat(t, True)}")
            mask = self.mask(u)
            fails = fails if mask is None else self.f(f"and {t.mask} {fails}, {mask}")
            some = self.f(f"call i1 @llvm.vector.reduce.or.{t.suffix}({t.mask} {fails})")
            self.f.give_up(some, status)
