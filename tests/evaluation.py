"""Six conversations of two methods on three tasks, made by hand, with rewards and verdicts; and eval run on them."""

from __future__ import annotations

from typing import Any

from support import Row, persona, state, write_lines

COUNTS = ("n_turns", "n_clarify", "n_questions", "rejects", "answered", "off_topic", "long_turns")
USAGE = {"calls": 2, "prompt_tokens": 100, "completion_tokens": 20}


def played(method: str, task: str, texts: list[str], steps: list[tuple[str, Row]], **fields: Any) -> Row:
    """The mainline of a conversation: user and assistant texts in turn, and (action, meta) of each assistant turn."""
    roles = ("user", "assistant")
    messages = [{"role": roles[index % 2], "content": text} for index, text in enumerate(texts)]
    rollout = [{"at": 2 * index + 1, "action": action, "meta": meta} for index, (action, meta) in enumerate(steps)]
    conversation = f"{task}/pat/{method}/0"
    return {
        "id": f"{conversation}/t0/mainline",
        "group": f"{conversation}/t0",
        "conversation": conversation,
        "state": state(task, query=texts[0]),
        "action": steps[0][0],
        "assistant_msg": texts[1],
        "persona": persona(),
        "user_reaction": {"user_reply": texts[2] if len(texts) > 2 else "", "meta": steps[0][1]},
        "messages": messages,
        "at": 1,
        "rollout": rollout,
        "method": method,
        "model": "openai:test",
        "usage": USAGE,
        **fields,
    }


def earned(line: Row, task_score: float | None, cost: float, status: str, **counts: float) -> Row:
    """The reward of a line; counts that are not given are 0."""
    total = None if task_score is None else round(task_score - cost, 9)
    return {
        "id": line["id"],
        "group": line["group"],
        "components": {**dict.fromkeys(COUNTS, 0.0), **counts},
        "task_score": task_score,
        "status": status,
        "interrupt_cost": cost,
        "total": total,
        "independent": total,
        "spec": "default@1",
    }


def verdict(subject: str, judge: str, at: int | None = None, number: int = 0, **fields: Any) -> Row:
    place = "all" if at is None else f"m{at}.{number}"
    repeat = fields.get("repeat", 0)
    name = f"{subject}/{judge}/{place}" + (f"~{repeat}" if repeat else "")
    return {"id": name, "trajectory": subject, "judge": judge, "at": at, "spec": "s", "model": "openai:judge", **fields}


ASK_A = played(
    "ask", "A",
    ["Sort the list.", "Which order?", "Ascending, please.", "Done: sorted ascending.", "Thanks."],
    [("Clarify", {"answered_clarification": 1, "satisfaction": 0.85}), ("Execute", {"satisfaction": 0.6})],
)  # fmt: skip
ASK_B = played(
    "ask", "B",
    ["Write a plan.", "For whom? And when?", "Just do it, I said so!", "Here is a plan."],
    [("Clarify", {"reject_signal": 1, "satisfaction": 0.3}), ("Execute", {"satisfaction": 0.6})],
)  # fmt: skip
ASK_C = played(
    "ask", "C",
    ["Add two numbers.", "Which ones?", "One and two.", "Three."],
    [("Clarify", {"answered_clarification": 1, "satisfaction": 0.85}), ("Execute", {"satisfaction": 0.6})],
)  # fmt: skip
ACT_A = played(
    "act", "A",
    ["Sort the list.", "Sorted descending.", "That's not what I wanted, please use ascending."],
    [("Execute", {"satisfaction": 0.6})],
)  # fmt: skip
ACT_B = played("act", "B", ["Write a plan.", "Here is one."], [("Execute", {"satisfaction": 0.5})])
ACT_C = played("act", "C", ["Add two numbers.", "Three.", "Thanks."], [("Execute", {"satisfaction": 0.6})])
LINES = [ASK_A, ASK_B, ASK_C, ACT_A, ACT_B, ACT_C]
# The sandbox failed on ASK_C, which therefore has no reward; nothing scores ACT_C.
REWARDS = [
    earned(ASK_A, 1.0, 0.08, "pass", n_questions=1, answered=1),
    earned(ASK_B, 0.5, 0.36, "fail", n_questions=2, rejects=1),
    earned(ACT_A, 0.0, 0.0, "fail"),
    earned(ACT_B, 1.0, 0.0, "pass"),
    earned(ACT_C, None, 0.0, "not_applicable"),
]
VERDICTS = [
    verdict(ASK_A["id"], "effort", score=0.0, detail={"user_tokens": 9, "assistant_tokens": 7}),
    verdict(ASK_B["id"], "effort", score=0.0, detail={"user_tokens": None, "assistant_tokens": None}),
    verdict(ASK_A["id"], "compliance", 1, score=1.0, detail={"over_personalization": []}),
    verdict(ASK_A["id"], "compliance", 3, score=0.5, detail={"over_personalization": [2]}),
    verdict(ASK_A["id"], "conflict", 3, score=1.0, label="resolved"),
    verdict(ASK_A["id"], "conflict", 3, 1, score=0.0, label="unresolved"),
    verdict(ASK_A["id"], "feedback", 2, label="pos_progress", score=0.1, confidence=0.9),
    verdict(ASK_A["id"], "feedback", 4, label="pos_praise", score=0.8, confidence=0.5),
    verdict(ASK_B["id"], "conflict", score=None, label="not_applicable"),
    verdict(ASK_B["id"], "feedback", 2, label="neg_correction", score=-0.8, confidence=0.7),
    verdict(ASK_C["id"], "compliance", 1, score=None, label="not_applicable", detail={"over_personalization": []}),
    verdict(ASK_C["id"], "compliance", 3, score=None, label="not_applicable", detail={"over_personalization": [1]}),
    verdict(ASK_C["id"], "conflict", 3, score=1.0, label="resolved"),
    verdict(ASK_C["id"], "feedback", 2, label="topic_shift", score=0.0, confidence=0.9),
    verdict(ACT_A["id"], "compliance", 1, score=0.0, detail={"over_personalization": [1, 2]}),
    verdict(ACT_A["id"], "conflict", 1, score=0.0, label="unresolved"),
    verdict(ACT_A["id"], "feedback", 2, label="neg_constraint_restate", score=-1.0, confidence=1.0),
    verdict(ACT_B["id"], "compliance", score=None, label="not_applicable"),
    verdict(ACT_B["id"], "conflict", score=None, label="not_applicable"),
    verdict(ACT_C["id"], "compliance", 1, score=1.0, detail={"over_personalization": [3]}),
    verdict(ACT_C["id"], "conflict", score=None, label="not_applicable"),
]


def written(
    lines: list[Row] = LINES, rewards: list[Row] = REWARDS, verdicts: list[Row] = VERDICTS
) -> tuple[object, ...]:
    """Writes the files into the working folder; returns the arguments of eval that name them."""
    write_lines("t.jsonl", lines)
    write_lines("r.jsonl", rewards)
    write_lines("v.jsonl", verdicts)
    return "t.jsonl", "--rewards", "r.jsonl", "--verdicts", "v.jsonl", "--out", "eval"
