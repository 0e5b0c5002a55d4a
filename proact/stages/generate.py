"""generate: an assistant and a simulated user play every state, branching Clarify against Execute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from proact import arms, console
from proact.cache import cache_dir
from proact.datasets.states import Placed, read_states, select
from proact.domains import DOMAINS, domain
from proact.errors import UsageError
from proact.executor import Task
from proact.keys import digest
from proact.llm import Models, Options, Sampling
from proact.policies import Policy, RulePolicy, learned, open_policy, trained_on
from proact.policies.trained import ROWS
from proact.prompts import load
from proact.records import Action, Persona, State, Trajectory
from proact.registry import load_plugin
from proact.rollout import Choice, Player, Rules
from proact.sandbox import Isolation, Sandbox
from proact.scribe import Scribe, Work
from proact.stage import Job, Paid, Summary, run_paid
from proact.users import User, open_user
from proact.users.acting import Acting
from proact.users.personas import chosen, personas
from proact.worlds import WORLDS, World, puzzles


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `proact generate` was told, as JSON for whatever executor runs it."""

    out: str
    model: str
    mode: Literal["synthetic", "dataset"] = "dataset"
    world: str | None = None
    domain: str | None = None
    split: str | None = None
    n_states: int | None = None
    skip: int = 0
    repeat: bool = False
    persona: str = ""
    personas: str | None = None
    user_model: str = ""
    policy: str = "documented"
    continue_by: str | None = None
    method: str = ""
    mainline_action: Action | None = None
    branches: int = 2
    arms: arms.Arms = "documented"
    replicates: int = 1
    branch_turns: bool = False
    rules: Rules = Rules()
    sampling: Sampling = Sampling()
    options: Options = Options()
    seed: int = 0
    isolation: Isolation = "auto"
    overwrite: bool = False
    max_failures: int | None = None
    plugins: list[str] = []


def perform(task: Task) -> bytes:
    """Run the stage on one task; returns the summary that the command prints, as JSON."""
    settings = msgspec.json.decode(task.settings, type=Settings)
    return msgspec.json.encode(Generate(settings, task).run())


class Generate:
    """One run of the stage."""

    def __init__(self, settings: Settings, task: Task) -> None:
        self.plugins = [load_plugin(Path(path)) for path in settings.plugins]
        self.world = WORLDS[settings.world] if settings.world else None
        self.settings = settings = _resolved(settings, self.world)
        self.placed = states(settings, task)
        available = personas(Path(settings.personas) if settings.personas else None)
        if self.world:
            available[self.world.persona.name] = self.world.persona
        played = {domain(item.state.domain).name for item in self.placed}
        self.cast = {name: chosen(settings.persona, name, available) for name in sorted(played)}
        self.models = Models(settings.options)
        self.sandbox = Sandbox(isolation=settings.isolation, cache=cache_dir() / "sandbox.db")
        self.player = Player(
            assistant=self.models.open(settings.model),
            user=self._user(),
            policy=self._policy(settings.policy),
            sampling=settings.sampling,
            sandbox=self.sandbox,
            rules=settings.rules,
            follower=self._policy(settings.continue_by) if settings.continue_by else None,
        )
        self.learned = learned(self.player.policy, self.player.follower)
        self.scribe = Scribe(
            player=self.player,
            method=settings.method or self.player.policy.name,
            model=settings.model,
            seed=settings.seed,
            first=Choice(settings.mainline_action) if settings.mainline_action else None,
            continue_by=settings.continue_by,
        )
        self.counts: Counter[tuple[str, str]] = Counter()

    def run(self) -> dict[str, object]:
        settings = self.settings
        paid = Paid(
            stage="generate",
            out=Path(settings.out),
            settings=self._spec(),
            concurrency=settings.options.concurrency,
            max_failures=settings.max_failures,
            overwrite=settings.overwrite,
        )
        with self.sandbox:
            summary = run_paid(self._jobs, self._step, paid, sync=self.models.sync, close=self.models.close)
        return self._report(summary)

    def _spec(self) -> dict[str, object]:
        settings, rules = self.settings, self.settings.rules
        texts = [domain(name).prompt(action) for name in DOMAINS for action in arms.OTHER]
        spec: dict[str, object] = {
            "model": settings.model,
            "user_model": self.player.user.name,
            "policy": self.player.policy.name,
            "mainline_action": settings.mainline_action,
            "temperature": settings.sampling.temperature,
            "max_completion_tokens": settings.sampling.max_completion_tokens,
            "mode": "multi-turn" if rules.multi_turn else "single decision",
            "rollout": rules.rollout,
            "continuation": rules.continuation,
            "clarify_threshold": rules.clarify_threshold,
            "prompts": digest([*texts, load("user_answer"), load("policy")]),
            "plugins": self.plugins,
        }
        if rules.multi_turn or rules.continuation == "policy":
            spec["max_turns"] = rules.max_turns
        if settings.continue_by:
            spec["continue_by"] = settings.continue_by
        if self.world:
            spec["world"] = self.world.name
        if weights := self.models.weights:
            spec["weights"] = weights
        if self.learned:
            spec["policy_weights"] = [policy.weights for policy in self.learned]
        return spec

    def _policy(self, name: str) -> Policy:
        if self.world and name.startswith("optimal:"):
            return RulePolicy(name, self.world.best(name.removeprefix("optimal:")))
        return open_policy(name, self.models, self.settings.model, self.settings.sampling)

    def _user(self) -> User:
        settings = self.settings
        if self.world and settings.user_model == self.world.name:
            return Acting(self.world.name, self.world.react)
        return open_user(settings.user_model, self.models, settings.sampling)

    def _jobs(self) -> Iterator[Job[Work]]:
        settings = self.settings
        played = arms.arms(
            settings.rules,
            branches=settings.branches,
            wanted=settings.arms,
            branch_turns=settings.branch_turns,
            own_way=settings.continue_by is not None,
        )
        for state, persona, replicate in self._games():
            for branch in played:
                if arms.applies(branch, state):
                    work = Work(state, persona, replicate, branch)
                    yield Job(self.scribe.key(work), digest(state, persona), work, rival=self.scribe.rival(work))

    def _games(self) -> Iterator[tuple[State, Persona, int]]:
        """Each state with each of its personas and each replicate; a trained policy scores several states in the time
        of one, so some are played side by side."""
        together = ROWS if self.learned else 1
        for first in range(0, len(self.placed), together):
            for replicate in range(self.settings.replicates):
                for state, place, repeated in self.placed[first : first + together]:
                    players = self.cast[state.domain]
                    for persona in players[place % len(players)]:
                        yield state, persona, repeated + replicate

    async def _step(self, work: Work) -> list[Trajectory]:
        lines = await self.scribe.lines(work)
        self.counts.update((line.branch, line.action) for line in lines)
        return lines

    def _report(self, summary: Summary) -> dict[str, object]:
        ledger = self.models.ledger
        return {
            "out": self.settings.out,
            "states": len(self.placed),
            "seen_in_training": sum(trained_on(self.learned, item.state) for item in self.placed),
            "planned": summary.planned,
            "skipped": summary.skipped,
            "done": summary.done,
            "missing": summary.failed,
            "lines": {f"{branch} {action}": count for (branch, action), count in sorted(self.counts.items())},
            "model": self.settings.model,
            "calls": ledger.calls,
            "cached": ledger.cached,
            "prompt_tokens": ledger.prompt_tokens,
            "completion_tokens": ledger.completion_tokens,
            "wasted_tokens": ledger.wasted,
            "cost": ledger.cost,
            "seconds": round(summary.seconds, 2),
            "exit_code": summary.exit_code,
        }


