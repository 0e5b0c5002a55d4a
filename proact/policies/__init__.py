"""Who decides between Clarify and Execute."""

from __future__ import annotations

from proact.errors import UsageError
from proact.llm import Models, Sampling
from proact.policies import rules
from proact.policies.base import POLICIES, Decision, Policy, RulePolicy, register

__all__ = ["POLICIES", "Decision", "Policy", "open_policy", "register", "rules"]


def open_policy(spec: str, models: Models, model: str, sampling: Sampling) -> Policy:
    """The policy named on the command line; `prompted` asks the run's own model, `prompted:MODEL` another one."""
    kind, _, rest = spec.partition(":")
    if kind == "prompted":
        from proact.policies.prompted import Prompted

        return Prompted(models.open(rest or model), sampling)
    if spec not in POLICIES:
        raise UsageError(f"unknown policy {spec!r}; there is: {', '.join([*POLICIES, 'prompted[:MODEL]'])}")
    return RulePolicy(spec, POLICIES[spec])
