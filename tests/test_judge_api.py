"""The documents' names for library users: sync, async, and inside a running event loop."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from judge_server import Answer, Body, JudgeServer, asked, dialogue, good, judge_of

from proact import api
from proact.errors import JobError, ReplyError, UsageError
from proact.records import Conversation

BAD = "BAD"
WISHES = [{"condition": "always", "preference": "Use bullets."}, {"preference": "Be brief."}]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROACT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def usual(body: Body, attempt: int) -> Answer | str:
    text = asked(body)
    if BAD in text:
        return "I would rather not say."
    if judge_of(body) != "ruler":
        return json.dumps(good(body))
    blocks = re.findall(r'<trajectory id="(\d+)">\n(.*?)\n</trajectory>', text, re.DOTALL)
    found = [(name, re.search(r"worth (0\.\d)", block)) for name, block in blocks]
    scores = [{"trajectory_id": n, "explanation": "e", "score": float(hit[1]) if hit else 0.0} for n, hit in found]
    return json.dumps({"scores": scores[::-1]})


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with JudgeServer(usual) as running:
        yield running


def config(server: JudgeServer, **more: Any) -> api.LLMRewardConfig:
    return api.LLMRewardConfig(base_url=server.url, **more)


def sample(number: int, text: str = "next") -> api.TurnSample:
    return api.TurnSample(f"q{number}", f"a{number}", f"{text} {number}")


def anywhere(work: Callable[[], Any]) -> list[Any]:
    """The result outside of any event loop, and inside a running one."""

    async def inside() -> Any:
        return work()

    return [work(), asyncio.run(inside())]


@pytest.mark.parametrize(
    ("front", "documented"),
    [
        (api.LLMRewardClient, "config"),
        (api.LLMRewardClient.judge, "self sample"),
        (api.LLMRewardClient.judge_batch, "self samples"),
        (api.LLMRewardClient.close, "self"),
        (api.estimate_reward_llm, "sample config"),
        (api.estimate_rewards_batch, "samples config"),
        (api.LLMJudge, "model_name temperature max_tokens"),
        (api.LLMJudge.judge_task_correctness, "self problem ground_truth agent_final_answer domain"),
        (api.LLMJudge.judge_preference_compliance, "self user_preferences query agent_response context_signals"),
        (
            api.LLMJudge.judge_conflict_resolution,
            "self conflicting_preferences expected_preference_idx query agent_response",
        ),
        (
            api.LLMJudge.evaluate_conversation,
            "self conversation user_preferences problem ground_truth domain conflict_scenarios",
        ),
        (api.analyze_user_effort, "conversation"),
        (api.ruler, "message_lists judge_model extra_litellm_params rubric tools"),
        (api.ruler_score_group, "group judge_model extra_litellm_params rubric"),
        (api.react, "user_msg assistant_msg persona"),
        (api.compute_task_score, "state domain assistant_output"),
        (api.compute_interrupt_cost, "meta n_questions length_tokens off_topic"),
        (api.render_state, "state"),
    ],
)
def test_positional_parameters_are_the_documents(front: Callable[..., Any], documented: str) -> None:
    found = [one for one in inspect.signature(front).parameters.values() if one.kind is not one.KEYWORD_ONLY]
    assert " ".join(one.name for one in found) == documented


def test_the_configuration_is_the_documents() -> None:
    assert asdict(api.LLMRewardConfig()) == {
        "model": "gpt-5-nano",
        "api_key": None,
        "base_url": None,
        "max_concurrent": 32,
        "max_retries": 3,
        "retry_base_delay": 1.0,
        "timeout": 60.0,
        "max_completion_tokens": 2048,
        "confidence_threshold": 0.6,
        "enable_cache": True,
    }


def test_a_single_turn_sync(server: JudgeServer) -> None:
    assert anywhere(lambda: api.estimate_reward_llm(sample(1), config(server))) == [(0.1, True)] * 2
    assert (
        anywhere(lambda: api.estimate_reward_llm(sample(1), config(server, confidence_threshold=0.95)))
        == [(0.0, False)] * 2
    )
    assert len(server.requests) == 1, "neither a repetition nor another tau costs a call"
    with pytest.raises(ReplyError) as caught:
        api.estimate_reward_llm(sample(1, BAD), config(server))
    assert caught.value.raw == "I would rather not say."


def test_a_batch_gives_a_result_or_a_failure_each_in_order(server: JudgeServer) -> None:
    samples = [sample(n, BAD if n % 5 == 0 else "next") for n in range(20)]
    for found in anywhere(lambda: api.estimate_rewards_batch(samples, config(server, max_concurrent=3))):
        assert [isinstance(one, JobError) for one in found] == [n % 5 == 0 for n in range(20)]
        assert all(one == (0.1, True) for one in found if not isinstance(one, JobError))
    assert api.estimate_rewards_batch([], config(server)) == []


def test_the_client_serves_several_event_loops(server: JudgeServer) -> None:
    client = api.LLMRewardClient(config(server))

    async def work(first: int) -> Any:
        return await client.judge_batch([sample(n) for n in range(first, first + 10)])

    results = asyncio.run(work(0)) + asyncio.run(work(10))
    asyncio.run(client.close())
    assert results == [api.RewardResult("pos_progress", 0.9, "It goes on.", 0.1, True)] * 20


def test_the_cache_can_be_switched_off(server: JudgeServer) -> None:
    for _ in range(2):
        api.estimate_reward_llm(sample(1), config(server, enable_cache=False))
    assert len(server.requests) == 2


def test_a_key_of_ones_own_is_sent(server: JudgeServer) -> None:
    api.estimate_reward_llm(sample(1), config(server, api_key="mine"))
    assert server.headers[-1]["Authorization"] == "Bearer mine"
    with pytest.raises(UsageError, match=r"needs a key: .*, or name another server with base_url=\.\.\.$"):
        api.estimate_reward_llm(sample(2))


@pytest.fixture
def judge(server: JudgeServer) -> Iterator[api.LLMJudge]:
    found = api.LLMJudge(base_url=server.url)
    yield found
    found.close()


def test_the_judge_has_the_documents_shapes(judge: api.LLMJudge, server: JudgeServer) -> None:
    assert (
        anywhere(lambda: judge.judge_task_correctness("2+2?", "4", "It is 4.", "math"))
        == [(True, 0.8, "The same.")] * 2
    )
    compliance = judge.judge_preference_compliance(WISHES, "Explain.", "- one", {"mood": "rushed"})
    assert compliance == {
        "applicable_preferences": [1, 2],
        "followed": [1],
        "violated": [2],
        "violation_types": {"2": "wrong_format"},
        "over_personalization": [],
        "compliance_score": 0.5,
        "explanation": "One of two.",
    }
    conflict = judge.judge_conflict_resolution(WISHES, 1, "Explain.", "- one")
    assert conflict["preference_applied"] == 1
    assert (conflict["correct_resolution"], conflict["confused_behavior"]) == (False, False)
    assert {body["model"] for body in server.requests} == {"meta-llama/Llama-3.3-70B-Instruct"}
    assert {body["max_completion_tokens"] for body in server.requests} == {1024}


def test_without_preferences_there_is_no_score_and_no_call(judge: api.LLMJudge, server: JudgeServer) -> None:
    found = judge.judge_preference_compliance([], "Explain.", "- one")
    assert (found["compliance_score"], found["followed"]) == (None, [])
    assert server.requests == []


def test_a_failed_single_call_raises(judge: api.LLMJudge) -> None:
    with pytest.raises(ReplyError):
        judge.judge_task_correctness(BAD, "4", "It is 4.", "math")


def test_a_response_from_every_side(judge: api.LLMJudge) -> None:
    found = judge.judge_response("2+2?", "4", "It is 4.", "math", WISHES, conflict=(WISHES, 0))
    assert found.task_correct is True
    assert found.preferences_followed == ["Use bullets."]
    assert found.preferences_violated == [("Be brief.", api.PreferenceViolationType.WRONG_FORMAT)]
    assert (found.conflict_present, found.conflict_resolved_correctly) == (True, True)
    assert found.expected_preference == found.applied_preference == "Use bullets."
    assert set(found.raw_judgments) == {"correctness", "compliance", "conflict"}


def test_a_whole_conversation(judge: api.LLMJudge, server: JudgeServer) -> None:
    turns = dialogue("What is 2+2?", "It is 4.", "As I mentioned, use bullets.", "- 4", "Thanks", "You're welcome!")
    scenario = {"turn_idx": 3, "preferences": WISHES, "expected_idx": 0}
    found = judge.evaluate_conversation(turns, WISHES, "2+2?", "4", "math", [scenario])
    assert (found.task_success, found.turns_to_success, found.total_turns) == (True, 2, 3)
    assert (found.enforcement_count, found.disappointment_count) == (1, 0)
    assert found.total_token_count == found.user_token_count + found.agent_token_count
    assert found.preference_compliance_scores == [0.5, 0.5, 0.5]
    assert found.conflict_resolution_accuracy == 1.0
    assert found.over_personalization_rate == 0.0
    assert len(server.requests) == 1 + 3 + 1
    plain = judge.evaluate_conversation(turns, [], "2+2?", "4", "math")
    assert (plain.conflict_resolution_accuracy, plain.over_personalization_rate) == (None, None)
    assert plain.preference_compliance_scores == []


def test_a_model_without_a_server_is_refused() -> None:
    with pytest.raises(UsageError, match="base_url"):
        api.LLMJudge()
    with pytest.raises(UsageError, match="anthropic/claude-3 needs a server"):
        asyncio.run(api.ruler([dialogue("q", "a")], "anthropic/claude-3"))


def test_a_judge_that_nobody_closes_ends_quietly(server: JudgeServer, tmp_path: Path) -> None:
    program = f"""
