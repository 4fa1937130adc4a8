"""Write one LLVM function as text: names, loops with carried values, conditions, vectors, masks.

    f = Function("scale", "ptr %x, i64 %n")
    with f.loop("0", "%n", 1) as loop:
        p = f.at("float", "%x", loop.i)             # &x[i]
        f.store("float", f(f"fmul float {f.load('float', p)}, 2.0"), p)
    text = f.text()

`f(...)` writes an instruction and gives the name of its result; `f.do(...)` writes one without a result.
Operands are text: a name ("%n") or a literal ("4"); integers are taken as well. What a function consists of
stands in `lines`, `integers` and `flow`; here are memory and vectors. Everything works for one lane as for
many (`Element`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphc.codegen.element import Element, splat
from graphc.codegen.flow import Carried, Flow
from graphc.codegen.lines import Operand, literal

__all__ = ["Carried", "Function", "Operand"]


class Function(Flow):
    """The text of one function, built instruction by instruction.

    >>> f = Function("three", "", ret="i64")
    >>> print(f.text(f"i64 {f.add('%x', f.mul(1, 2))}"))
    define i64 @three() #0 {
    entry:
      %t1 = add i64 %x, 2
      ret i64 %t1
    }
    """

    # -- addresses and memory: `tag` is metadata such as ", !alias.scope !1" ---------------------------------
    def at(self, ty: str, base: str, index: Operand) -> str:
        """The address of element `index` of an array of `ty` at `base`."""
        return base if literal(index) == 0 else self(f"getelementptr inbounds {ty}, ptr {base}, i64 {index}")

    def load(self, ty: str, p: str, align: int | None = None, tag: str = "") -> str:
        """Load one value of an LLVM type."""
        return self(f"load {ty}, ptr {p}" + (f", align {align}" if align else "") + tag)

    def store(self, ty: str, v: str, p: str, align: int | None = None, tag: str = "") -> None:
        """Store one value of an LLVM type."""
        self.do(f"store {ty} {v}, ptr {p}" + (f", align {align}" if align else "") + tag)

    def vload(
        self, t: Element, p: str, mask: str | None = None, tag: str = "", fill: str | None = None
    ) -> str:
        """Load `t.lanes` neighbours; lanes that the mask leaves out are not read, and are `fill` (default
        zeros) in the result.
        """
        if mask is None:
            return self.from_memory(t, self(f"load {t.memory}, ptr {p}, align {t.size}{tag}"))
        s = self._memory_element(t)
        rest = "zeroinitializer" if fill is None else self.to_memory(t, fill)
        vec, mask, rest = self._widen(s, mask, rest)
        where = f"ptr align {t.size} {p}, <{t.lanes} x i1> {mask}"
        call = f"call {vec} @llvm.masked.load.{_vector_suffix(s)}.p0({where}, {vec} {rest}){tag}"
        return self.from_memory(t, self._narrow(s, self(call)))

    def vstore(self, t: Element, v: str, p: str, mask: str | None = None, tag: str = "") -> None:
        """Store `t.lanes` neighbours; nothing is written where the mask is false."""
        v = self.to_memory(t, v)
        if mask is None:
            self.do(f"store {t.memory} {v}, ptr {p}, align {t.size}{tag}")
            return
        s = self._memory_element(t)
        vec, mask, v = self._widen(s, mask, v)
        where = f"ptr align {t.size} {p}, <{t.lanes} x i1> {mask}"
        self.do(f"call void @llvm.masked.store.{_vector_suffix(s)}.p0({vec} {v}, {where}){tag}")

    def gather(self, t: Element, base: str, indices: str, mask: str | None = None, tag: str = "") -> str:
        """Load base[indices] for i64 indices, one per lane; masked lanes are not read and give zero."""
        if t.lanes == 1:
            return self.vload(t, self.at(t.stored, base, indices), mask, tag)
        pointers = self(f"getelementptr inbounds {t.stored}, ptr {base}, {t.of('i64')} {indices}")
        s, every = self._memory_element(t), "<" + ", ".join(["i1 true"] * t.lanes) + ">"
        where = f"{t.of('ptr')} align {t.size} {pointers}, {t.mask} {mask or every}"
        name = f"@llvm.masked.gather.{s.suffix}.v{t.lanes}p0"
        return self.from_memory(t, self(f"call {s.vec} {name}({where}, {s.vec} zeroinitializer){tag}"))

    def from_memory(self, t: Element, v: str) -> str:
        """What a loaded value is in registers: the byte of a bool becomes a truth value."""
        return v if t.kind != "b" else self(f"icmp ne {t.memory} {v}, {splat(self._memory_element(t), 0)}")

    def to_memory(self, t: Element, v: str) -> str:
        """What is stored for a value in registers: a truth value becomes the byte 0 or 1."""
        return v if t.kind != "b" else self(f"zext {t.vec} {v} to {t.memory}")

    @staticmethod
    def _memory_element(t: Element) -> Element:
        return Element("i8", t.lanes) if t.kind == "b" else t

    def _widen(self, t: Element, mask: str, v: str) -> tuple[str, str, str]:
        """Type, mask and value for a masked access: those of one lane become vectors of one."""
        if t.lanes > 1:
            return t.vec, mask, v
        vec = f"<1 x {t.name}>"
        mask = self(f"insertelement <1 x i1> poison, i1 {mask}, i64 0")
        return (
            vec,
            mask,
            v if v == "zeroinitializer" else self(f"insertelement {vec} poison, {t.name} {v}, i64 0"),
        )

    def _narrow(self, t: Element, v: str) -> str:
        return v if t.lanes > 1 else self(f"extractelement <1 x {t.name}> {v}, i64 0")

    def prefetch(self, p: str, locality: int = 3, write: bool = False) -> None:
        """Fetch the cache line at `p`, for reading or for writing; locality 3 is every level of cache, 2 is
        L2 and beyond.
        """
        self.do(f"call void @llvm.prefetch.p0(ptr {p}, i32 {int(write)}, i32 {locality}, i32 1)")

    # -- vectors ---------------------------------------------------------------------------------------------
    def broadcast(self, t: Element, x: str) -> str:
        """One value in every lane."""
        if t.lanes == 1:
            return x
        one = self(f"insertelement {t.vec} poison, {t.name} {x}, i64 0")
        return self(f"shufflevector {t.vec} {one}, {t.vec} poison, <{t.lanes} x i32> zeroinitializer")

    def lane_numbers(self, t: Element, start: Operand = 0) -> str:
        """start, start + 1, ... as i64, one per lane."""
        index = Element("i64", t.lanes)
        if t.lanes == 1:
            return str(start)
        ids = "<" + ", ".join(f"i64 {i}" for i in range(t.lanes)) + ">"
        return (
            ids
            if literal(start) == 0
            else self(f"add {index.vec} {self.broadcast(index, str(start))}, {ids}")
        )

    def lanes_below(self, t: Element, n: Operand) -> str:
        """The mask of the lanes whose number is below the i64 n, which may be negative or large."""
        if t.lanes == 1:
            return self(f"icmp sgt i64 {n}, 0")
        i = Element("i64" if t.size == 8 else "i32", t.lanes)
        low = self.minimum(n, t.lanes)
        low = low if i.name == "i64" else self(f"trunc i64 {self.maximum(low, 0)} to i32")
        ids = "<" + ", ".join(f"{i.name} {k}" for k in range(t.lanes)) + ">"
        return self(f"icmp sgt {i.vec} {self.broadcast(i, low)}, {ids}")

    def fma(self, t: Element, a: str, b: str, c: str) -> str:
        """a * b + c: one rounding where the CPU can, else two. For graphc's own formulas, never for a
        user's arithmetic.
        """
        return self(f"call {t.vec} @llvm.fmuladd.{t.suffix}({t.vec} {a}, {t.vec} {b}, {t.vec} {c})")

    def shuffle(self, t: Element, a: str, b: str, picks: Sequence[int]) -> str:
        """The lanes `picks` of a and b, where b's lanes are numbered after a's."""
        numbers = ", ".join(f"i32 {i}" for i in picks)
        return self(f"shufflevector {t.vec} {a}, {t.vec} {b}, <{len(picks)} x i32> <{numbers}>")

    # -- loops of vectors ------------------------------------------------------------------------------------
    def vector_loop(
        self,
        n: Operand,
        lanes: int,
        body: Callable[[str, int, str | None, list[str]], list[str]],
        masked: bool,
        carry: Carried = (),
        tail_carry: Callable[[list[str]], Carried] | None = None,
    ) -> list[str]:
        """A loop over 0..n in steps of `lanes` whose tail is peeled off, as one masked turn or as single
        elements.

        `body(i, lanes, mask, values)` writes one turn and returns the next carried values; `mask` is None
        for full turns. With `masked` the tail is one turn with a mask (a reduction must put its neutral
        element into masked lanes). Without, `body` is called with one lane, and `tail_carry` turns the
        vector accumulators of the main loop to the scalar ones of the tail. Returns the final carried
        values.
        """
        main = (
            self(f"and i64 {n}, {-lanes}") if lanes & (lanes - 1) == 0 else self.sub(n, self.urem(n, lanes))
        )
        with self.loop(0, main, lanes, carry) as l:
            l.next = body(l.i, lanes, None, l.values)
        values: Carried = [(ty, v) for (ty, _), v in zip(carry, l.results)]
        if lanes == 1:
            return l.results
        if masked:
            with self.when(self.less(main, n), values) as w:
                mask = self.lanes_below(Element("i32", lanes), self.sub(n, main))
                w.next = body(main, lanes, mask, [v for _, v in values])
            return w.results
        values = tail_carry(l.results) if tail_carry else values
        with self.loop(main, n, 1, values) as rest:
            rest.next = body(rest.i, 1, None, rest.values)
        return rest.results


def _vector_suffix(t: Element) -> str:
    return t.suffix if t.lanes > 1 else f"v1{t.suffix}"
