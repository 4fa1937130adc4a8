"""Long folds in chunks, so that threads can share them: each chunk of a fold's loops leaves a partial result,
and these are folded in order.

    sum over j < n        ->    for c < ceil(n / L), shared out: partial[c] = sum over j < L from c * L on
                                sum over c of partial[c]

Products of few rows and columns that are sums of very many terms (the gradient of a convolution's kernel) are
cut the same way. The chunks follow from the sizes alone, so the result has the same bits for any number of
threads. It is done where the outer axes have too few turns to be shared out; other nests stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from graphc.codegen.index_maps import row_major
from graphc.codegen.loops import (
    Axis,
    Check,
    Compute,
    Constant,
    Fold,
    Index,
    Instruction,
    Load,
    Matrix,
    Nest,
    Offset,
    Part,
    Product,
    Running,
    Stage,
    Store,
    Temporary,
    Windows,
)
from graphc.ir import DType
from graphc.ir.dims import Dim, ceildiv, maximum, minimum, product, substitute, symbols
from graphc.ir.types import I64

CHUNK, LEAST, PIECES = 16384, 2048, 32
"""Elements of a chunk at most, where their number is known: some microseconds of work. Where it is a symbol,
elements of a chunk at least, and chunks at most.
"""
FEW = 128
"""Turns of the outer axes that are too few to be shared out."""
WIDE, FAR = 2048, 1 << 18
"""Columns, and elements in all of them together, whose rows are better gone through chunk by chunk."""
POSITIONAL = ("argmax", "argmin")
TERMS, MOST = 4608, 64
"""Of products: terms of a chunk at most, as long as there are no more chunks than that."""
MANY = {True: 16, False: 128}
SMALL = {True: 131072, False: 4096}
"""From how many terms on (with symbols counted as 1) products are cut if they have up to so many elements: of
windows, which each member that divides the columns would have to copy, and of other matrices.
"""
Fresh = Callable[[str], str]


def in_pieces(part: Part, fresh: Fresh) -> tuple[list[Part], list[Temporary]]:
    """The parts that do what a part does, and the memory in which they leave partial results; the part alone
    where it stays as it is. `fresh` gives names that the kernel does not have.
    """
    return _product_in_pieces(part, fresh) if isinstance(part, Product) else _nest_in_pieces(part, fresh)


def _nest_in_pieces(nest: Nest, fresh: Fresh) -> tuple[list[Part], list[Temporary]]:
    axis = _long_axis(nest)
    if axis is None:
        return [nest], []
    writer = _Writer(nest, axis, fresh)
    writer.write()
    return [*writer.nests], writer.shared


def _product_in_pieces(p: Product, fresh: Fresh) -> tuple[list[Part], list[Temporary]]:
    """A product for each piece of k, and a nest that adds them up and does the rest."""
    if not _is_thin(p):
        return [p], []
    length = piece_length(p.k)
    chunk = Axis(fresh("chunk"), ceildiv(p.k, length))
    partial = Temporary(fresh("product.parts"), p.dtype, chunk.extent * p.m * p.n)
    c = Matrix(partial.name, Offset(((chunk.name, p.m * p.n),)), p.n, 1)
    a = p.a if isinstance(p.a, Windows) else _moved_matrix(p.a, chunk, p.a.column * length)
    b = _moved_matrix(p.b, chunk, p.b.row * length)
    pieces = Product(p.dtype, a, b, c, p.m, p.n, p.k, (chunk,), piece=length)
    memory = [partial] if p.accumulator is None else [partial, p.accumulator]
    return [pieces, _sum_of_pieces(p, chunk, partial, fresh)], memory


def piece_length(k: Dim) -> Dim:
    """An even number of pieces of nearly one length, so that two members have as much to do.

    >>> piece_length(6272), piece_length(1)
    (3136, 1)
    """
    return maximum(ceildiv(k, minimum(_even(k, TERMS), MOST)), 1)


def _even(k: Dim, most: int) -> Dim:
    """An even number of pieces of up to so many of k."""
    return 2 * (k // (2 * most) + 1)


def _is_thin(p: Product) -> bool:
    """Whether members could divide neither rows nor columns well, and there are enough terms."""
    if p.batch or not p.dtype.is_floating or not isinstance(p.m, int) or not isinstance(p.n, int):
        return False
    windows = isinstance(p.a, Windows)
    if isinstance(p.a, Windows) and not p.a.transposed:
        return False
    if p.tile is not None and (len(p.tile.stages) != 1 or p.tile.stages[0].axes or len(p.tile.outer) != 2):
        return False
    terms = substitute(p.k, dict.fromkeys(symbols(p.k), 1))
    enough = 2 * TERMS // (8 if windows else 1) if isinstance(p.k, int) else MANY[windows]
    return 0 < p.m * p.n <= SMALL[windows] and isinstance(terms, int) and terms >= enough


def _moved_matrix(x: Matrix, chunk: Axis, stride: Dim) -> Matrix:
    return replace(x, offset=Offset((*x.offset.terms, (chunk.name, stride)), x.offset.constant))


def _sum_of_pieces(p: Product, chunk: Axis, partial: Temporary, fresh: Fresh) -> Nest:
    """c = max(init + alpha * the sum of the pieces, floor), then the tile."""
    row, column = (
        p.tile.outer if p.tile is not None else (Axis(fresh("row"), p.m), Axis(fresh("column"), p.n))
    )
    part, total = fresh("part"), fresh("total")
    place = Offset(((chunk.name, p.m * p.n), (row.name, p.n), (column.name, 1)))
    body = (Load(part, p.dtype, partial.name, place), Fold(total, p.dtype, "sum", part))
    finish: list[Instruction] = []

    def apply(op: str, other: str) -> None:
        nonlocal total
        finish.append(Compute(result := fresh(op), p.dtype, op, (other, total)))
        total = result

    if p.alpha is not None:
        apply("multiply", p.alpha)
    if p.init is not None:
        finish.append(Load(start := fresh("init"), p.dtype, p.init.buffer, _element(p.init, row, column)))
        apply("add", start)
    if p.floor is not None:
        finish.append(Constant(floor := fresh("floor"), p.dtype, p.floor))
        apply("maximum", floor)
    finish.append(Store(p.c.buffer, _element(p.c, row, column), total))
    start_code = p.start
    if p.tile is not None:
        start_code += p.tile.start
        finish += [*p.tile.stages[0].body, *p.tile.stages[0].finish]
    return Nest((row, column), (Stage((chunk,), body, tuple(finish)),), column.name, start=start_code)


def _element(x: Matrix, row: Axis, column: Axis) -> Offset:
    terms = [(name, stride) for name, stride in ((row.name, x.row), (column.name, x.column)) if stride != 0]
    return Offset((*x.offset.terms, *terms), x.offset.constant)


def _long_axis(nest: Nest) -> Axis | None:
    """The axis of the folds that is cut, if any is."""
    outer = product(a.extent for a in nest.outer)
    if nest.ordered or not isinstance(outer, int) or (nest.temporaries and nest.outer):
        return None
    if outer >= FEW and not (_goes_far(nest) and outer <= WIDE):
        return None
    loops = {stage.axes for stage in nest.stages if stage.axes}
    folds = [i for s in nest.stages for i in s.body if isinstance(i, (Fold, Running))]
    if len(loops) != 1 or not any(isinstance(i, Fold) for i in folds):
        return None
    if any(isinstance(i, Running) or i.kind in POSITIONAL for i in folds):
        return None
    (axes,) = loops
    longest = max(axes, key=lambda a: a.extent if isinstance(a.extent, int) else 1 << 62)
    length = chunk_length(nest, axes, longest)
    if isinstance(longest.extent, int) and isinstance(length, int) and longest.extent <= length:
        return None
    return longest


def _goes_far(nest: Nest) -> bool:
    """Whether folds of columns alone go through so much memory that it leaves the cache before the next
    columns are read.
    """
    if len(nest.outer) != 1 or nest.outer[0].name != nest.lane:
        return False
    inner = next((stage.axes for stage in nest.stages if stage.axes), ())
    total = product(a.extent for a in (*nest.outer, *inner))
    image = substitute(total, dict.fromkeys(symbols(total), 1))
    return isinstance(image, int) and image >= (FAR if isinstance(total, int) else FAR // 4)


def chunk_length(nest: Nest, axes: Sequence[Axis], cut: Axis) -> Dim:
    """Counts of the axis in one chunk; other sizes that are symbols count as 1."""
    others = [a.extent for a in (*nest.outer, *axes) if a is not cut]
    rest = 1
    for extent in others:
        rest *= extent if isinstance(extent, int) else 1
    unit = 64 if cut.name == nest.lane else 1
    if not isinstance(cut.extent, int):
        return maximum(ceildiv(cut.extent, PIECES * unit) * unit, -(-LEAST // (max(1, rest) * unit)) * unit)
    most = max(1, CHUNK // max(1, rest))
    chunks = _even(cut.extent, most) if cut.extent > most else 1
    length = most if chunks == 1 else ceildiv(cut.extent, chunks)
    return ceildiv(length, unit) * unit


@dataclass
class _Writer:
    nest: Nest
    axis: Axis
    fresh: Fresh
    nests: list[Nest] = field(default_factory=list)
    shared: list[Temporary] = field(default_factory=list)
    before: list[Instruction] = field(default_factory=list)

    def __post_init__(self) -> None:
        nest = self.nest
        axes = next(s.axes for s in nest.stages if s.axes)
        self.length = chunk_length(nest, axes, self.axis)
        self.chunk = Axis(self.fresh("chunk"), ceildiv(self.axis.extent, self.length))
        inner = Axis(self.axis.name, self.length, (self.chunk.name, self.axis.extent))
        self.axes = tuple(inner if a == self.axis else a for a in axes)
        self.columns = bool(nest.outer) and nest.outer[-1].name == nest.lane
        self.shared += nest.temporaries

    def write(self) -> None:
        """Each stage with loops as chunks, and what comes after them once."""
        for i, stage in enumerate(self.nest.stages):
            later = _used(self.nest.stages[i + 1 :])
            if not stage.axes:
                self._once((), (*stage.body, *stage.finish), later)
                continue
            folds = [f for f in stage.body if isinstance(f, Fold)]
            partials = [Temporary(self.fresh(f"{f.result}.parts"), f.dtype, self._parts()) for f in folds]
            self.shared += partials
            self._chunks(stage, folds, partials)
            self._once(tuple(zip(folds, partials)), stage.finish, later)

    def _parts(self) -> Dim:
        return self.chunk.extent * product(a.extent for a in self.nest.outer)

    # -- the chunks ------------------------------------------------------------------------------------------
    def _chunks(self, stage: Stage, folds: Sequence[Fold], partials: Sequence[Temporary]) -> None:
        code = tuple(x for i in stage.body for x in self._moved(i))
        finish = tuple(Store(t.name, self._part(), f.result) for f, t in zip(folds, partials))
        outer = (self.chunk, *self.nest.outer)
        stages = [Stage((), tuple(self.before))] if self.before else []
        stages.append(Stage(self.axes, code, finish))
        if self.columns and not folds:  # nothing is kept for a column: go along rows, as memory does
            stages = [Stage((*self.axes, outer[-1]), (*self.before, *code))]
            outer = outer[:-1]
        self._put(replace(self.nest, outer=outer, stages=tuple(stages), temporaries=()))

    def _moved(self, i: Instruction) -> Iterator[Instruction]:
        """An instruction whose counts of the axis begin with the chunk."""
        if isinstance(i, Index) and i.axis == self.axis.name:
            inside, number, length, start = (self.fresh(n) for n in ("inside", "number", "length", "start"))
            yield Index(inside, i.axis)
            yield Index(number, self.chunk.name)
            yield Constant(length, I64, self.length)
            yield Compute(start, I64, "multiply", (number, length))
            yield Compute(i.result, I64, "add", (start, inside))
        elif isinstance(i, (Load, Store)):
            stride = i.offset.stride(self.axis.name)
            more = ((self.chunk.name, stride * self.length),) if stride != 0 else ()
            yield replace(i, offset=Offset((*i.offset.terms, *more), i.offset.constant))
        else:
            yield i

    def _part(self) -> Offset:
        """The place of a partial result: of the columns side by side, of one row one behind the other."""
        axes = (self.chunk, *self.nest.outer) if self.columns else (*self.nest.outer, self.chunk)
        return _place(axes)

    # -- once for each turn of the outer axes ----------------------------------------------------------------
    def _once(
        self, folds: Sequence[tuple[Fold, Temporary]], code: Sequence[Instruction], later: set[str]
    ) -> None:
        """Fold the partial results, run `code`, and keep what later stages use."""
        if not folds and all(isinstance(i, (Constant, Index)) for i in code):
            self.before += code
            return
        made = {f.result: f.dtype for f, _ in folds} | _results(code)
        kept = [(name, dtype) for name, dtype in made.items() if name in later]
        constants = [i for i in code if isinstance(i, (Constant, Index)) and i.result in later]
        kept = [(name, dtype) for name, dtype in kept if name not in {i.result for i in constants}]
        homes = [(name, Temporary(self.fresh(f"{name}.kept"), dtype, self._turns())) for name, dtype in kept]
        stores = tuple(Store(t.name, _place(self.nest.outer), name) for name, t in homes)
        if folds or code:
            self._combine(folds, (*code, *stores))
        self.shared += [t for _, t in homes]
        self.before += constants
        self.before += [Load(name, t.dtype, t.name, _place(self.nest.outer)) for name, t in homes]

    def _turns(self) -> Dim:
        return product(a.extent for a in self.nest.outer)

    def _combine(self, folds: Sequence[tuple[Fold, Temporary]], finish: Sequence[Instruction]) -> None:
        body: list[Instruction] = []
        for fold, partial in folds:
            part = self.fresh(f"{fold.result}.part")
            body += [Load(part, fold.dtype, partial.name, self._part()), replace(fold, value=part)]
        stages = [Stage((), tuple(self.before))] if self.before else []
        stages.append(Stage((self.chunk,), tuple(body), tuple(finish)) if folds else Stage((), tuple(finish)))
        lane = self.nest.lane if self.columns or self.nest.lane is None else self.chunk.name
        if not folds and not self.columns:
            lane = None
        self._put(replace(self.nest, stages=tuple(stages), lane=lane, temporaries=()))

    def _put(self, nest: Nest) -> None:
        """A nest, of what begins it only what it uses."""
        needed, start = _used(nest.stages), []
        for i in reversed(nest.start):
            if isinstance(i, (Store, Check)) or i.result in needed:
                start.append(i)
                needed |= _names(i)
        self.nests.append(replace(nest, start=tuple(reversed(start))))


def _place(axes: Sequence[Axis]) -> Offset:
    strides = row_major(tuple(a.extent for a in axes))
    return Offset(tuple((a.name, s) for a, s in zip(axes, strides)))


def _results(code: Iterable[Instruction]) -> dict[str, DType]:
    found: dict[str, DType] = {}
    for i in code:
        if isinstance(i, Index):
            found[i.result] = I64
        elif not isinstance(i, (Store, Check)):
            found[i.result] = i.dtype
    return found


def _used(stages: Iterable[Stage]) -> set[str]:
    """The scalars that the instructions of stages use."""
    return {name for s in stages for i in (*s.body, *s.finish) for name in _names(i)}


def _names(i: Instruction) -> set[str]:
    """The scalars that an instruction uses."""
    match i:
        case Compute():
            found: tuple[str | None, ...] = i.args
        case Load():
            found = (i.when, i.fill, *(name for name, _ in i.offset.terms))
        case Store():
            found = (i.value, i.when, *(name for name, _ in i.offset.terms))
        case Check():
            found = (i.condition,)
        case Fold() | Running():
            found = (i.value,)
        case _:
            found = ()
    return {name for name in found if name is not None}
