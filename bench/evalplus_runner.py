"""Runs in evalplus's own environment: one JSON list of tasks per line in, one list of verdicts per line out."""

import json
import sys
from concurrent.futures import ProcessPoolExecutor

from evalplus.eval import untrusted_check  # type: ignore[import-not-found]


def checked(task: dict[str, object]) -> bool:
    """Whether evalplus passes one program."""
    expected = eval(str(task["expected"]))
    verdict, _ = untrusted_check(
        "mbpp",
        str(task["code"]),
        eval(str(task["inputs"])),
        str(task["entry"]),
        expected,
        0,
        [0.01] * len(expected),
    )
    return bool(verdict == "pass")


def main() -> None:
    """Answer every line."""
    with ProcessPoolExecutor(int(sys.argv[1])) as pool:
        for line in sys.stdin:
            sys.stdout.write(json.dumps(list(pool.map(checked, json.loads(line), chunksize=4))) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
