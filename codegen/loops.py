"""The loop-nest form: what a kernel does to its buffers, as plain data that both emitters take and that
prints as text.

A `Kernel` is a sequence of parts: a `Nest` (loops around scalar instructions) or a `Product` (a matrix
product with what happens to its finished tiles). Every buffer is row-major and flat; an `Offset` says which
element is meant, in elements. `interpret` in `graphc.codegen.interpret` gives the meaning, and is what
emitters are tested against.

    kernel @softmax(%x: f32[B*10], out %y: f32[B*10])
      nest r < B, lane = j
        stage j < 10
          %x : f32 = load %x[10*r + j]
          %top : f32 = fold max %x
        ...
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TypeGuard

from graphc.ir import DType
from graphc.ir.dims import Dim, Size, symbols


def grouped(size: Dim) -> str:
    """A size as a factor in text: in brackets unless it is a single word."""
    text = str(size)
    return text if text.isalnum() else f"({text})"


@dataclass(frozen=True)
class Axis:
    """A loop that counts from 0 to `extent`, which is not counted.

    `piece`: it goes through one piece of a longer loop: the name of the axis that counts the pieces, and the
    length of all of them. Each has `extent` counts but the last one, which has what is left.
    """

    name: str
    extent: Dim
    piece: tuple[str, Dim] | None = None

    def __str__(self) -> str:
        if self.piece is None:
            return f"{self.name} < {self.extent}"
        return f"{self.name} < min({self.extent}, {self.piece[1]} - {grouped(self.extent)}*{self.piece[0]})"


@dataclass(frozen=True)
class Offset:
    """An element of a buffer: the sum of stride * variable, plus a constant. Variables are axes or i64
    scalars; no variable stands twice.
    """

    terms: tuple[tuple[str, Dim], ...] = ()
    constant: Dim = 0

    def __str__(self) -> str:
        parts = [name if stride == 1 else f"{grouped(stride)}*{name}" for name, stride in self.terms]
        if self.constant != 0 or not parts:
            parts.append(grouped(self.constant) if parts else str(self.constant))
        return " + ".join(parts)

    def stride(self, name: str) -> Dim:
        """By how many elements the offset moves when the variable grows by one."""
        return next((stride for variable, stride in self.terms if variable == name), 0)


# -- instructions: scalar SSA; every result is a name that stands once in its nest -------------------------


@dataclass(frozen=True)
class Constant:
    """A number, or a size (a `Dim`, known when the kernel runs) cast to `dtype`."""

    result: str
    dtype: DType
    value: float | int | bool | Dim


@dataclass(frozen=True)
class Index:
    """The count of an axis, as i64."""

    result: str
    axis: str


@dataclass(frozen=True)
class Load:
    """An element of a buffer. Where the bool scalar `when` is false, memory is not read and the result is the
    scalar `fill`.
    """

    result: str
    dtype: DType
    buffer: str
    offset: Offset
    when: str | None = None
    fill: str | None = None


@dataclass(frozen=True)
class Compute:
    """A primitive elementwise op of scalars, by the op's name.

    Beside the primitive ops of the IR: `index_divide` and `index_remainder`, quotient and rest of i64 scalars
    that are not negative (and a divisor that is positive), which index arithmetic needs and which are cheaper
    than NumPy's rules for signs.
    """

    result: str
    dtype: DType
    op: str
    args: tuple[str, ...]


@dataclass(frozen=True)
class Fold:
    """Fold a value over all loops of the stage. The result is there in the stage's `finish` and in later
    stages, not in its body.

    `kind`: sum prod max min any all argmax argmin; the last two give the first position (row-major over the
    stage's axes) as i64. max and min give NaN if there is one, and so do argmax and argmin its position. No
    turns: 0, 1, the type's lowest or highest value, false, true, 0.
    """

    result: str
    dtype: DType
    kind: str
    value: str


@dataclass(frozen=True)
class Running:
    """The fold of a value over the turns of the stage's loops so far, this one included unless `exclusive`.
    Loops run in order.
    """

    result: str
    dtype: DType
    kind: str
    value: str
    exclusive: bool = False


@dataclass(frozen=True)
class Store:
    """Write a scalar to a buffer; where the bool scalar `when` is false, nothing is written."""

    buffer: str
    offset: Offset
    value: str
    when: str | None = None


@dataclass(frozen=True)
class Check:
    """If the bool scalar is false for any turn, the kernel returns the status `code` (positive) at once, or
    soon after.
    """

    condition: str
    code: int


Instruction = Constant | Index | Load | Compute | Fold | Running | Store | Check


# -- parts of a kernel -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """Loops inside one turn of the nest's outer axes, and what runs once after them."""

    axes: tuple[Axis, ...]
    body: tuple[Instruction, ...]
    finish: tuple[Instruction, ...] = ()


@dataclass(frozen=True)
class Temporary:
    """Memory for one turn of the outer axes (or for a whole product): `extent` elements. Nests whose lane
    is an outer axis have none.
    """

    name: str
    dtype: DType
    extent: Dim


@dataclass(frozen=True)
class Nest:
    """Stages, one after the other, inside shared outer loops.

    `start` holds instructions that do not depend on any axis. `lane` is the axis to vectorise: the last outer
    axis (then folds are vectors of lanes) or the last axis of every stage that has axes (then folds are
    folded across lanes at the end); None: scalar code. `ordered`: turns of the outer axes must run one after
    the other (a scatter); else they are independent and may be shared out.
    """

    outer: tuple[Axis, ...]
    stages: tuple[Stage, ...]
    lane: str | None = None
    temporaries: tuple[Temporary, ...] = ()
    start: tuple[Instruction, ...] = ()
    ordered: bool = False


@dataclass(frozen=True)
class Matrix:
    """A matrix inside a buffer: where its first element is (may depend on the product's batch axes), and its
    strides in elements.
    """

    buffer: str
    offset: Offset
    row: Dim
    column: Dim


@dataclass(frozen=True)
class Windows:
    """A matrix that is never stored: its rows are the windows of images, its columns their taps and channels.

    Images are height x width pixels, `pixel` elements apart, of which `channels` are read; pairs are for the
    two axes. Tap t of window o is the pixel o * strides + t * dilation - low, or zeros where there is none.
    `transposed`: columns are windows, rows are taps and channels. `tap`: by how many elements the other
    operand moves from one tap to the next, where its rows are taps and channels.
    """

    buffer: str
    offset: Offset
    sizes: tuple[Dim, Dim]
    out: tuple[Dim, Dim]
    size: tuple[Dim, Dim]
    strides: tuple[Dim, Dim]
    low: tuple[Dim, Dim]
    dilation: tuple[Dim, Dim]
    channels: Dim
    pixel: Dim
    tap: Dim = 0
    transposed: bool = False

    @property
    def geometry(self) -> tuple[Dim, ...]:
        """The numbers in the order of `kernels/geometry.py`."""
        pairs = (self.sizes, self.out, self.size, self.strides, self.low, self.dilation)
        return (*(d for pair in pairs for d in pair), self.channels, self.pixel)


@dataclass(frozen=True)
class Product:
    """For each turn of the batch axes: c = max(init + alpha * a @ b, floor); then `tile`, for every element
    of c, in any order of tiles.

    a is m x k, b is k x n, c is m x n with column stride 1. `init` None is zeros; a bias is a matrix of row
    stride 0; it may be c. `start` holds instructions that depend on batch axes only; `alpha` (None: 1) names
    one of their results. `floor` None: no limit; NaN stays. `tile` has outer axes (row < m, column < n), lane
    = column, and one stage without axes; its instructions may use the batch axes and the results of `start`,
    and read and write c at (row, column). `accumulator`: c is a temporary of the size m * n. `piece`: the
    first batch axis counts pieces of k of that length, the last one is what is left. Where a piece begins is
    part of the offsets of matrices; windows begin with number `piece` times the count. `policy`: what is
    known of where operands are, which changes no result (`kernels/strategy.POLICIES`).
    """

    dtype: DType
    a: Matrix | Windows
    b: Matrix
    c: Matrix
    m: Dim
    n: Dim
    k: Dim
    batch: tuple[Axis, ...] = ()
    init: Matrix | None = None
    alpha: str | None = None
    floor: float | None = None
    start: tuple[Instruction, ...] = ()
    tile: Nest | None = None
    accumulator: Temporary | None = None
    piece: Dim | None = None
    policy: str = ""


Part = Nest | Product


def is_matrix_product(part: Part) -> TypeGuard[Product]:
    """Whether a part is a product of two matrices in memory."""
    return isinstance(part, Product) and isinstance(part.a, Matrix)


@dataclass(frozen=True)
class Buffer:
    """A kernel's array: `size` elements; `output` if the kernel writes it. Several names may be the same
    memory (in-place updates).
    """

    name: str
    dtype: DType
    size: Dim
    output: bool = False


@dataclass(frozen=True)
class Table:
    """A constant array of the kernel's own, read like a buffer."""

    name: str
    dtype: DType
    values: tuple[float | int | bool, ...]


@dataclass(frozen=True)
class Failure:
    """What a status means to the caller: which error class (`index`, `value`, ...) with which message."""

    error: str
    message: str


@dataclass(frozen=True)
class Kernel:
    """A whole kernel. Its status is 0, or i + 1 for `failures[i]`; `shared` is memory in which one part
    leaves values for another.
    """

    name: str
    buffers: tuple[Buffer, ...]
    parts: tuple[Part, ...]
    failures: tuple[Failure, ...] = ()
    tables: tuple[Table, ...] = ()
    shared: tuple[Temporary, ...] = ()

    def __str__(self) -> str:
        from graphc.codegen.loop_text import kernel_lines

        return "\n".join(kernel_lines(self))

    def buffer(self, name: str) -> Buffer:
        """The buffer of that name."""
        return next(b for b in self.buffers if b.name == name)

    @property
    def temporaries(self) -> tuple[Temporary, ...]:
        """Every temporary of every part; names are unique in a kernel."""
        return (*self.shared_temporaries, *self.own_temporaries)

    @property
    def shared_temporaries(self) -> tuple[Temporary, ...]:
        """Those that all members have in common: `shared`, and the accumulators of products."""
        products = (p for p in self.parts if isinstance(p, Product))
        return (*self.shared, *(p.accumulator for p in products if p.accumulator is not None))

    @property
    def own_temporaries(self) -> tuple[Temporary, ...]:
        """Those that each member has for itself: for one turn of its loops."""
        return tuple(t for p in self.parts if isinstance(p, Nest) for t in p.temporaries)

    @property
    def symbols(self) -> frozenset[str]:
        """The symbols of all sizes in the kernel."""
        found: set[str] = set()
        todo: list[object] = [self]
        while todo:
            item = todo.pop()
            if isinstance(item, Size):
                found |= symbols(item)
            elif isinstance(item, tuple):
                todo += item
            elif is_dataclass(item) and not isinstance(item, (DType, Table)):
                todo += [getattr(item, part.name) for part in fields(item)]
        return frozenset(found)
