"""Write one LLVM function as text: names, loops with carried values, conditions, vectors, masks.

    f = Function("scale", "ptr %x, i64 %n")
    with f.loop("0", "%n", 1) as loop:
        p = f.at("float", "%x", loop.i)             # &x[i]
        f.store("float", f(f"fmul float {f.load('float', p)}, 2.0"), p)
    text = f.text()

`f(...)` writes an instruction and gives the name of its result; `f.do(...)` writes one without a result.
Operands are text: a name ("%n") or a literal ("4"); integers are taken as well. Loops are written in
rotated form (guard, body, test at the bottom), which is what the back end wants, so that nothing here needs
an IR pass. Everything works for one lane as for many (`Element`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from graphc.codegen.element import Element, splat

Operand = str | int
Carried = Sequence[tuple[str, str]]
_TRUTH = ("false", "true")


@dataclass
class Loop:
    """A loop that is being written: set `next` in the body to the values that the next turn carries."""

    function: Function
    i: str
    values: list[str]
    carry: list[tuple[str, str]]
    start: Operand
    stop: Operand
    step: Operand
    body: str
    done: str
    before: str
    where: int
    sure: bool
    next: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)

    def __enter__(self) -> Loop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.function._close_loop(self)


@dataclass
class When:
    """An if that is being written: set `next` in the body to the values that replace the carried ones."""

    function: Function
    carry: list[tuple[str, str]]
    done: str
    before: str
    next: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)

    def __enter__(self) -> When:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.function._close_when(self)


def literal(x: Operand) -> int | None:
    """The value of an operand that is a number, else None."""
    if isinstance(x, int):
        return x
    return int(x) if x.lstrip("-").isdigit() else None


class Function:
    """The text of one function, built instruction by instruction.

    >>> f = Function("three", "", ret="i64")
    >>> print(f.text(f"i64 {f.add('%x', f.mul(1, 2))}"))
    define i64 @three() #0 {
    entry:
      %t1 = add i64 %x, 2
      ret i64 %t1
    }
    """

    def __init__(self, name: str, args: str, ret: str = "void", linkage: str = "", attrs: str = "#0") -> None:
        words = ["define", linkage, ret, f"@{name}({args})", attrs, "{"]
        self.head = " ".join(word for word in words if word)
        self.lines: list[str] = ["entry:"]
        self.block = "entry"
        self.count = 0

    # -- instructions ----------------------------------------------------------------------------------------
    def name(self) -> str:
        """A fresh name of a value."""
        self.count += 1
        return f"%t{self.count}"

    def label(self, hint: str) -> str:
        """A fresh name of a block."""
        self.count += 1
        return f"{hint}{self.count}"

    def do(self, line: str) -> None:
        """Write an instruction without a result."""
        self.lines.append("  " + line)

    def __call__(self, expression: str) -> str:
        """Write an instruction and return the name of its result."""
        name = self.name()
        self.do(f"{name} = {expression}")
        return name

    def begin(self, label: str) -> None:
        """Start the block `label`."""
        self.lines.append(f"{label}:")
        self.block = label

    def text(self, ret: str = "void") -> str:
        """The whole function, which returns `ret` (type and value)."""
        return "\n".join([self.head, *self.lines, f"  ret {ret}", "}"])

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

    # -- integers (i64) --------------------------------------------------------------------------------------
    def add(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and y is not None:
            return str(x + y)
        return str(a) if y == 0 else str(b) if x == 0 else self(f"add i64 {a}, {b}")

    def sub(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and y is not None:
            return str(x - y)
        return str(a) if y == 0 else self(f"sub i64 {a}, {b}")

    def mul(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and y is not None:
            return str(x * y)
        if x == 0 or y == 0:
            return "0"
        return str(a) if y == 1 else str(b) if x == 1 else self(f"mul i64 {a}, {b}")

    def udiv(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and x >= 0 and y is not None and y > 0:
            return str(x // y)
        return str(a) if y == 1 else self(f"udiv i64 {a}, {b}")

    def urem(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and x >= 0 and y is not None and y > 0:
            return str(x % y)
        return "0" if y == 1 else self(f"urem i64 {a}, {b}")

    def minimum(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and y is not None:
            return str(min(x, y))
        return self(f"call i64 @llvm.smin.i64(i64 {a}, i64 {b})")

    def maximum(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and y is not None:
            return str(max(x, y))
        return self(f"call i64 @llvm.smax.i64(i64 {a}, i64 {b})")

    def ceildiv(self, a: Operand, b: Operand) -> str:
        return self.udiv(self.add(a, self.sub(b, 1)), b)

    def less(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and y is not None:
            return _TRUTH[x < y]
        return self(f"icmp slt i64 {a}, {b}")

    def equal(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and y is not None:
            return _TRUTH[x == y]
        return self(f"icmp eq i64 {a}, {b}")

    def both(self, a: str, b: str) -> str:
        for one, other in ((a, b), (b, a)):
            if one in _TRUTH:
                return other if one == "true" else one
        return self(f"and i1 {a}, {b}")

    def either(self, a: str, b: str) -> str:
        for one, other in ((a, b), (b, a)):
            if one in _TRUTH:
                return other if one == "false" else one
        return self(f"or i1 {a}, {b}")

    def negate(self, a: str) -> str:
        return _TRUTH[a == "false"] if a in _TRUTH else self(f"xor i1 {a}, true")

    def select(self, ty: str, c: str, a: Operand, b: Operand) -> str:
        if c in _TRUTH:
            return str(a if c == "true" else b)
        return self(f"select i1 {c}, {ty} {a}, {ty} {b}")

    # -- control ---------------------------------------------------------------------------------------------
    def loop(
        self, start: Operand, stop: Operand, step: Operand, carry: Carried = (), sure: bool = False
    ) -> Loop:
        """`with f.loop(0, "%n", 16, [(type, initial), ...]) as l:` with `l.i` and `l.values`; set `l.next`;
        afterwards `l.results`.

        The body runs while i < stop (signed), possibly never; at least once if the caller is `sure`.
        """
        body, done, i = self.label("body"), self.label("done"), self.name()
        names, before = [self.name() for _ in carry], self.block
        enter = "true" if sure else self.less(start, stop)
        sure = enter == "true"
        self.do(f"br label %{body}" if sure else f"br i1 {enter}, label %{body}, label %{done}")
        self.begin(body)
        where = len(self.lines)
        return Loop(self, i, names, list(carry), start, stop, step, body, done, before, where, sure)

    def _close_loop(self, loop: Loop) -> None:
        if len(loop.next) != len(loop.carry):
            raise ValueError(f"the loop carries {len(loop.carry)} values, but next has {len(loop.next)}")
        following = self.add(loop.i, loop.step)
        latch, before = self.block, loop.before
        phis = [f"  {loop.i} = phi i64 [{loop.start}, %{before}], [{following}, %{latch}]"]
        ends = [(ty, f"[{v}, %{before}], [{x}, %{latch}]") for (ty, v), x in zip(loop.carry, loop.next)]
        phis += [f"  {name} = phi {ty} {edges}" for name, (ty, edges) in zip(loop.values, ends)]
        self.lines[loop.where : loop.where] = phis
        self.do(f"br i1 {self.less(following, loop.stop)}, label %{loop.body}, label %{loop.done}")
        self.begin(loop.done)
        loop.results = loop.next if loop.sure else [self(f"phi {ty} {edges}") for ty, edges in ends]

    def when(self, condition: str, carry: Carried = ()) -> When:
        """`with f.when(cond, [(type, otherwise), ...]) as w:` runs the body if the i1 holds; set `w.next`;
        afterwards `w.results`.
        """
        then, done, before = self.label("then"), self.label("done"), self.block
        self.do(f"br i1 {condition}, label %{then}, label %{done}")
        self.begin(then)
        return When(self, list(carry), done, before)

    def _close_when(self, when: When) -> None:
        if len(when.next) != len(when.carry):
            raise ValueError(f"the condition carries {len(when.carry)} values, but next has {len(when.next)}")
        last = self.block
        self.do(f"br label %{when.done}")
        self.begin(when.done)
        when.results = [
            self(f"phi {ty} [{x}, %{last}], [{v}, %{when.before}]")
            for (ty, v), x in zip(when.carry, when.next)
        ]

    def give_up(self, condition: str, ret: str) -> None:
        """Return `ret` (type and value) at once if the i1 holds."""
        leave, stay = self.label("leave"), self.label("stay")
        self.do(f"br i1 {condition}, label %{leave}, label %{stay}")
        self.begin(leave)
        self.do(f"ret {ret}")
        self.begin(stay)

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
