"""What a candidate's source says before it runs: whether it looks like an attempt on the tests.

That is a screen, not a proof: a passing in-process program that trips it is set aside as `suspect`.
"""

from __future__ import annotations

import ast
import builtins

from .tree import nodes
from .words import words

SUSPECT_MODULES = words(
    "atexit builtins code ctypes dis faulthandler gc importlib inspect marshal mmap multiprocessing "
    "pickle pkgutil ptrace runpy signal socket subprocess threading _thread traceback unittest pytest "
    "_pytest doctest mock resource fcntl pty zipimport"
)
SUSPECT_NAMES = words(
    "exec eval compile globals locals vars __import__ __builtins__ __loader__ __spec__ exit quit "
    "breakpoint AssertionError memoryview"
)
SUSPECT_ATTRIBUTES = words(
    "_getframe _current_frames settrace setprofile modules meta_path path_hooks exc_info last_traceback "
    "_exit abort kill killpg fork execv execve system popen __stdout__ __stderr__ f_back f_locals "
    "f_globals f_code f_trace tb_frame tb_next gi_frame cr_frame __traceback__ __globals__ __builtins__ "
    "__code__ __closure__ __subclasses__ __mro__ __bases__ __class__ __dict__ __getattribute__ __reduce__ "
    "__self__ __func__ __wrapped__ __defaults__ co_consts addaudithook"
)
SUSPECT_METHODS = frozenset(
    ("__del__", "__getattribute__", "__instancecheck__", "__subclasscheck__", "__init_subclass__")
)
COMPARISONS = frozenset(("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__"))


def suspicions(tree: ast.Module) -> list[str]:
    """What in this source an honest solution rarely needs and an attempt on in-process tests often does."""
    found = set()
    every = nodes([tree])
    imported = _imported(every)
    for node in every:
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names if alias.name.partition(".")[0] in SUSPECT_MODULES}
            case ast.ImportFrom(module=str(module), names=names):
                found |= {module} if module.partition(".")[0] in SUSPECT_MODULES else set()
                found |= {alias.name for alias in names if alias.name in SUSPECT_ATTRIBUTES}
            case ast.Name(id=name, ctx=ast.Load()) if name in SUSPECT_NAMES:
                found.add(name)
            case ast.Attribute(attr=name) if name in SUSPECT_ATTRIBUTES:
                found.add(name)
            case ast.Attribute(value=ast.Name(id=root), attr=name, ctx=ast.Store() | ast.Del()) if root in imported:
                found.add(f"sets {root}.{name}")
            case ast.Call(func=ast.Name(id="setattr" | "delattr" | "getattr" as name), args=[_, target, *_]):
                found |= set() if isinstance(target, ast.Constant) and name == "getattr" else {name}
            case ast.FunctionDef(name=name) if name in SUSPECT_METHODS or _answers_anything(node):
                found.add(name)
            case ast.Constant(value=str(text)) if text.startswith("/proc") or _dunder(text):
                found.add(text[:40])
    return sorted(found | _shadowed(tree))


def _imported(every: list[ast.AST]) -> set[str]:
    imports = [node for node in every if isinstance(node, ast.Import)]
    return {(alias.asname or alias.name).partition(".")[0] for node in imports for alias in node.names}


def _answers_anything(function: ast.FunctionDef) -> bool:
    """A comparison that never looks at what it is compared with."""
    if function.name not in COMPARISONS or len(function.args.args) < 2:
        return False
    other = function.args.args[1].arg
    return not any(isinstance(node, ast.Name) and node.id == other for node in nodes([function]))


def _shadowed(tree: ast.Module) -> set[str]:
    """Built-in names that the module redefines at its top."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return {f"redefines {name}" for name in names if hasattr(builtins, name) and callable(getattr(builtins, name))}


def _dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and len(name) > 4
