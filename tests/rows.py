"""Trajectory lines made by hand, and the reward command on them."""

from __future__ import annotations

from typing import Any

from support import Cli, Row, persona, read_lines, state, succeeded

META = {"satisfaction": 0.5}


def line(branch: str, turns: list[tuple[str, str, Row]], *, group: str = "g", replicate: int = 0, **fields: Any) -> Row:
    """A trajectory of these (action, message, meta) turns; `fields` replace its own."""
    task = fields.pop("state", None) or state()
    messages = [{"role": "user", "content": task["query"]}]
    rollout = []
    for action, message, meta in turns:
        rollout.append({"at": len(messages), "action": action, "meta": {**META, **meta}})
        messages += [{"role": "assistant", "content": message}, {"role": "user", "content": "Go on."}]
    return {
        "id": f"{group}/{branch}" + (f"~{replicate}" if replicate else ""),
        "group": group,
        "conversation": group,
        "state": task,
        "action": turns[0][0],
        "assistant_msg": turns[0][1],
        "persona": persona(),
        "user_reaction": {"user_reply": "Go on.", "meta": rollout[0]["meta"]},
        "is_mainline": branch == "mainline",
        "branch": branch,
        "replicate": replicate,
        "messages": messages,
        "at": 1,
        "rollout": rollout,
        "method": "m",
        "job": f"{group}/{branch}~{replicate}",
        **fields,
    }


def reward_rows(cli: Cli, *arguments: object, code: int = 0) -> dict[str, Row]:
    """Runs `proact reward` on t.jsonl and returns the rewards by id; pairs are in pairs.jsonl."""
    files = ("--trajectories", "t.jsonl", "--rewards", "rewards.jsonl", "--out", "pairs.jsonl")
    succeeded(cli("reward", *files, *arguments), code)
    return {row["id"]: row for row in read_lines("rewards.jsonl")}
