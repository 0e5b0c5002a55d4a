"""Whether a program may share a child: only one that can change nothing that the next program would meet.

What is allowed is listed, the rest runs alone: a program refused here only takes longer, one let in wrongly would
change the verdicts of others. Two things are kept from it. It has no way to what outlives it: of the library it gets
functions, types and constants by name, never a module, a frame or a table. And its own objects cannot answer for
themselves in caches of the library, which outlive it too: it defines no class.
"""

from __future__ import annotations

import ast

from .tree import nodes
from .words import words

ANY = frozenset("*")
"""Every public name of a module that holds functions and numbers only."""
LIBRARY = {
    **dict.fromkeys(("bisect", "cmath", "heapq", "itertools", "math"), ANY),
    "__future__": words("annotations"),
    "collections": words("ChainMap Counter OrderedDict defaultdict deque namedtuple"),
    "collections.abc": words(
        "Callable Collection Container Generator Hashable Iterable Iterator Mapping MutableMapping MutableSequence "
        "MutableSet Reversible Sequence Set Sized"
    ),
    "copy": words("copy deepcopy"),
    "datetime": words("MAXYEAR MINYEAR UTC date datetime time timedelta timezone"),
    "fractions": words("Fraction"),
    "functools": words("cache cmp_to_key lru_cache partial reduce"),
    "numbers": words("Complex Integral Number Rational Real"),
    "operator": words(
        "abs add and_ concat contains countOf eq floordiv ge getitem gt index indexOf inv invert is_ is_not itemgetter "
        "le lshift lt matmul mod mul ne neg not_ or_ pos pow rshift sub truediv truth xor"
    ),
    "re": words(
        "A ASCII DOTALL I IGNORECASE M MULTILINE Match Pattern S U UNICODE VERBOSE X compile error escape findall "
        "finditer fullmatch match search split sub subn"
    ),
    "statistics": words(
        "StatisticsError fmean geometric_mean harmonic_mean mean median median_grouped median_high median_low mode "
        "multimode pstdev pvariance quantiles stdev variance"
    ),
    "string": words(
        "ascii_letters ascii_lowercase ascii_uppercase capwords digits hexdigits octdigits printable punctuation "
        "whitespace"
    ),
    "sys": words("byteorder float_info getsizeof maxsize version_info"),
    "textwrap": words("dedent fill indent shorten wrap"),
    "typing": words(
        "Any AnyStr Callable Collection Counter DefaultDict Deque Dict Final FrozenSet Generator Hashable Iterable "
        "Iterator List Literal Mapping MutableMapping MutableSequence NoReturn Optional OrderedDict Sequence Set Sized "
        "Text Tuple TypeVar Union cast"
    ),
}
REFUSED_NAMES = words(
    "open input exec eval compile globals locals vars setattr delattr getattr breakpoint exit quit help memoryview dir"
)
REFUSED_ATTRIBUTES = ("_", "ag_", "co_", "cr_", "f_", "gi_", "tb_")
"""How the names begin that lead from an object to its class, to frames and to code."""
COMPARISONS = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
TELLING = frozenset(
    (
        *(ast.Name, ast.Attribute, ast.alias, ast.Constant, ast.MatchClass, ast.ClassDef, ast.FunctionDef),
        *(ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await),
    )
)
"""What `_leftover` says something about; all else is let through without asking."""


def unfit(tree: ast.Module) -> str:
    """Why this program could leave something behind for the next one in its child, empty when it cannot."""
    every = nodes([tree])
    modules: dict[str, set[str]] = {}
    for node in every:
        if isinstance(node, ast.ImportFrom):
            if reason := _strange(node):
                return reason
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name not in LIBRARY:
                    return f"imports {alias.name}"
                bound = alias.asname or alias.name.partition(".")[0]
                modules.setdefault(bound, set()).add(alias.name if alias.asname else bound)
    bases = {id(node.value) for node in every if isinstance(node, ast.Attribute)}
    compared = {id(call.func) for node in every if isinstance(node, ast.Compare) for call in _type_calls(node)}
    for node in every:
        if type(node) in TELLING and (reason := _leftover(node, modules, bases, compared)):
            return reason
    return ""


def _strange(node: ast.ImportFrom) -> str:
    allowed = LIBRARY.get(node.module or "", frozenset()) if not node.level else frozenset()
    strange = (alias.name for alias in node.names if not _offered(alias.name, allowed))
    return next((f"imports {name} from {node.module}" for name in strange), "")


def _offered(name: str, allowed: frozenset[str]) -> bool:
    return name in allowed or (allowed is ANY and name != "*" and not name.startswith("_"))


def _leftover(node: ast.AST, modules: dict[str, set[str]], bases: set[int], compared: set[int]) -> str:
    match node:
        case ast.Name(id=name) if name in REFUSED_NAMES or (name.startswith("__") and name != "__name__"):
            return f"uses {name}"
        case ast.Name(id="type") if id(node) not in compared:
            return "uses type for more than a comparison"
        case ast.Name(id=name) if name in modules and id(node) not in bases:
            return f"passes the module {name} on"
        case ast.Attribute(ctx=ast.Store() | ast.Del()):
            return "sets an attribute"
        case ast.Attribute(attr=name) if name.startswith(REFUSED_ATTRIBUTES) or name == "register":
            return f"uses {name}"
        case ast.Attribute(value=ast.Name(id=root), attr=name) if root in modules:
            offered = all(_offered(name, LIBRARY[module]) for module in modules[root])
            return "" if offered else f"uses {root}.{name}"
        case ast.alias(asname=str(name)) | ast.FunctionDef(name=name) if name.startswith("__"):
            return f"defines {name}"
        case ast.Constant(value=str(text)) if "__" in text:
            return "holds a double underscore in a string"
        case ast.MatchClass(kwd_attrs=[_, *_]):
            return "matches attributes"
        case ast.ClassDef():
            return "defines a class"
        case ast.AsyncFunctionDef() | ast.AsyncFor() | ast.AsyncWith() | ast.Await():
            return "is asynchronous"
    return ""


def _type_calls(node: ast.Compare) -> list[ast.Call]:
    """What may be a call of `type` for one argument: a type that is only compared cannot be called or kept."""
    if not all(isinstance(operator, COMPARISONS) for operator in node.ops):
        return []
    calls = [side for side in (node.left, *node.comparators) if isinstance(side, ast.Call) and not side.keywords]
    return [call for call in calls if len(call.args) == 1 and not isinstance(call.args[0], ast.Starred)]
