"""The runtime's part for names: globals and closure cells, read and stored in place."""

from __future__ import annotations

import functools
from types import CellType
from typing import Any

from graphc.npjit.lookup import is_array
from graphc.npjit.surface import Surface
from graphc.npjit.values import Num, Sym


class Names(Surface):
    def load_global(self, g: dict[str, Any], name: str) -> Any:
        rec = self.rec
        if name not in g:
            return self.builtin_name(g, name)
        v = g[name]
        if rec is None:
            return v
        if (id(g), name) in rec.written:
            return rec.wrap(v, None) if not is_array(v) or id(v) in rec.syms else rec.array(v, None)
        return rec.wrap(v, f"{rec.const(g)}[{name!r}]")

    def builtin_name(self, g: dict[str, Any], name: str) -> Any:
        b = g["__builtins__"]
        try:
            v = (b if type(b) is dict else vars(b))[name]
        except KeyError:
            raise NameError(f"name {name!r} is not defined") from None
        if self.rec is not None:
            self.rec.guard(f"{name!r} in {self.rec.const(g)}")
        return v

    def store_global(self, g: dict[str, Any], name: str, v: Any) -> None:
        if self.rec is None:
            g[name] = v
        else:
            self.put(g, name, v, self.rec.const(g))

    def load_cell(self, cell: CellType, name: str) -> Any:
        try:
            v = cell.cell_contents
        except ValueError:
            text = f"cannot access free variable {name!r} where it is not associated with a value"
            raise NameError(f"{text} in enclosing scope") from None
        rec = self.rec
        if rec is None or type(v) is Sym or type(v) is Num or (id(cell), 0) in rec.written:
            return v
        return rec.wrap(v, f"{rec.var(cell) or rec.const(cell)}.cell_contents")

    def store_cell(self, cell: CellType, v: Any) -> None:
        rec = self.rec
        if rec is None:
            cell.cell_contents = v
            return
        undo: Any
        try:
            undo = functools.partial(setattr, cell, "cell_contents", cell.cell_contents)
        except ValueError:
            undo = functools.partial(delattr, cell, "cell_contents")
        cell.cell_contents = v
        rec.kept.append(cell)
        rec.written.add((id(cell), 0))
        rec.effect("attr", rec.var(cell) or rec.const(cell), "cell_contents", v, undo)
        rec.slots.append((lambda: cell.cell_contents, functools.partial(setattr, cell, "cell_contents")))

    def delete_cell(self, cell: CellType) -> None:
        if self.rec is not None:
            self.rec.leak("del of a free variable")
            self.rec.written.add((id(cell), 0))
        del cell.cell_contents

    def arg(self, v: Any) -> Any:
        """A parameter of a nested function, which foreign code may call."""
        return self.rec.array(v, None) if self.rec is not None and is_array(v) else v
