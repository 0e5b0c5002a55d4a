"""Every record that is ever a line of a file, and nothing else.

Field names are the format on disk; the sentence under a field is its entry in data/README.md.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from proact.labels import NOT_APPLICABLE, REWARD_MAP

Action = Literal["Clarify", "Execute"]
Level = Literal["low", "mid", "high"]
Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
Message = dict[str, Any]
Unit = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
Index = Annotated[int, Meta(ge=0)]
NotNegative = Annotated[float, Meta(ge=0)]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What all records share: they are immutable and validated when they are read."""


class Fact(Record, frozen=True, kw_only=True):
    """One thing that the simulated user knows and the request does not say."""

    id: str
    """Name of the fact, unique in its state."""
    text: str
    """What the user says when asked for it."""
    about: str = ""
    """Words that a question about this fact would use; helps the rule-based user to recognise it."""


class Preference(Record, frozen=True, kw_only=True):
    """How the user wants things done, and when that applies."""

    preference: str
    """What the user wants."""
    condition: str = "always"
    """When it applies."""


class ConflictScenario(Record, frozen=True, kw_only=True):
    """A point of a conversation where preferences contradict each other."""

    turn_idx: Index
    """Index of the assistant message in the conversation, from 0."""
    preferences: list[Preference]
    """The preferences that cannot all be followed."""
    expected_idx: int
    """Index, from 0, of the preference that should win."""

    def __post_init__(self) -> None:
        if not 0 <= self.expected_idx < len(self.preferences):
            raise ValueError(f"expected_idx {self.expected_idx} is outside the {len(self.preferences)} preferences")


class ChecklistItem(Record, frozen=True, kw_only=True):
    """One thing that a good plan contains."""

    id: str
    """Name of the item, unique in its state."""
    text: str
    """The item as a sentence."""
    concepts: list[list[str]] = []
    """Groups of synonyms: a step covers the item when it holds one of every group. Empty: taken from the text."""


class State(Record, frozen=True, kw_only=True):
    """A task at the moment of a decision: what the assistant sees, and what only the user and the scorer know."""

    id: str
    """Name of the task, unique in its file. Without one, a hash of the content."""
    domain: str
    """What kind of answer is due: coding, planning, or a domain of a plugin."""
    query: str
    """The request as the user types it."""
    dialogue_turn: int = 0
    """Assistant turns that have already passed."""
    prev_reject: int = 0
    """1 when the user refused to answer the question before, else 0."""
    task_uncertainty: Unit = 0.5
    """How much is open: 0 nothing, 1 everything."""
    intent: str | None = None
    """Hidden: the full request in the user's mind."""
    facts: list[Fact] = []
    """Hidden: what the user can reveal when asked."""
    tests: str | list[str] | None = None
    """Hidden: Python source, or a list of statements, each of which is one test."""
    setup: str | None = None
    """Hidden: Python source that runs after the candidate and before the tests."""
    checklist: list[ChecklistItem | str] | None = None
    """Hidden: what a good plan contains."""
    reference: str | None = None
    """Hidden: an answer that is right."""
    preferences: list[Preference] = []
    """Hidden: how the user wants things done."""
    conflict_scenarios: list[ConflictScenario] = []
    """Hidden: known conflicts between preferences."""
    split: str | None = None
    """Part of the data set: demo, train, test, or any other name."""
    family: str | None = None
    """States that belong together (a vague and a clear twin); a split never cuts a family."""
    metadata: dict[str, Any] = {}
    """Every other field of the input line, unchanged."""

    def visible(self) -> dict[str, Any]:
        """The allow-list of what an assistant or a policy may see of a state."""
        return {name: getattr(self, name) for name in VISIBLE}


VISIBLE = ("id", "domain", "query", "dialogue_turn", "prev_reject", "task_uncertainty")


