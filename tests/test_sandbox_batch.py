"""Programs that share a child: none of them changes what another one gets."""

from __future__ import annotations

import ast
import importlib
from types import ModuleType

import pytest

from proact.sandbox import Program, Sandbox
from proact.sandbox.inside.batch import ANY, LIBRARY, unfit

HONEST = """
import copy
import re
import textwrap
from collections import Counter
from typing import List

def f(words: List[complex]):
    words = copy.deepcopy(words)
    assert sum([1, 2]) == 3
    assert re.compile("a").match("A") is None
    assert Counter("aab").most_common(1) == [("a", 2)]
    assert textwrap.fill("a") == "a"
    return words
"""
WRONG = "\ndef f(words): return 0\n"
NUMBER = """
    def __eq__(self, other): return True
    def __hash__(self): return 0
"""
HOSTILE = {
    "table": "from copy import _deepcopy_dispatch as d\nd[list] = lambda x, m: [0]",
    "module of a module": "from typing import sys as s\ns.modules['copy'] = 5",
    "module by attribute": "import typing\ntyping.sys.modules['copy'] = 5",
    "module by another name": "import sys as s\ns.modules['copy'] = 5",
    "table of a class": "from textwrap import TextWrapper as t\nt.unicode_whitespace_trans[97] = 98",
    "everything": "from operator import *\nfrom copy import deepcopy\n"
    "g = attrgetter('_' + '_globals_' + '_')(deepcopy)\ng['_deepcopy_' + 'dispatch'][list] = lambda x, m: [0]",
    "frame": "g = (x for x in [1])\ng.gi_frame.f_builtins['sum'] = lambda x: 0",
    "pattern": "match len:\n    case object(__self__=b):\n        match b:\n            case object(__dict__=d):\n"
    "                d['sum'] = lambda x: 0",
    "method of another class": "from collections import Counter\nclass A:\n    def m(self):\n"
    "        self.most_common = 0\nB = A\nB.m(Counter)",
    "wrapper": "from collections import Counter\nfrom functools import update_wrapper\nclass A:\n    most_common = 0\n"
    "update_wrapper(Counter, A, ('most_common',), ())",
    "key of a cache": f"import re\nclass I(int):{NUMBER}re.compile('a', I(2))",
    "key that raises": "from typing import List\narmed = []\nclass I:\n    def __eq__(self, other):\n"
    "        if armed: raise ValueError\n        return False\n    def __hash__(self): return hash(complex)\n"
    "List[I()]\narmed.append(1)",
    "type made by name": "import re\nu = '_' * 2\nI = type('I', (int,), {u + 'eq' + u: lambda s, o: True, "
    "u + 'hash' + u: lambda s: 0})\nre.compile('a', I(2))",
    "type from a type": "import re\nu = '_' * 2\nI = type(int)('I', (int,), {u + 'eq' + u: lambda s, o: True, "
    "u + 'hash' + u: lambda s: 0})\nre.compile('a', I(2))",
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_program_changes_nothing_for_the_next_ones(sandbox: Sandbox, hostile: str) -> None:
    tests = ("assert f([1, 2]) == [1, 2]",)
    first = Program(id="hostile", code=hostile + WRONG, tests=tests)
    others = [Program(id=str(n), code=f"{HONEST}# {n}", tests=tests) for n in range(3)]
    results = list(sandbox.run_many([first, *others]))
    assert [(result.status, result.message) for result in results[1:]] == [("pass", "")] * 3
    assert results[0].status != "pass"


@pytest.mark.parametrize(
    "source",
    [
        HONEST,
        "from __future__ import annotations\nimport math, sys\ndef f(x): return math.floor(x) % sys.maxsize",
        "import heapq as hq, itertools\ndef f(x): return hq.nlargest(2, itertools.chain(x, x))",
        "from functools import lru_cache\n@lru_cache(maxsize=None)\ndef f(x): return x",
        "def f(x):\n    d = {}\n    d[x] = [i for i in x if type(i) in (int, str) or type(i) == list]\n    return d",
        "from collections import namedtuple\nP = namedtuple('P', 'a b')\ndef f(x): return P(x, x).a",
        "def f(x):\n    match x:\n        case [a, *_] | int(a): return a\n",
    ],
)
def test_ordinary_programs_share_a_child(source: str) -> None:
    assert unfit(ast.parse(source)) == ""


@pytest.mark.parametrize("name", LIBRARY)
def test_what_the_library_offers_cannot_be_changed(name: str) -> None:
    module = importlib.import_module(name)
    public = [entry for entry in vars(module) if not entry.startswith("_")]
    for entry in public if LIBRARY[name] is ANY else LIBRARY[name]:
        value = getattr(module, entry)
        assert not isinstance(value, ModuleType | list | dict | set)
        assert not (isinstance(value, type) and issubclass(value, type))
