"""Which program of a message is run: found by parsing, never by words that stand in it."""

from __future__ import annotations

import time

import pytest

from proact.domains.coding import called, extract

TESTS = ("assert twice(2) == 4", "assert twice([]) == []")
CODE = "def twice(n):\n    return 2 * n"


def block(code: str, fence: str = "```", language: str = "python") -> str:
    return f"{fence}{language}\n{code}\n{fence}"


@pytest.mark.parametrize(
    "message",
    [
        block(CODE),
        block(CODE, language=""),
        block(CODE, language="py"),
        block(CODE, language="Python3"),
        block(CODE, language=' python title="x.py"'),
        block(CODE, "~~~"),
        block(CODE, "`````"),
        f"Sure:\r\n\r\n```python\r\n{CODE}\r\n```\r\nDone.",
        f"```python\n{CODE}",
        f"Here:\n\n{block(CODE)}\n\nIt runs in O(1).",
        "1. First:\n\n" + "\n".join(f"   {row}" for row in block(CODE).splitlines()),
    ],
)
def test_every_way_to_fence_a_block(message: str) -> None:
    found = extract(message, TESTS)
    assert found is not None
    assert found.replace("\r", "").strip() == CODE


@pytest.mark.parametrize(
    "code",
    [
        "import math\n\nFACTOR = 2\n\n\ndef twice(n):\n    return FACTOR * n",
        "from functools import cache\n\n\n@cache\ndef twice(n):\n    return 2 * n",
        "class Doubler:\n    def __call__(self, n):\n        return 2 * n\n\n\ntwice = Doubler()",
        "class Solution:\n    def twice(self, n):\n        return 2 * n\n\n\ntwice = Solution().twice",
        "twice = lambda n: 2 * n",
        'def twice(n):\n    """Raises ValueError. Traceback (most recent call last): Error: none."""\n    return 2 * n',
        "def test_helper(n):\n    return n\n\n\ndef twice(n):\n    return test_helper(n) + n",
        'def twice(n):\n    """Doubles.\n\n    ```\n    twice(2)  # 4\n    ```\n    """\n    return 2 * n',
        'def twice(n):\n    """Doubles.\n\n```python\ntwice(2)\n```\n"""\n    return 2 * n',
        "def twice(n):\n    if n is None:\n        raise ValueError('Error: a number is due')\n    return 2 * n",
        'def twice(n):\n    text = "\\d"\n    return 2 * n',
        "async def helper():\n    pass\n\n\ndef twice(n):\n    return 2 * n",
    ],
)
def test_whole_programs_stay_whole(code: str) -> None:
    found = extract(f"This is it.\n{block(code)}\nAny questions?", TESTS)
    assert found is not None
    assert found.strip() == code


def test_of_several_blocks_the_one_that_defines_what_the_tests_call() -> None:
    usage = block("values = [twice(n) for n in range(10)]\nprint(values)\nprint(values)\nprint(values)")
    assert extract(f"{usage}\n\n{block(CODE)}\n\n{usage}", TESTS) == CODE
    shell = block("pip install numpy", language="bash")
    text = block("2\n4 is the output\n", language="text")
    assert extract(f"{shell}\n{block(CODE)}\n{text}", TESTS) == CODE


def test_what_compiles_comes_before_what_does_not() -> None:
    broken = block("def twice(n:\n    return 2 * n  # a long line that makes this one the longest block of all")
    assert extract(f"{broken}\n{block(CODE)}", TESTS) == CODE
    assert extract(broken, TESTS) is not None
    other, longer = "x = 1", "y = 2\nz = 3"
    assert extract(f"{block(other)}\n{block(longer)}", TESTS) == longer


def test_a_block_after_a_broken_one_is_found() -> None:
    assert extract(f"{block('def twice(n:')}\nBetter:\n{block(CODE)}\n{block('twice(3)')}", TESTS) == CODE


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (f"Here it is:\n\n{CODE}\n\nThat doubles it.", CODE),
        (f"import math\n\n{CODE}", f"import math\n\n{CODE}"),
        (CODE, CODE),
        ("Here it is:\n\n@cache\n" + CODE, "@cache\n" + CODE),
        (f"LIMIT = 3\n\n{CODE}", f"LIMIT = 3\n\n{CODE}"),
        (f"A constant first:\nLIMIT: dict[str, int] = {{}}\n{CODE}\nDone.", f"LIMIT: dict[str, int] = {{}}\n{CODE}"),
        (f"x = the number\n\n{CODE}", CODE),
        (f"n = 3 in your case\nso = 4\n{CODE}", f"so = 4\n{CODE}"),
        ("Here:\ntwice = lambda n: 2 * n\nThat doubles it.", "twice = lambda n: 2 * n"),
    ],
)
def test_code_without_a_fence_ends_where_it_stops_compiling(message: str, code: str) -> None:
    found = extract(message, TESTS)
    assert found is not None
    assert found.strip() == code


@pytest.mark.parametrize(
    "message",
    [
        "I would multiply it by two.",
        "",
        "What should the class be called? And def?",
        "The class of problem is known; import taxes are not.",
        block("pip install twice", language="bash"),
        block("   \n"),
    ],
)
def test_prose_is_no_answer(message: str) -> None:
    assert extract(message, TESTS) is None


def test_the_names_that_tests_call() -> None:
    assert called("assert twice(len([1])) == 2") == {"twice"}
    assert called("def helper(x): ...\nassert helper(Solution().run(1))") == {"Solution"}
    assert called("not python at all") == set()


def test_a_hostile_message_is_read_in_no_time() -> None:
    started = time.monotonic()
    assert extract("```\n" * 3000 + "def twice(n: " + "(" * 500, TESTS) is not None
    assert extract("```python\nx = (\n```\n" * 1000, TESTS) is not None
    assert time.monotonic() - started < 5