class Persona(Record, frozen=True, kw_only=True):
    """Who the simulated user is."""

    name: str
    """Name of the persona; part of every id."""
    domain: str = "any"
    """Domain in which this persona appears, or any."""
    expertise: Level = "mid"
    """How often an answer states the fact that was asked for."""
    patience: Level = "mid"
    """How often a question is answered at all."""
    profile: str = ""
    """What the assistant may know about the user."""
    preferences: list[Preference] = []
    """Hidden: how this user wants things done."""


class ReactionMeta(Record, frozen=True, kw_only=True):
    """What happened in the user's reaction to one assistant message."""

    answered_clarification: int = 0
    """1 when the user answered a question, else 0."""
    reject_signal: int = 0
    """1 when the user refused to be asked, else 0."""
    silence: int = 0
    """1 when the message was too long for an impatient user, who says nothing."""
    off_topic_flag: int = 0
    """1 when no question shares a content word with the request or the facts."""
    satisfaction: float = 0.0
    """0 to 1, by the table in users/personas.py."""
    answer_clarity: float = 0.0
    """Share of the addressed facts that the answer stated, 0 when none was addressed."""
    revealed: list[str] = []
    """Ids of the facts that the answer stated."""
    no_ground_truth: int = 0
    """1 when the state has neither facts nor intent, so that the user had nothing to answer with."""


class UserReaction(Record, frozen=True, kw_only=True):
    """What the simulated user said, and what that was."""

    user_reply: str
    """The user's words; empty for silence."""
    meta: ReactionMeta
    """What the reply was."""


class Step(Record, frozen=True, kw_only=True):
    """One assistant turn of a rollout: where it stands in the messages, and what came of it."""

    at: int
    """Index of the assistant message in messages."""
    action: Action
    """What the turn did."""
    meta: ReactionMeta
    """The user's reaction."""


class Usage(Record, frozen=True, kw_only=True):
    """Tokens of the replies that a trajectory is made of, whether they came from the server or from the cache."""

    calls: int = 0
    """Model replies used."""
    prompt_tokens: int = 0
    """Tokens sent."""
    completion_tokens: int = 0
    """Tokens received."""


class Trajectory(Record, frozen=True, kw_only=True):
    """One decision, the message it led to, and the rollout to the final answer."""

    id: str = ""
    """`group/branch`, then `~replicate` when there are several."""
    group: str = ""
    """`conversation/t<turn>`: rows are comparable only inside a group."""
    conversation: str = ""
    """`state/persona/method/seed`."""
    state: State
    """The state at the decision."""
    action: Action
    """The decision."""
    action_prompt: str = ""
    """The instruction that was given with the decision."""
    assistant_msg: str
    """The assistant message of this decision."""
    persona: Persona
    """The simulated user."""
    user_reaction: UserReaction
    """The reaction to assistant_msg."""
    is_mainline: bool = True
    """Whether this line is the conversation itself, not a counterfactual branch."""
    branch: str = "mainline"
    """mainline, other, variant, or another arm: again (the mainline's action, going on as the branches do), placebo
    (a question that asks nothing), oracle (all facts given)."""
    replicate: int = 0
    """Number of the repetition, from 0."""
    decision_point: int = 0
    """Index, from 0, of the decision at which the branches part."""
    mainline_action: Action | None = None
    """What the mainline did at this decision."""
    turn: int = 0
    """Dialogue turn of the decision."""
    messages: list[Message] = []
    """The whole dialogue in OpenAI form, rollout included."""
    at: int = 0
    """Index of assistant_msg in messages."""
    rollout: list[Step] = []
    """Every assistant turn from this decision on; the costs are counted here."""
    task_completed: bool | None = None
    """Whether the last answer passed its tests or covered its checklist; null when neither exists."""
    stop: str = ""
    """Why the rollout ended: executed, completed, max_turns or no_rollout."""
    continuation: str = ""
    """How the rollout went on after the decision: execute, policy, or the name of another policy."""
    policy: str = ""
    """Who decided; `given` where --mainline-action did."""
    forced: bool = False
    """Whether the action was imposed (after a rejection, on the last turn, or in a world where every fact has been
    told) and not decided."""
    p_clarify: Unit | None = None
    """The policy's probability of asking; null when it was not consulted."""
    method: str = ""
    """Name under which methods are compared."""
    seed: int = 0
    """Seed of the run."""
    model: str = ""
    """The assistant."""
    user_model: str = ""
    """The simulated user: rule, or a model."""
    tools: list[dict[str, Any]] = []
    """Tools that the assistant had."""
    usage: Usage = Usage()
    """Tokens."""
    job: str = ""
    """The unit of work that wrote this line."""
    terminal: bool = True
    """Whether this is the last line of its job."""
    spec: str = ""
    """Hash of the settings that could change this line; its body is in the meta file."""
    input_hash: str = ""
    """Hash of the input row."""
    metadata: dict[str, Any] = {}
    """Every other field of the input line, unchanged."""


