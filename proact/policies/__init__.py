"""Who decides between Clarify and Execute."""

from __future__ import annotations

from collections.abc import Iterable

from proact.errors import UsageError
from proact.llm import Models, Sampling
from proact.policies import rules
from proact.policies.base import POLICIES, Decision, Policy, RulePolicy, register
from proact.policies.trained import Trained
from proact.records import State

__all__ = [
    "POLICIES",
    "Decision",
    "Policy",
    "RulePolicy",
    "Trained",
    "learned",
    "open_policy",
    "register",
    "rules",
    "trained_on",
]


def open_policy(spec: str, models: Models, model: str, sampling: Sampling) -> Policy:
    """The policy named on the command line; `prompted` asks the run's own model, `prompted:MODEL` another one."""
    kind, _, rest = spec.partition(":")
    if kind == "prompted":
        from proact.policies.prompted import Prompted

        return Prompted(models.open(rest or model), sampling)
    if kind == "trained" and rest:
        return Trained(rest)
    if spec not in POLICIES:
        known = ", ".join([*POLICIES, "prompted[:MODEL]", "trained:FOLDER"])
        raise UsageError(f"unknown policy {spec!r}; there is: {known}")
    return RulePolicy(spec, POLICIES[spec])


def learned(*policies: Policy | None) -> list[Trained]:
    """Those of some policies that were trained."""
    return [policy for policy in policies if isinstance(policy, Trained)]


def trained_on(policies: Iterable[Trained], state: State) -> bool:
    """Whether one of these policies has learned from this state or its family."""
    return any(policy.trained_on(state) for policy in policies)
