"""The loss `reward`: the log-probability of each action learns what it earned, not only which of both earned more.

Which action is better can hang on the whole of a state at once: a hint that speaks for asking in one state speaks
against it in the next, so over all states it says nothing, and gradient descent, which finds single hints first, finds
none. What each action earns rises or falls with every hint alone.

In the beginning the policy also learns to foretell what the question would be about. What asking is worth depends on
the one thing that is least clear, however much else there is, and who has to name that thing looks for it first.

The policy that it aims at takes an action in proportion to exp(reward / beta), so that P(ask) is the logistic function
of the advantage over beta: the optimum of the objective that DPO starts from, under a reference that prefers nothing
(Rafailov et al. 2023, arXiv 2305.18290, eq. 4). Regression on known rewards in place of a comparison: Richemond et al.
2024, arXiv 2405.19107; Xiao et al. 2024, arXiv 2412.14516, add it to DPO's own loss.
"""

from __future__ import annotations

from statistics import fmean
from typing import Any

from proact.training import batches
from proact.training.progress import Course
from proact.training.shared import Ahead

NAME = "reward"
REWARDS = ("chosen_reward", "rejected_reward")
"""Columns of a row: what its pair says that each side earned."""
COMMON = 0.1
"""What the mean distance of a batch weighs up to the middle of a training; from there it rises in a line to 1. In the
beginning it is most of every distance, and the same step makes it smaller for all prompts: at full weight that step
drowns those that tell prompts apart. In the end what is left of it would be a leaning to one action in all of them."""
FORETELLING = 0.5
"""What the cross-entropy of foretelling weighs at the first step; it falls in a line to nothing at the share `LEARNED`
of the steps."""
LEARNED = 0.6
SAMPLED = 128
"""Pairs from which it is read what the base gives to both words; all goals hang on their mean alike."""
REFERENCE = ("ref_chosen_logps", "ref_rejected_logps")
"""Columns that TRL adds, and that its losses compare with: log-probabilities under the base. Here they become goals."""
TOLD = (batches.ASKS, batches.REPLICATES)
"""What a batch tells beside what a model reads."""


def weight(gone: float) -> float:
    """What foretelling weighs when this share of the steps is done."""
    return FORETELLING * max(0.0, 1 - gone / LEARNED)


def common(gone: float) -> float:
    """What the mean distance of a batch weighs when this share of the steps is done."""
    return COMMON + (1 - COMMON) * max(0.0, 2 * gone - 1)


def trainer(tokens: int, ahead: Ahead | None, course: Course) -> Any:
    """TRL's trainer with this loss: the mean over pairs of w beta ((d_clarify^2 + d_execute^2) / 2 +
    (d_clarify - d_execute)^2), where d is the distance of a log-probability per token from its goal, and w how often
    the pair was played over the mean of all pairs to learn from: the more plays a mean is of, the more it says.

    It is taken of each distance less its mean over the batch, weighted alike, and with the weight `common` of these two
    means. What is foretold adds the mean over questions of its cross-entropy per token.

    A reward above the mean raises the goal of a log-probability per token by that over beta, from what the base gives
    in the mean to both words, which have so many `tokens` together. Which of them it prefers is no part of a goal.
    """
    import torch
    from trl import DPOTrainer

    def squares(distances: Any, weights: Any) -> Any:
        clarify, execute = distances
        return (weights * ((clarify**2 + execute**2) / 2 + (clarify - execute) ** 2)).mean()

    def gone(state: Any) -> float:
        return float(state.global_step / state.max_steps)

    class Rewarded(DPOTrainer):  # type: ignore[misc]
        def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
            if name == "train":
                if ahead:
                    self._read(ahead, dataset, batch_size)
                some = dataset.select(range(0, len(dataset), -(-len(dataset) // SAMPLED)))
                read = super()._precompute_ref_logps(some, name, batch_size)
                usual = fmean(value for earned in REWARDS for value in dataset[earned])
                self._level = sum(fmean(read[said]) for said in REFERENCE) / tokens - usual / self.beta
                self._played = fmean(dataset[batches.REPLICATES])
            for said, earned in zip(REFERENCE, REWARDS, strict=True):
                dataset = dataset.add_column(said, [self._level + value / self.beta for value in dataset[earned]])
            return dataset

        def _read(self, ahead: Ahead, dataset: Any, size: int) -> None:
            for first in range(0, len(dataset), size):
                rows = self.data_collator(list(dataset.select(range(first, min(first + size, len(dataset))))))
                with self.accelerator.autocast():
                    ahead(rows["input_ids"], rows["attention_mask"])
                course.read(len(rows[batches.ASKS]), len(dataset))

        def compute_ref_log_probs(self, model: Any, inputs: Any) -> Any:
            pairs = 2 * len(inputs[batches.ASKS])
            # All that it does not know goes to the model.
            known = {name: value[:pairs] for name, value in inputs.items() if name not in TOLD}
            return super().compute_ref_log_probs(model, known)

        def _compute_loss(self, model: Any, inputs: Any, return_outputs: bool) -> Any:
            asked = inputs[batches.ASKS]
            pairs = 2 * len(asked)
            foretelling = weight(gone(self.state)) if self.model.training else 0.0
            words = inputs["completion_mask"][: None if foretelling else pairs]
            read = {name: inputs[name][: len(words)] for name in ("input_ids", "attention_mask")}
            labels = read["input_ids"].masked_fill(words == 0, -100)
            found = model(**read, labels=labels, use_cache=False, fused_lm_head=True).log_probs.sum(1) / words.sum(1)
            chosen, rejected = found[:pairs].chunk(2)
            above, below = (said - inputs[name] for said, name in zip((chosen, rejected), REFERENCE, strict=True))
            margins = self.accelerator.gather(self.beta * (chosen - rejected).detach())
            metrics = self._metrics["train" if self.model.training else "eval"]
            metrics["rewards/margins"].append(margins.mean().item())
            metrics["rewards/accuracies"].append((margins > 0).float().mean().item())
            distances = torch.stack([torch.where(asked, above, below), torch.where(asked, below, above)])
            weights = inputs[batches.REPLICATES] / self._played
            shared = (weights * distances).sum(1, keepdim=True) / weights.sum()
            rest = common(gone(self.state)) if self.model.training else 1.0
            loss = self.beta * (squares(distances - shared, weights) + rest * squares(shared, weights))
            return loss - foretelling * found[pairs:].mean() if len(found) > pairs else loss

    return Rewarded