def states(settings: Settings, task: Task) -> list[Placed]:
    """The states that a run plays. Raises UsageError where there are none of the split, or fewer than asked for."""
    if settings.world:
        enough = None if settings.n_states is None else settings.skip + settings.n_states
        made = WORLDS[settings.world].states(settings.split, enough)
        return select(made, settings.domain, None, settings.skip, settings.n_states, repeat=False)
    if settings.mode == "synthetic":
        found = puzzles.states(settings.domain or "coding", settings.skip + (settings.n_states or 50))
        return [Placed(state, place) for place, state in enumerate(found)][settings.skip :]
    if task.source is None:
        raise UsageError("--mode dataset needs a --dataset")
    found = read_states(Path(task.source), settings.domain, task.start, task.end, domains=DOMAINS)
    return select(found, settings.domain, settings.split, settings.skip, settings.n_states, repeat=settings.repeat)


def show(report: dict[str, object]) -> None:
    """The summary as a table."""
    lines = report["lines"]
    assert isinstance(lines, dict)
    rows = [[f"new {name}", count] for name, count in lines.items()]
    if report["seen_in_training"]:
        rows.append(["states that the policy was trained on", report["seen_in_training"]])
    names = ("states", "planned", "skipped", "missing", "calls", "cached", "prompt_tokens", "completion_tokens")
    rows += [[name.replace("_", " "), report[name]] for name in (*names, "wasted_tokens", "cost", "seconds")]
    console.table(f"generate: {report['out']} with {report['model']}", ["", "n"], rows)


def _resolved(settings: Settings, world: World | None) -> Settings:
    """The settings with what a world decides, or else the defaults. Raises UsageError for what cannot be."""
    if settings.repeat and settings.replicates > 1:
        raise UsageError("--repeat plays states again as replicates; use it or --replicates, not both")
    rules = settings.rules
    if settings.continue_by and rules.continuation != "policy":
        raise UsageError("--continue-by names the policy of --continuation policy")
    if rules.multi_turn and rules.max_turns < 2 and settings.mainline_action == "Clarify":
        raise UsageError("--max-turns 1 is the answer, before which nothing is asked; give 2 or more")
    if world:
        if rules.max_turns < world.turns:
            raise UsageError(f"--world {world.name} needs --max-turns {world.turns} or more")
        rules = msgspec.structs.replace(rules, closed=True)
    return msgspec.structs.replace(
        settings,
        rules=rules,
        persona=settings.persona or (world.persona.name if world else "balanced"),
        user_model=settings.user_model or (world.name if world else "rule"),
    )