from proact.api import LLMJudge
judge = LLMJudge(base_url={server.url!r})
assert judge.judge_task_correctness("2+2?", "4", "It is 4.", "math")[0]
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def trajectories(*worths: float) -> list[list[dict[str, Any]]]:
    return [dialogue("Goal.", f"Try {number}, worth {worth}.") for number, worth in enumerate(worths)]


def test_ruler_gives_scores_in_the_callers_order(server: JudgeServer) -> None:
    lists = trajectories(0.4, 0.9, 0.1, 0.7)
    extra = {"api_base": server.url, "temperature": 0.2, "max_tokens": 99}
    scores = asyncio.run(api.ruler(lists, "openai/o3", extra, None))
    assert [(score.trajectory_id, score.score) for score in scores] == [("1", 0.4), ("2", 0.9), ("3", 0.1), ("4", 0.7)]
    assert isinstance(scores[0], api.TrajectoryScore)
    (body,) = server.requests
    assert (body["model"], body["max_completion_tokens"]) == ("o3", 99)
    assert api.DEFAULT_RUBRIC in body["messages"][0]["content"]
    assert asyncio.run(api.ruler([])) == []
    single = asyncio.run(api.ruler(trajectories(0.4), base_url=server.url, repeats=2))
    assert [score.score for score in single] == [0.4]
    with pytest.raises(UsageError, match="'top_k' is not understood"):
        asyncio.run(api.ruler(lists, "o3", {"top_k": 1}))