class Conversation(Record, frozen=True, kw_only=True):
    """A conversation log from anywhere."""

    id: str
    """Name of the conversation."""
    messages: list[Message]
    """The dialogue in OpenAI form; `turns` is accepted as its name."""
    method: str = ""
    """What is compared."""
    domain: str = ""
    """Any string."""
    preferences: list[Preference] = []
    """The user's preferences."""
    problem: str | None = None
    """What was to be solved."""
    solution: str | None = None
    """A right answer."""
    conflict_scenarios: list[ConflictScenario] = []
    """Known conflicts between preferences."""
    group: str | None = None
    """Conversations that can be ranked against each other."""
    tools: list[dict[str, Any]] = []
    """Tools that the assistant had."""
    reward: float | None = None
    """A reward measured elsewhere."""
    context_signals: dict[str, Any] | None = None
    """Cues about the user's situation."""
    metadata: dict[str, Any] = {}
    """Every other field of the input line, unchanged."""


class Verdict(Record, frozen=True, kw_only=True):
    """One judge's finding on one subject."""

    id: str
    """Names the subject, the judge, its spec and the repeat."""
    trajectory: str
    """Id of the trajectory or conversation that was judged."""
    conversation: str = ""
    """Id of the conversation."""
    group: str = ""
    """Group of the trajectory."""
    judge: str
    """Name of the judge."""
    at: int | None = None
    """Index of the judged message; null when the whole conversation was judged."""
    repeat: int = 0
    """Number of the pass, from 0."""
    label: str | None = None
    """The finding in a word."""
    score: float | None = None
    """The finding as a number; null when the judge does not apply."""
    confidence: Unit | None = None
    """What the judge says of its own certainty, 0 to 1."""
    rationale: str = ""
    """The judge's reason."""
    detail: dict[str, Any] = {}
    """What else this judge finds."""
    raw: str | None = None
    """The reply as it came."""
    model: str = ""
    """The judge's model."""
    job: str = ""
    """The unit of work that wrote this line."""
    terminal: bool = True
    """Whether this is the last line of its job."""
    spec: str = ""
    """Hash of the settings that could change this line."""
    input_hash: str = ""
    """Hash of the input row."""

    def __post_init__(self) -> None:
        # What the user's reaction is worth is looked up by its label.
        if self.judge == "feedback" and self.label not in (*REWARD_MAP, NOT_APPLICABLE):
            choices = ", ".join(REWARD_MAP)
            raise ValueError(f"field label: expected {choices} or {NOT_APPLICABLE}, got {self.label!r}")
        subject, subjects = self.detail.get("subject", ""), self.detail.get("subjects", 1)
        if not isinstance(subject, str):
            raise ValueError(f"field detail.subject: expected str, got {type(subject).__name__}")
        if not isinstance(subjects, int) or subjects < 1:
            raise ValueError(f"field detail.subjects: expected a number of subjects, got {subjects!r}")
        for name in ("user_tokens", "assistant_tokens"):
            count = self.detail.get(name)
            if self.judge == "effort" and not isinstance(count, int | float | None):
                raise ValueError(f"field detail.{name}: expected a number, got {count!r}")


