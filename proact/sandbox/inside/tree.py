"""Walking syntax trees, which is most of what planning and screening cost."""

from __future__ import annotations

import ast
from collections.abc import Iterable


def nodes(roots: Iterable[ast.AST]) -> list[ast.AST]:
    """Every node of some trees but the contexts of names; twice as fast as `ast.walk`."""
    found = list(roots)
    for node in found:
        for name in node._fields:
            value = getattr(node, name, None)
            if type(value) is list:
                found.extend([item for item in value if isinstance(item, ast.AST)])
            elif isinstance(value, ast.AST) and name != "ctx":
                found.append(value)
    return found
