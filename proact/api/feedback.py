"""Feedback as a reward: the fronts of seeds/000."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from proact.api.loop import Court, elsewhere, wait
from proact.errors import JobError
from proact.judges import Subject
from proact.judges.asking import Outcome
from proact.judges.feedback import Feedback
from proact.labels import gated
from proact.llm import Options, Sampling

_FEEDBACK = Feedback()


@dataclass
class TurnSample:
    """What a user asked, what the assistant said to it, and what the user said then."""

    query_t: str
    answer_t: str
    query_t1: str


@dataclass
class LLMRewardConfig:
    """How feedback is judged; times in seconds. `confidence_threshold` is tau."""

    model: str = "gpt-5-nano"
    api_key: str | None = None
    base_url: str | None = None
    max_concurrent: int = 32
    max_retries: int = 3
    retry_base_delay: float = 1.0
    timeout: float = 60.0
    max_completion_tokens: int = 2048
    confidence_threshold: float = 0.6
    enable_cache: bool = True


@dataclass
class RewardResult:
    """A judged turn. A reward that is gated by confidence or a topic shift is 0 and should update nothing."""

    label: str
    confidence: float
    rationale: str
    reward: float
    should_update: bool


class LLMRewardClient:
    """Judges turns; may be used from any event loop, and from several in turn."""

    def __init__(self, config: LLMRewardConfig | None = None) -> None:
        self.config = config = config or LLMRewardConfig()
        options = Options(
            base_url=config.base_url,
            timeout=config.timeout,
            concurrency=config.max_concurrent,
            attempts=config.max_retries,
            base_delay=config.retry_base_delay,
            api_key=config.api_key,
        )
        sampling = Sampling(temperature=0.0, max_completion_tokens=config.max_completion_tokens)
        self._court = Court(config.model, options, sampling, logged=config.enable_cache)

    async def judge(self, sample: TurnSample) -> RewardResult:
        """One turn. Raises JobError when there is no verdict."""
        return self._result(await elsewhere(self._court.judge(_FEEDBACK, _subject(sample))))

    async def judge_batch(self, samples: Sequence[TurnSample]) -> list[RewardResult | JobError]:
        """A result, or the error that stood in its way, for each turn in the order given."""
        outcomes = await elsewhere(self._court.all(_FEEDBACK, map(_subject, samples)))
        return [one if isinstance(one, JobError) else self._result(one) for one in outcomes]

    async def close(self) -> None:
        await elsewhere(self._court.close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _result(self, outcome: Outcome) -> RewardResult:
        finding = outcome.findings[0]
        label, confidence = finding.label or "", finding.confidence or 0.0
        reward, should_update = gated(label, confidence, self.config.confidence_threshold)
        return RewardResult(label, confidence, finding.rationale, reward, should_update)


def estimate_reward_llm(sample: TurnSample, config: LLMRewardConfig | None = None) -> tuple[float, bool]:
    """(reward, should_update) of one turn. Raises JobError when there is no verdict."""

    async def work() -> RewardResult:
        async with LLMRewardClient(config) as client:
            return await client.judge(sample)

    result = wait(work())
    return result.reward, result.should_update


def estimate_rewards_batch(
    samples: Sequence[TurnSample], config: LLMRewardConfig | None = None
) -> list[tuple[float, bool] | JobError]:
    """(reward, should_update), or the error that stood in its way, for each turn in the order given."""

    async def work() -> list[RewardResult | JobError]:
        async with LLMRewardClient(config) as client:
            return await client.judge_batch(samples)

    return [one if isinstance(one, JobError) else (one.reward, one.should_update) for one in wait(work())]


def _subject(sample: TurnSample) -> Subject:
    texts = {"q_t": sample.query_t, "a_t": sample.answer_t, "q_t1": sample.query_t1}
    return Subject(key="turn", texts=texts, data={"answer_at": 1})