class Reward(Record, frozen=True, kw_only=True):
    """What one trajectory earned, with every raw number from which another weighting can be computed."""

    id: str
    """Id of the trajectory."""
    group: str
    """Group of the trajectory."""
    components: dict[str, float | None] = {}
    """Raw numbers: counts of the rollout, and every component asked for."""
    task_score: Unit | None = None
    """R_task, 0 to 1; null when nothing scores this task."""
    status: str
    """How the score came about: pass, fail, scored, no_answer, timeout, ... or not_applicable."""
    tests: list[bool] = []
    """Per test: whether it passed."""
    tier: str = ""
    """How the tests were kept from the candidate."""
    layers: list[str] = []
    """Confinement that was active while the candidate ran."""
    independent: float | None = None
    """The reward measured without any judge that replaces it."""
    relative: list[str] = []
    """Judges in it whose scores compare only inside the group."""
    interrupt_cost: float
    """C_interrupt of the whole rollout."""
    total: float | None = None
    """The reward; null when a part of it is missing or does not apply."""
    spec: str
    """Name or hash of the reward spec."""


class PerArm(Record, frozen=True, kw_only=True):
    """One number for each side of a pair."""

    chosen: float | None
    """Of the chosen action."""
    rejected: float | None
    """Of the rejected action."""


class PreferencePair(Record, frozen=True, kw_only=True):
    """Two actions at the same state, the better one first; also a row that TRL trains on as it is."""

    state: dict[str, Any]
    """The visible part of the state."""
    chosen_action: Action
    """The action with the higher arm mean."""
    rejected_action: Action
    """The action with the lower arm mean."""
    chosen_text: str
    """The assistant message of the chosen action."""
    rejected_text: str
    """The assistant message of the rejected action."""
    rewards: PerArm
    """Arm means of the total."""
    task_scores: PerArm
    """Arm means of R_task."""
    interrupt_costs: PerArm
    """Arm means of C_interrupt."""
    prompt: list[Message]
    """The dialogue up to the decision."""
    chosen: list[Message]
    """chosen_text as one assistant message."""
    rejected: list[Message]
    """rejected_text as one assistant message."""
    id: str
    """Id of the pair."""
    group: str
    """Group of both trajectories."""
    chosen_id: str
    """Trajectory of chosen_text."""
    rejected_id: str
    """Trajectory of rejected_text."""
    state_id: str
    """Id of the state."""
    persona: str
    """Name of the persona."""
    profile: str = ""
    """What the assistant may know about the user."""
    method: str
    """Method of the trajectories."""
    seed: int
    """Seed of the trajectories."""
    turn: int
    """Dialogue turn of the decision."""
    family: str | None
    """Family of the state."""
    split: str | None
    """Split of the state."""
    margin: NotNegative
    """Difference of the arm means, at least 0."""
    margin_se: float | None
    """Its standard error over replicates; null for a single replicate."""
    p_better: float | None
    """Probability that the chosen action is the better one, given the spread; null for a single replicate."""
    replicates: Count = 1
    """Of how many replicates the means are, where the arms differ of how many the fewer."""
    weight: NotNegative
    """How much the pair should count: |margin|, or 1 after thinning."""
    spec: str
    """Name or hash of the reward spec."""

    def __post_init__(self) -> None:
        if self.chosen_action == self.rejected_action:
            raise ValueError(f"field rejected_action: expected another one than chosen_action, {self.chosen_action}")


class Measured(Record, frozen=True, kw_only=True):
    """Every metric of one conversation; a mainline counts by its first line, which spans the whole."""

    id: str
    """Id of the conversation's first line, or of the conversation of a log."""
    conversation: str
    """Id of the conversation."""
    method: str
    """What is compared."""
    task: str
    """What methods are paired on: the state, or the problem of a log."""
    persona: str = ""
    """Name of the persona, or id of the profile."""
    family: str | None = None
    """Family of the state."""
    split: str | None = None
    """Split of the state."""
    seed: int = 0
    """Seed of the run."""
    replicate: int = 0
    """Number of the repetition, from 0."""
    domain: str = ""
    """Domain of the task."""
    action: Action | None = None
    """The first decision; null for a log."""
    metrics: dict[str, float | None] = {}
    """Value of every metric; null when it is missing or does not apply."""
    missing: list[str] = []
    """Metrics whose value is due and could not be had."""
    not_applicable: list[str] = []
    """Metrics that do not apply here."""
    weights: dict[str, float] = {}
    """How much a value counts, for metrics that are weighted by a count."""
    preference_compliance_scores: list[float] = []
    """Compliance of each judged answer to which a preference applies."""
    success_source: str = ""
    """What task_success rests on: reward (its task score), judged (a judge in its place), correctness (the judge's
    verdict), completed, no answer, or nothing."""


