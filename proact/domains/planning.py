"""Planning: the answer is a plan in words, and its score is the share of the checklist that it covers."""

from __future__ import annotations

from proact.domains.base import NO_ANSWER, NOT_APPLICABLE, Domain, Score, register
from proact.domains.checklist import coverage
from proact.records import State
from proact.sandbox.program import Result


@register("planning")
class Planning(Domain):
    """Compares the plan with the state's checklist; no model takes part."""

    def applies(self, state: State) -> bool:
        return bool(state.checklist)

    def score(self, state: State, message: str, result: Result | None) -> Score:
        if not state.checklist:
            return NOT_APPLICABLE
        if not message.strip():
            return NO_ANSWER
        covered = list(coverage(state.checklist, message, request=state.query).values())
        return Score(value=sum(covered) / len(covered), status="scored", tests=covered)