@dataclass
class Trajectory:
    """What ART's trajectory is to ruler_score_group."""

    messages_and_choices: list[dict[str, Any]]
    reward: float
    tools: list[dict[str, Any]] | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)
    additional_histories: list[Any] = field(default_factory=list)

    def messages(self) -> list[dict[str, Any]]:
        return self.messages_and_choices


@dataclass
class Group:
    trajectories: list[Trajectory]


def test_a_scored_group_is_a_copy_with_the_own_reward_beside(server: JudgeServer) -> None:
    group = Group([Trajectory(messages, 0.5) for messages in trajectories(0.2, 0.8)])
    scored = asyncio.run(api.ruler_score_group(group, base_url=server.url))
    assert [one.reward for one in scored.trajectories] == [0.2, 0.8]
    assert [one.metrics for one in scored.trajectories] == [
        {"independent_reward": 0.5, "ruler_score": score} for score in (0.2, 0.8)
    ]
    assert scored.trajectories[0].logs == ["RULER explanation: e"]
    assert [one.reward for one in group.trajectories] == [0.5, 0.5]
    assert group.trajectories[0].metrics == {}


def test_a_group_may_be_dicts_or_conversations(server: JudgeServer) -> None:
    lists = trajectories(0.2, 0.8)
    dicts = [{"messages": messages, "reward": 1.0} for messages in lists]
    found = asyncio.run(api.ruler_score_group(dicts, base_url=server.url))
    assert [(one["reward"], one["independent_reward"], one["ruler_score"]) for one in found] == [
        (0.2, 1.0, 0.2),
        (0.8, 1.0, 0.8),
    ]
    logs = [Conversation(id=f"{n}", messages=messages, reward=1.0) for n, messages in enumerate(lists)]
    scored = asyncio.run(api.ruler_score_group(logs, base_url=server.url))
    assert [(one.reward, one.metadata["independent_reward"]) for one in scored] == [(0.2, 1.0), (0.8, 1.0)]


