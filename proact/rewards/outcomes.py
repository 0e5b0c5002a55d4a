"""What a weighting of a sweep changes: which action is better where, what that earns, and what each method gets."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from proact.records import Action, Flip, Weighting
from proact.rewards.specs import Spec
from proact.rewards.sweep import COUNTS, Priced, Rollouts, Swept, signs
from proact.stats.pareto import front


class Outcome:
    """What the unchanged spec makes of each group, for others to be compared with."""

    def __init__(self, priced: Priced, spec: Spec) -> None:
        self.spec = spec
        self.rows = {one.group: one for one in priced.groups}
        self.sign = dict(zip(self.rows, signs(priced.margin[:, 0]).tolist(), strict=True))
        self.gain = {
            one.group: None if gain != gain else float(gain)
            for one, gain in zip(priced.groups, priced.task[:, 0] - priced.task[:, 1], strict=True)
        }
        weights = [spec.w_questions, spec.w_reject, spec.w_long, spec.w_off_topic]
        extra = (priced.counts[:, 0, :4] - priced.counts[:, 1, :4]) @ weights
        self.price = dict(zip(self.rows, extra.tolist(), strict=True))

    def weighting(
        self,
        swept: Swept,
        priced: Priced,
        column: int,
        methods: dict[str, dict[str, float | bool | None]],
        others: dict[str, list[str]],
    ) -> Weighting:
        """One weighting beside the unchanged spec; `others` collects under which weightings a group changes."""
        import numpy as np

        now = signs(priced.margin[:, column])
        before = np.array([self.sign.get(one.group, 0) for one in priced.groups], dtype=int)
        for place in np.flatnonzero(now != before):
            others[priced.groups[place].group].append(swept.id)
            self.rows.setdefault(priced.groups[place].group, priced.groups[place])
        success, cost = self._policy(priced, now)
        return Weighting(
            id=swept.id,
            weights=swept.weights,
            spec=swept.spec.label,
            pairs=int((now != 0).sum()),
            chosen={"Clarify": int((now > 0).sum()), "Execute": int((now < 0).sum())},
            ties=int((now == 0).sum()),
            flips=int((now * before < 0).sum()),
            appear=int(((before == 0) & (now != 0)).sum()),
            vanish=int(((before != 0) & (now == 0)).sum()),
            policy_success=success,
            policy_cost=cost,
            on_front=False,
            methods=methods,
        )

    def _policy(self, priced: Priced, sign: Any) -> tuple[float | None, float | None]:
        """Task score and cost of the better action in every group; a tie is not worth a question."""
        import numpy as np

        if not priced.groups:
            return None, None
        taken = np.where(sign > 0, 0, 1)
        every = np.arange(len(taken))
        scores, counts = priced.task[every, taken], priced.counts[every, taken]
        known = scores[~np.isnan(scores)]
        return (float(known.mean()) if len(known) else None), float(_prices(counts, self.spec).mean())

    def flip(self, group: str, at: list[str]) -> Flip:
        one, gain, price = self.rows[group], self.gain.get(group), self.price.get(group, 0.0)
        even = None
        if self.spec.formula == "linear" and not self.spec.components and gain is not None and price:
            even = round(self.spec.w_task * gain / price, 9)
        return Flip(
            group=group,
            state_id=one.state_id,
            persona=one.persona,
            method=one.method,
            unchanged=_action(self.sign.get(group, 0)),
            task_gain=gain,
            # No price is below 0: then one action is better at every one.
            break_even_alpha=None if even is None or even < 0 else even,
            other_at=at,
        )


class MethodMeans:
    """Means of each method over tasks, as weights of the rows that count."""

    def __init__(self, rollouts: Rollouts) -> None:
        import numpy as np

        tasks: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for place, one in enumerate(rollouts.rows):
            if one.first:
                tasks[one.method][one.state_id].append(place)
        self.methods = sorted(tasks)
        self.weights = np.zeros((len(self.methods), len(rollouts.rows)))
        for number, method in enumerate(self.methods):
            for places in tasks[method].values():
                self.weights[number, places] = 1 / (len(places) * len(tasks[method]))

    def under(self, rollouts: Rollouts, specs: list[Spec]) -> list[dict[str, dict[str, float | bool | None]]]:
        """For each spec and method: success, cost, reward, and whether it is on the front of the methods."""
        import numpy as np

        solved = self.weights @ (np.nan_to_num(rollouts.task) >= 1.0)
        unscored = self.weights @ np.isnan(rollouts.task) > 0
        totals = rollouts.totals(specs)
        costs, rewards = self.weights @ rollouts.costs(specs), self.weights @ np.nan_to_num(totals)
        unknown = self.weights @ np.isnan(totals) > 0
        found = []
        for column in range(len(specs)):
            # A method with a task that nothing scored has no success, and so no place on the front.
            known = [number for number, some in enumerate(unscored) if not some]
            marks = dict(zip(known, front([(float(costs[n, column]), float(solved[n])) for n in known]), strict=True))
            found.append(
                {
                    method: {
                        "success": None if unscored[number] else float(solved[number]),
                        "cost": float(costs[number, column]),
                        "reward": None if unknown[number, column] else float(rewards[number, column]),
                        "on_front": marks.get(number, False),
                    }
                    for number, method in enumerate(self.methods)
                }
            )
        return found


def _prices(counts: Any, spec: Spec) -> Any:
    import numpy as np

    names = dict(zip(COUNTS, counts.T, strict=True))
    if spec.formula == "per-turn":
        return np.maximum(0.0, 0.7 * names["rejects"] + 0.05 * names["n_clarify"] - 0.05 * names["answered"])
    weighted = spec.w_questions * names["n_questions"] + spec.w_reject * names["rejects"]
    return spec.alpha * (weighted + spec.w_long * names["long_turns"] + spec.w_off_topic * names["off_topic"])


def _action(sign: int) -> Action | None:
    return "Clarify" if sign > 0 else "Execute" if sign < 0 else None
