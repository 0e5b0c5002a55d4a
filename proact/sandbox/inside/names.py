"""Which names of some tests are the candidate's."""

from __future__ import annotations

import ast
import builtins
import symtable
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from .tree import nodes

BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__"}
# Everything that binds a name otherwise than by assignment, or has names of its own.
SCOPED = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.comprehension),
    *(ast.Import, ast.ImportFrom, ast.ExceptHandler, ast.Match, ast.Global),
)


@dataclass(frozen=True)
class Names:
    """The names that statements use, by what they mean to the judge."""

    called: frozenset[str]
    fetched: frozenset[str]
    modules: frozenset[str]
    bound: frozenset[str]
    loaded: frozenset[str]

    @classmethod
    def of(cls, statements: list[ast.stmt], before: list[ast.stmt]) -> Names:
        """Sort the names of `statements`, which run after `before`."""
        every = nodes(statements)
        bound, loaded = _bound_and_loaded(statements, every)
        earlier = _bound_and_loaded(before, nodes(before))[0] if before else frozenset()
        free = loaded - bound - earlier - BUILTINS
        callees = {n.func.id for n in every if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        bases = {n.value.id for n in every if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)}
        modules = (free & bases & sys.stdlib_module_names) - callees
        called = free & callees
        if not free - modules and len(shadows := (callees & BUILTINS) - bound) == 1:
            called = frozenset(shadows)
        return cls(called, free - modules - called, modules, bound, loaded)

    @property
    def used_builtins(self) -> tuple[str, ...]:
        """Built-in names that in-process tests must not get from the candidate."""
        return tuple(sorted(name for name in (self.loaded & BUILTINS) - self.called if hasattr(builtins, name)))

    @property
    def candidates(self) -> frozenset[str]:
        """Every name whose value the candidate supplies."""
        return self.called | self.fetched


def _bound_and_loaded(statements: list[ast.stmt], every: list[ast.AST]) -> tuple[frozenset[str], frozenset[str]]:
    """What a piece of source binds and reads at its top; most tests have no inner scope and need no symbol table."""
    if any(isinstance(node, SCOPED) for node in every):
        table = symtable.symtable(ast.unparse(ast.Module(statements, [])), "<tests>", "exec")
        return _bound(table), frozenset(_loaded(table))
    names = [node for node in every if isinstance(node, ast.Name)]
    loaded = frozenset(node.id for node in names if isinstance(node.ctx, ast.Load))
    return frozenset(node.id for node in names if not isinstance(node.ctx, ast.Load)), loaded


def _bound(table: symtable.SymbolTable) -> frozenset[str]:
    return frozenset(
        symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()
    )


def _loaded(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global()):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _loaded(inner)