class Metric(Record, frozen=True, kw_only=True):
    """One row of an evaluation."""

    id: str
    """`method/metric`, then `/by=value` for a part of the conversations."""
    method: str
    """What was measured."""
    metric: str
    """Name of the metric."""
    by: str = ""
    """The part that was measured, as `persona=Anna`; empty for all."""
    mean: float | None
    """Its mean over tasks."""
    ci_low: float | None
    """Lower end of the 95 % interval."""
    ci_high: float | None
    """Upper end of the 95 % interval."""
    interval: str = ""
    """How the interval was computed: t, wilson or bootstrap."""
    n: int
    """Conversations in the mean."""
    tasks: int = 0
    """Tasks in the mean; the interval is over them."""
    missing: int
    """Conversations whose value could not be had."""
    not_applicable: int
    """Conversations to which the metric does not apply."""
    unit: str
    """Unit of the mean."""
    higher_is_better: bool
    """Direction."""


class Weighting(Record, frozen=True, kw_only=True):
    """What one weighting of a sweep makes of the same rollouts."""

    id: str
    """The weights that were swept, as `alpha=0.2 w_reject=1`."""
    weights: dict[str, float]
    """Value of every weight that was swept."""
    spec: str
    """Name or hash of the reward spec."""
    pairs: int
    """Groups in which one action is better."""
    chosen: dict[str, int]
    """How many of them choose each action."""
    ties: int
    """Groups in which both actions are worth the same."""
    flips: int
    """Pairs that choose the other action than under the unchanged spec."""
    appear: int
    """Pairs whose group is a tie under the unchanged spec."""
    vanish: int
    """Pairs of the unchanged spec whose group is a tie here."""
    policy_success: float | None
    """Mean task score of taking the better action in every group."""
    policy_cost: float | None
    """What that costs at the prices of the unchanged spec, so that weightings can be compared."""
    on_front: bool
    """Whether no other weighting's policy succeeds as often at a lower cost."""
    methods: dict[str, dict[str, float | bool | None]]
    """By method: success, cost and reward of its conversations under this weighting, and whether it is on the front."""


class Flip(Record, frozen=True, kw_only=True):
    """A group whose better action depends on the weighting."""

    group: str
    """The group."""
    state_id: str
    """Id of the state."""
    persona: str
    """Name of the persona."""
    method: str
    """Method of the trajectories."""
    unchanged: Action | None
    """The better action under the unchanged spec; null for a tie."""
    task_gain: float | None
    """Task score of Clarify minus that of Execute."""
    break_even_alpha: float | None
    """Alpha at which both actions are worth the same, all else unchanged; null when there is none."""
    other_at: list[str]
    """Weightings under which another action, or none, is better."""


class Failure(Record, frozen=True, kw_only=True):
    """A job that has no record, and why."""

    ids: list[str]
    """Job, or the ids that it would have written."""
    stage: str
    """Subcommand."""
    judge: str | None = None
    """Name of the judge, where one failed."""
    error: str
    """Class of the error."""
    message: str
    """What happened."""
    raw: str | None = None
    """The reply as it came, where there was one."""


class GoldLabel(Record, frozen=True, kw_only=True):
    """What a human says of a verdict's subject."""

    id: str
    """Id of the verdict's subject."""
    label: str | None = None
    """The right label."""
    score: float | None = None
    """The right score."""
