"""proact for library users: the source documents' names, as thin fronts of what the commands use.

Positional parameters and return shapes are the documents'; what proact adds is keyword-only. Everything works inside a
running event loop too. A single call raises when there is no verdict; a batch gives a result or the error for each
input, in the caller's order.
"""

from proact.api.evaluator import AVERAGED, BatchEvaluator
from proact.api.feedback import (
    LLMRewardClient,
    LLMRewardConfig,
    RewardResult,
    TurnSample,
    estimate_reward_llm,
    estimate_rewards_batch,
)
from proact.api.judging import LLMJudge, analyze_user_effort
from proact.api.metrics import ConversationMetrics, JudgmentResult
from proact.api.relative import DEFAULT_RUBRIC, SWALLOWED, ruler, ruler_score_group
from proact.api.tasks import compute_interrupt_cost, compute_task_score, react, render_state
from proact.judges.ruler import TrajectoryScore
from proact.labels import REWARD_MAP, PreferenceViolationType

__all__ = [
    "AVERAGED",
    "DEFAULT_RUBRIC",
    "REWARD_MAP",
    "SWALLOWED",
    "BatchEvaluator",
    "ConversationMetrics",
    "JudgmentResult",
    "LLMJudge",
    "LLMRewardClient",
    "LLMRewardConfig",
    "PreferenceViolationType",
    "RewardResult",
    "TrajectoryScore",
    "TurnSample",
    "analyze_user_effort",
    "compute_interrupt_cost",
    "compute_task_score",
    "estimate_reward_llm",
    "estimate_rewards_batch",
    "react",
    "render_state",
    "ruler",
    "ruler_score_group",
]
