"""ClariQ (Aliannejadi et al. 2020, arXiv 2009.11352): search requests with facets, questions and workers' answers.

A state is a request with one facet in the user's mind; the facts are the answers that were given to questions about it.
Nothing scores the result of a search, so these states show when asking is called for (`clarification_need`, 1 to 4) and
not what it earns. The data set has no licence file; a user supplies the TSV, and nothing of it ships with proact.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from proact.errors import InputError
from proact.records import Fact, State

COLUMNS = {
    "topic_id",
    "initial_request",
    "clarification_need",
    "facet_id",
    "facet_desc",
    "question_id",
    "question",
    "answer",
}
NEEDS = ("1", "2", "3", "4")


def states(path: Path) -> Iterator[State]:
    """One state for each request and facet. Raises InputError for a file of other columns and for an unknown need."""
    facets: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in _rows(path):
        facets.setdefault((row["topic_id"], row["facet_id"]), []).append(row)
    for (topic, facet), rows in facets.items():
        first = rows[0]
        need = int(first["clarification_need"])
        facts: dict[str, Fact] = {}
        for row in rows:
            if row["question"].strip() and row["answer"].strip():
                fact = Fact(id=row["question_id"], text=row["answer"].strip(), about=row["question"].strip())
                facts.setdefault(fact.id, fact)
        yield State(
            id=f"clariq-{topic}-{facet}",
            domain="planning",
            query=first["initial_request"].strip(),
            task_uncertainty=round((need - 1) / 3, 4),
            intent=first["facet_desc"].strip() or None,
            facts=list(facts.values()),
            split="train" if "train" in path.name.lower() else "test",
            family=f"clariq-{topic}",
            metadata={"clarification_need": need, "should": "Execute" if need == 1 else "Clarify"},
        )


def _rows(path: Path) -> Iterator[dict[str, str]]:
    if not path.is_file():
        raise InputError(path, "no such file")
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", restval="")
        try:
            if missing := COLUMNS - set(reader.fieldnames or ()):
                raise InputError(path, f"not ClariQ: there is no column {min(missing)}", line=1)
            for row in reader:
                if row["clarification_need"] not in NEEDS:
                    message = f"expected 1 to 4, got {row['clarification_need']!r}"
                    raise InputError(path, message, line=reader.line_num, field="clarification_need")
                yield row
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(path, f"not ClariQ: {error}", line=reader.line_num + 1) from None
