"""Reads Python source without running it."""

from __future__ import annotations

import ast
import warnings


def tree(source: str) -> ast.Module:
    """The syntax tree of a source. Raises SyntaxError or ValueError, and never warns about somebody else's code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (RecursionError, MemoryError):
            raise SyntaxError("nested too deeply") from None


def parsed(source: str) -> ast.Module | None:
    """The syntax tree of a source, None when it is no Python."""
    try:
        return tree(source)
    except (SyntaxError, ValueError):
        return None


def defined(module: ast.Module) -> set[str]:
    """The names that a module binds at its top level."""
    names: set[str] = set()
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        else:
            names |= {
                leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Store)
            }
    return names