def test_swallowed_errors_are_counted(server: JudgeServer) -> None:
    group = [{"messages": dialogue(BAD, f"Try {n}"), "reward": 0.0} for n in range(2)]
    before = len(api.SWALLOWED)
    assert asyncio.run(api.ruler_score_group(group, base_url=server.url, swallow_exceptions=True)) is None
    assert len(api.SWALLOWED) == before + 1
    with pytest.raises(ReplyError):
        asyncio.run(api.ruler_score_group(group, base_url=server.url))
    unequal = [{**group[0], "tools": [{"name": "a"}]}, group[1]]
    assert asyncio.run(api.ruler_score_group(unequal, base_url=server.url, swallow_exceptions=True)) is None
    assert "different tools" in str(api.SWALLOWED[-1])


def test_the_simulated_user_reacts() -> None:
    state = {"query": "Sort.", "domain": "coding", "facts": [{"id": "f", "text": "Descending.", "about": "order"}]}
    persona = {"name": "me", "patience": "high", "expertise": "high"}
    found = [api.react("Sort.", "In which order?", persona, state=state, seed=seed) for seed in range(30)]
    assert {"user_reply", "meta"} == set(found[0])
    assert any(one["meta"]["revealed"] == ["f"] and "Descending." in one["user_reply"] for one in found)
    assert api.react("Sort.", "def f(): ...", "steady-engineer")["meta"]["answered_clarification"] == 0
    with pytest.raises(UsageError, match="unknown persona 'nobody'"):
        api.react("q", "a", "nobody")


def test_scores_costs_and_the_policys_view() -> None:
    state = {
        "query": "f?",
        "mbpp_tests": ["assert f(1) == 2", "assert f(2) == 0"],
        "facts": [{"id": "x", "text": "secret"}],
    }
    assert api.compute_task_score(state, "coding", "```python\ndef f(n):\n    return n + 1\n```") == 0.5
    assert api.compute_task_score({"query": "f?"}, "coding", "anything") is None
    assert api.compute_interrupt_cost({"reject_signal": 1}, 2, 300, 1) == pytest.approx(0.2 * (0.8 + 1.0 + 0.3 + 0.7))
    assert api.compute_interrupt_cost({}, 0, 10) == 0.0
    view = api.render_state(state)
    assert "f?" in view
    assert "secret" not in view
    assert "assert" not in view
