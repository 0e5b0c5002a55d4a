"""What a judge is: it names its subjects, puts each into messages, and turns a reply into findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from proact.keys import digest
from proact.labels import NOT_APPLICABLE
from proact.prompts import Prompt, fence, load, split
from proact.records import ConflictScenario, Message, Preference, State
from proact.registry import Registry
from proact.sandbox.program import Program, Result


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation as judges see it, whether a trajectory or an outside log."""

    id: str
    """The trajectory, or the conversation of a log."""
    conversation: str
    group: str = ""
    """Conversations that can be compared; empty when this one belongs to none."""
    messages: list[Message]
    start: int = 0
    """Index of the first message that this line is answerable for; what stands before is shared with other lines."""
    answer_at: int | None = None
    """Index of the final answer, -1 when none was given; None when the line does not say."""
    domain: str = ""
    preferences: list[Preference] = []
    problem: str = ""
    solution: str = ""
    conflict_scenarios: list[ConflictScenario] = []
    context_signals: dict[str, Any] | None = None
    tools: list[dict[str, Any]] = []
    state: State | None = None
    """The task, where it has tests."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge found: a verdict before it has its names. A null score means that the judge does not apply."""

    case: str = ""
    """Id of the case; a judge of single conversations leaves it empty."""
    label: str | None = None
    score: float | None = None
    confidence: float | None = None
    rationale: str = ""
    detail: dict[str, Any] = {}


def not_applicable(why: str) -> Finding:
    return Finding(label=NOT_APPLICABLE, rationale=why)


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What one call is about, or what needs none."""

    key: str
    """Names it within its conversation or group."""
    at: int | None = None
    """Index of the judged message; None for the whole conversation."""
    texts: dict[str, str] = {}
    """Untrusted text, by the variable of the prompt that it replaces."""
    data: dict[str, Any] = {}
    """What else the judge needs to ask, check and conclude; JSON-like."""
    known: list[Finding] | None = None
    """The findings, where they could be computed."""
    problem: str = ""
    """Why the subject cannot be judged: it becomes a failure."""
    program: Program | None = None
    """What the sandbox runs in place of a call."""
    repeat: int = 0
    seed: int = 0


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line tells judges."""

    rubric: str | None = None
    """Text of a rubric in place of the default one."""
    tokenizer: str | None = None
    """A tokenizer.json to count tokens with."""
    sandbox: bool = True
    """Whether code with tests is run, not asked about."""


def _closed(schema: dict[str, Any]) -> None:
    schema["additionalProperties"] = False
    schema["required"] = list(schema.get("properties", {}))
    # A strict server refuses a schema with defaults.
    for field in schema.get("properties", {}).values():
        field.pop("default", None)


class Reply(BaseModel):
    """What a model is asked for. The schema asks for every field and no other, so that a server can enforce it; of a
    server that cannot, more is ignored."""

    model_config = ConfigDict(extra="ignore", json_schema_extra=_closed, coerce_numbers_to_str=True)


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("expected a number from 0 to 1")
    return value


def _folded(value: Any) -> Any:
    return value.strip().casefold() if isinstance(value, str) else value


Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), BeforeValidator(_number)]
"""A number from 0 to 1, both included."""
Folded = BeforeValidator(_folded)
"""For labels: case and blanks around them do not matter."""
R = TypeVar("R", bound=BaseModel)


class Asker(Generic[R]):
    """What judges of conversations and of groups share."""

    name: ClassVar[str] = ""
    needs_model: ClassVar[bool] = True
    default_model: ClassVar[str] = ""
    """The model that is asked when none is named; empty: one has to be."""
    prompt: ClassVar[str] = ""
    """The prompt with its [system] and [user] sections; without it prompts/judge_<name>.txt is used."""
    reply: type[R]
    """The shape of a reply."""
    setup: Setup = Setup()

    @property
    def text(self) -> Prompt:
        name = f"judge_{self.name}"
        return split(name, self.prompt) if self.prompt else load(name)

    def shape(self, subject: Subject) -> type[R]:
        """The shape of the reply to one subject."""
        return self.reply

    def messages(self, subject: Subject) -> list[Message]:
        """What the model is asked about a subject; each of its texts stands in a fence."""
        return self.filled(**{name: fence(text, name) for name, text in subject.texts.items()})

    def filled(self, **values: str) -> list[Message]:
        system, user = self.text.fill(**values)
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    def check(self, subject: Subject, reply: R) -> None:
        """Refuse a reply that has the right shape and cannot be true. Raises ValueError, which the model is shown."""

    def verdicts(self, subject: Subject, reply: R) -> list[Finding]:
        """What a reply says."""
        raise TypeError(f"judge {self.name} must define verdicts()")

    def compute(self, subject: Subject) -> list[Finding]:
        """The findings of a judge that needs no model."""
        raise TypeError(f"judge {self.name} must define compute()")

    def ran(self, subject: Subject, result: Result) -> list[Finding]:
        """What a result of the sandbox says. Raises SandboxError when it says nothing about the program."""
        raise TypeError(f"judge {self.name} must define ran()")

    def settings(self) -> dict[str, Any]:
        """What of this judge could change a verdict, its model apart."""
        if not self.needs_model:
            return {}
        return {"prompt": digest(self.text), "reply": digest(self.reply.model_json_schema())}


class Judge(Asker[R]):
    """A judge of single conversations."""

    def subjects(self, case: Case) -> Iterable[Subject]:
        """What there is to judge; nothing means that the judge does not apply."""
        raise TypeError(f"judge {self.name} must define subjects()")


class GroupJudge(Asker[R]):
    """A judge that compares the conversations of a group; its scores mean something only inside the group."""

    def subjects(self, cases: list[Case]) -> Iterable[Subject]:
        raise TypeError(f"judge {self.name} must define subjects()")


AnyJudge = Judge[Any] | GroupJudge[Any]
JUDGES: Registry[type[AnyJudge]] = Registry("judge")
J = TypeVar("J", bound=type[AnyJudge])


def register(name: str) -> Callable[[J], J]:
    """A class decorator that makes a judge known under a name."""

    def add(kind: J) -> J:
        kind.name = name
        JUDGES.register(name)(kind)
        return kind

    return add


def open_judge(name: str, setup: Setup = Setup()) -> AnyJudge:  # noqa: B008
    """The judge of that name. Raises UsageError when there is none."""
    judge = JUDGES[name]()
    judge.setup = setup
    return judge
