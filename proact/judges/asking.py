"""One subject before its judge: computed, run in the sandbox, or asked of the model."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from proact.errors import Unjudgeable, UsageError
from proact.judges.base import Asker, Finding, Subject
from proact.llm import ChatModel, Sampling, ask
from proact.sandbox import Sandbox


class Bench(NamedTuple):
    """Whom a judge can turn to."""

    model: ChatModel | None = None
    sampling: Sampling = Sampling()
    sandbox: Sandbox | None = None


class Outcome(NamedTuple):
    """The findings on a subject, the reply that they rest on, and who gave it."""

    findings: list[Finding]
    raw: str | None = None
    source: str = ""


async def judged(judge: Asker[Any], subject: Subject, bench: Bench) -> Outcome:
    """What the judge finds. Raises JobError when it finds nothing, which is never a score."""
    if subject.problem:
        raise Unjudgeable(subject.problem)
    if subject.known is not None:
        return Outcome(subject.known)
    if not judge.needs_model:
        return Outcome(judge.compute(subject))
    if subject.program and bench.sandbox:
        result = await bench.sandbox.result(subject.program)
        return Outcome(judge.ran(subject, result), source="sandbox")
    if bench.model is None:
        raise UsageError(f"judge {judge.name} needs a --model")
    request = bench.sampling.request(judge.messages(subject), sample=subject.repeat, seed=subject.seed)
    reply, completion = await ask(bench.model, request, judge.shape(subject), lambda reply: judge.check(subject, reply))
    return Outcome(judge.verdicts(subject, reply), completion.text, bench.model.name)


def again(subject: Subject, repeat: int, seed: int) -> Subject:
    """The subject as it is judged in one pass of several."""
    return msgspec.structs.replace(subject, repeat=repeat, seed=seed)
