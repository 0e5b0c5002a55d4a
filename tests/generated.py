"""The documentation that is made from the code: data/README.md and the help texts of README.md.

Run `python tests/generated.py` to write them; tests/test_docs.py fails while they are out of date.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMMANDS = (
    "generate",
    "judge",
    "reward",
    "diagnose",
    "eval",
    "train",
    "export",
    "iterate",
    "sweep",
    "explain",
    "convert",
    "world",
    "validate",
    "audit",
    "doctor",
    "models",
)
INTRODUCTION = """\
# Data

Every step reads JSONL and writes JSONL: UTF-8, one object a line. This page is made from `proact/records.py`.

| folder | what is in it | written by |
|---|---|---|
| `seeds/` | states: `tasks.jsonl` ships with proact | you, `proact convert` |
| `external/` | public data sets as they were published | you; proact reads it and refuses to write there |
| `logs/` | trajectories, rewards, verdicts, and what failed | `generate`, `reward`, `judge` |
| `dpo/` | preference pairs, and rows for other trainers | `reward`, `export` |
| `../outputs/` | trained policies and rounds of them | `train`, `iterate` |
| `eval/` | `metrics.jsonl`, `conversations.jsonl`, `comparison.json`, `report.html` and pictures; `sweep.jsonl` and `flips.jsonl` | `eval`, `sweep` |

Beside what `generate`, `judge` and `reward` write as `x.jsonl` stands `x.meta.json` (the settings it was made with), and
beside trajectories, verdicts and rewards `x.failures.jsonl` (a line of Failure for each job without a record; the file
is gone when nothing is missing). What `convert`, `export`, `eval` and `sweep` write has neither, but `sweep --pairs` and
an exported GGUF file have a `.meta.json`.

`conversations.jsonl` holds lines of Measured, `metrics.jsonl` of Metric, `sweep.jsonl` of Weighting, `flips.jsonl` of
Flip, and `comparison.json` is all of an evaluation in one object. `proact validate` checks a file of any record that has
lines of its own.

Fields that a line has and the record does not know are kept in `metadata`. `mbpp_tests` is understood as `tests`, and
`turns` of a conversation as `messages`. In older files `task_uncertainty` may mean the opposite: here 0 is nothing open
and 1 everything open.

A seed task needs no more than this:

```json
{"id": "task-0", "domain": "coding", "query": "Write a function that sorts the list.", "dialogue_turn": 0, "prev_reject": 0, "task_uncertainty": 0.8}
```

With `facts`, the simulated user has something to answer; with `tests` or a `checklist`, the answer has a score.

## Public data sets

`proact convert DATASET FILE` makes states of data that you have fetched yourself. Nothing of it ships with proact; look
at the licence before you pass anything on.

| data set | source | licence as found | states |
|---|---|---|---|
| `mbpp` | google-research/google-research, `mbpp/` (Austin et al. 2021, arXiv 2108.07732) | CC-BY-4.0 | one per problem; its name, signature and examples are what a user can add |
| `humanevalcomm` | jie-jw-wu/human-eval-comm, `Benchmark/HumanEvalComm.jsonl` (Wu and Fard 2024, arXiv 2406.00215) | none in the repository; the HumanEval part is MIT | 164 originals to answer at once, 762 ambiguous, inconsistent or incomplete variants to ask about (`metadata.should`); 13 variants with three faults are left out |
| `clariq` | aliannejadi/ClariQ, `data/*.tsv` (Aliannejadi et al. 2020, arXiv 2009.11352) | none in the repository | one per request and facet, with the workers' answers as facts; `task_uncertainty` is (clarification need - 1) / 3; nothing scores a search, so there is no task score |
| `in3` | OpenBMB/Tell_Me_More, `data/` (Qian et al. 2024, arXiv 2402.09205) | Apache-2.0 | one per task; of each missing detail one of the listed options is drawn by a hash of the task, told when asked for, and expected in the plan |

HumanEvalComm prints expected strings without quotes: an output counts as a string where the reference, run in the
sandbox, does not return it as a literal. Problems 2, 4 and 32 come with a relation in place of equality. Variants often
call the function `candidate`; their tests, facts and references do so too.
"""  # noqa: E501


def formats() -> str:
    """The page of data formats."""
    source = (ROOT / "proact/records.py").read_text("utf-8")
    sections = [INTRODUCTION.rstrip()]
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name != "Record":
            sections.append(_section(node))
    return "\n\n".join(sections) + "\n"


def _section(node: ast.ClassDef) -> str:
    lines = [f"## {node.name}", "", ast.get_docstring(node) or "", "", "| field | type | default | meaning |"]
    lines.append("|---|---|---|---|")
    for field, note in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(note, ast.Expr) and isinstance(note.value, ast.Constant):
            default = "required" if field.value is None else f"`{ast.unparse(field.value)}`"
            kind = ast.unparse(field.annotation).replace("|", "\\|")
            lines.append(f"| `{ast.unparse(field.target)}` | `{kind}` | {default} | {_joined(note.value.value)} |")
    return "\n".join(lines)


def _joined(note: object) -> str:
    """A row of a table is one line."""
    return " ".join(f"{note}".split()).replace("|", "\\|")


def helps() -> str:
    """The help texts of all commands."""
    texts = []
    for command in ("", *COMMANDS):
        arguments = [command, "--help"] if command else ["--help"]
        environment = {**os.environ, "COLUMNS": "100", "TERMINAL_WIDTH": "100"}
        done = subprocess.run(
            [sys.executable, "-m", "proact", *arguments], capture_output=True, text=True, env=environment, check=True
        )
        texts.append(f"```\n$ proact {' '.join(arguments)}\n{done.stdout.strip()}\n```")
    return "\n\n".join(texts)


def readme() -> str:
    """README.md with its help block made anew."""
    text = (ROOT / "README.md").read_text("utf-8")
    block = f"<!-- help -->\n{helps()}\n<!-- /help -->"
    return re.sub(r"<!-- help -->.*<!-- /help -->", lambda _: block, text, flags=re.DOTALL)


if __name__ == "__main__":
    (ROOT / "data/README.md").write_text(formats(), "utf-8")
    (ROOT / "README.md").write_text(readme(), "utf-8")
