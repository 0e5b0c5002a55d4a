"""ruler: the trajectories of a group scored against each other (seeds/003); scores compare only inside the group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

import orjson
from pydantic import Field, create_model

from proact.errors import InputError
from proact.judges.base import Case, Finding, GroupJudge, Share, Subject, not_applicable, register
from proact.judges.base import Reply as BaseReply
from proact.keys import digest, keyed_random
from proact.prompts import Prompt, fence, load
from proact.records import Message

Messages = list[Message]


class TrajectoryScore(BaseReply):
    """The score of a single trajectory."""

    trajectory_id: str = Field(description="The id of the trajectory.")
    explanation: str = Field(default="", description="What the trajectory did, in short.")
    score: Share = Field(description="From 0 to 1.")


class Reply(BaseReply):
    """One score for each trajectory."""

    scores: list[TrajectoryScore]


class Shown(NamedTuple):
    """What the judge sees of a group: distinct trajectories in the order shown, and which cases each stands for."""

    trajectories: list[Messages]
    cases: list[list[str]]


@register("ruler")
class Ruler(GroupJudge[Reply]):
    """The trajectories of a group against each other, 0 to 1, by a rubric."""

    reply = Reply

    @property
    def text(self) -> Prompt:
        whole = load("judge_ruler")
        return Prompt(whole.name, whole.system, _split(whole)[0])

    def subjects(self, cases: list[Case]) -> Iterator[Subject]:
        if not cases[0].group:
            known = [Finding(case=case.id, **_fields(not_applicable("It belongs to no group."))) for case in cases]
            yield Subject(key="all", known=known)
        elif any(case.tools != cases[0].tools for case in cases):
            yield Subject(
                key="all", problem="the trajectories of the group had different tools, so they cannot compete"
            )
        else:
            runs = {case.id: case.messages for case in cases}
            yield Subject(key="all", data={"runs": runs, "tools": cases[0].tools})

    def shape(self, subject: Subject) -> type[Reply]:
        return numbered(len(shown(subject).trajectories))

    def messages(self, subject: Subject) -> list[Message]:
        trajectories, tools = shown(subject).trajectories, subject.data["tools"]
        shared = common(trajectories)
        context = fence(_lines(trajectories[0][:shared]), "context") if shared else ""
        blocks = [
            fence(_lines(messages[shared:]), "trajectory", id=f"{number}")
            for number, messages in enumerate(trajectories, start=1)
        ]
        return self.filled(
            rubric=self.setup.rubric or default_rubric(),
            context=context,
            tools=fence(_lines(tools), "available_tools") if tools else "",
            trajectories="\n\n".join(blocks),
            count=f"{len(blocks)}",
        )

    def check(self, subject: Subject, reply: Reply) -> None:
        sent = sorted(f"{number}" for number in range(1, len(shown(subject).trajectories) + 1))
        got = sorted(score.trajectory_id for score in reply.scores)
        if got != sent:
            raise ValueError(f"scores: expected each of the ids {', '.join(sent)} once, got {', '.join(got) or 'none'}")

    def verdicts(self, subject: Subject, reply: Reply) -> list[Finding]:
        """One finding per trajectory, by id; equal trajectories share theirs."""
        cases = shown(subject).cases
        by_id = {score.trajectory_id: score for score in reply.scores}
        return [
            Finding(
                case=case,
                score=by_id[f"{place}"].score,
                rationale=by_id[f"{place}"].explanation,
                detail={"place": place, "shown": len(cases), "duplicates": len(alike) - 1},
            )
            for place, alike in enumerate(cases, start=1)
            for case in alike
        ]

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "rubric": digest(self.setup.rubric or default_rubric())}


def default_rubric() -> str:
    """The [rubric] section of prompts/judge_ruler.txt."""
    return _split(load("judge_ruler"))[1]


def shown(subject: Subject) -> Shown:
    """The distinct trajectories in an order that seed and repeat decide, and not the group's name: equal groups are
    shown alike and cost one call."""
    alike: dict[str, list[str]] = {}
    runs: dict[str, Messages] = subject.data["runs"]
    for case, messages in runs.items():
        alike.setdefault(digest(messages), []).append(case)
    order = sorted(alike)
    keyed_random(subject.seed, digest(order), "", 0, subject.repeat, "ruler order").shuffle(order)
    return Shown([runs[alike[name][0]] for name in order], [alike[name] for name in order])


def common(trajectories: Sequence[Messages]) -> int:
    """How many first messages all trajectories share; at least the last message of each is left to be shown."""
    if len(trajectories) < 2:
        return 0
    limit = min(map(len, trajectories)) - 1
    first = trajectories[0]
    for index in range(limit):
        if any(messages[index] != first[index] for messages in trajectories):
            return index
    return max(limit, 0)


@cache
def numbered(count: int) -> type[Reply]:
    """The reply about so many trajectories: its schema knows no other ids and no other number of scores."""
    ids: Any = Literal[tuple(f"{number}" for number in range(1, count + 1))]
    score: Any = create_model("TrajectoryScore", __base__=TrajectoryScore, trajectory_id=(ids, ...))
    scores: Any = (list[score], Field(min_length=count, max_length=count))
    model: Any = create_model("Reply", __base__=Reply, scores=scores)
    kind: type[Reply] = model
    return kind


def _split(whole: Prompt) -> tuple[str, str]:
    user, mark, rubric = whole.user.partition("\n[rubric]\n")
    if not mark:
        raise InputError(f"prompts/{whole.name}.txt", "expected a [rubric] section at its end")
    return user.strip(), rubric.strip()


def _lines(items: Sequence[Any]) -> str:
    return "\n".join(orjson.dumps(item, default=str).decode() for item in items)


def _fields(finding: Finding) -> dict[str, Any]:
    return {"label": finding.label, "rationale": finding.rationale}
