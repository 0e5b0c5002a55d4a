"""The embedded model, really trained for a few steps, and run from its GGUF file by the engine without torch."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support import Cli, Zygote, read_lines, run, succeeded

from proact.cache import cache_dir
from proact.errors import UsageError
from proact.llm import weights
from proact.policies import Decision, Trained
from proact.records import Persona
from proact.worlds import keyring

pytestmark = pytest.mark.local_model
pytest.importorskip("torch")
KEPT = cache_dir()
STATES = 24


@pytest.fixture(autouse=True)
def weights_at_hand(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other test has an empty cache of its own; these need what was fetched."""
    monkeypatch.setenv("PROACT_CACHE_DIR", str(KEPT))


@pytest.fixture(scope="module", params=[(), ("--depth", 12, "--layers", 2, "--full")], ids=["adapter", "cut"])
def made(request: pytest.FixtureRequest, learner: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a policy that has learned for three steps, and the same as GGUF."""
    weights.fetch()
    place = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("PROACT_CACHE_DIR", str(KEPT))
        world = ("--mode", "synthetic", "--world", "keyring", "--split", "train", "--n-states", 60)
        succeeded(learner("generate", *world, "--replicates", 4, "--policy", "always-clarify", "--branches", 1))
        succeeded(learner("reward", "--alpha", 0.3))
        rows = read_lines("data/dpo/pairs.jsonl")[:24]
        Path("pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        training = ("--data", "pairs.jsonl", "--output", "policy", "--epochs", 1, "--lr", 0.003, "--eval-fraction", 0)
        succeeded(learner("train", *training, *request.param))
        succeeded(learner("export", "policy", "--gguf", "policy.gguf"))
    return place


def chances(policy: str, states: list[Any]) -> list[float]:
    persona = Persona(name="neutral")

    async def all_of_them() -> list[float]:
        opened = Trained(policy)
        asked = [
            Decision(state=state, persona=persona, messages=[{"role": "user", "content": state.query}])
            for state in states
        ]
        return [p for p, _ in await asyncio.gather(*map(opened.p_clarify, asked))]

    return asyncio.run(all_of_them())


def test_the_engine_decides_as_torch_does(made: Path) -> None:
    states = list(keyring.states(STATES))
    torch, engine = (chances(str(made / name), states) for name in ("policy", "policy.gguf"))
    assert max(abs(one - other) for one, other in zip(torch, engine, strict=True)) < 0.05
    close = sum((one >= 0.5) == (other >= 0.5) for one, other in zip(torch, engine, strict=True))
    assert close >= 0.98 * STATES


def test_generate_plays_the_exported_policy_without_torch(made: Path, tmp_path: Path) -> None:
    for name in ("policy.gguf", "policy.meta.json"):
        shutil.copy(made / name, name)
    for name in ("torch", "transformers", "peft", "trl", "gguf"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not here')", "utf-8")
    world = ("--mode", "synthetic", "--world", "keyring", "--n-states", 2, "--branches", 0)
    succeeded(run("generate", *world, "--policy", "trained:policy.gguf", PYTHONPATH=str(tmp_path)))
    assert {row["policy"] for row in read_lines()} == {"trained:policy.gguf"}


def test_both_files_belong_together(cli: Cli, made: Path) -> None:
    shutil.copy(made / "policy.gguf", "policy.gguf")
    with pytest.raises(UsageError, match="both files make up an exported policy"):
        Trained("policy.gguf")
    found = json.loads((made / "policy.meta.json").read_bytes())
    Path("policy.meta.json").write_text(json.dumps({**found, "weights": "0"}), "utf-8")
    with pytest.raises(UsageError, match="are not the weights that policy.meta.json describes"):
        Trained("policy.gguf")


def test_what_is_no_whole_policy_is_not_exported(learner: Zygote, made: Path) -> None:
    shutil.copytree(made / "policy", "policy")
    kept = shutil.copy(weights.path("smollm2"), "mine.gguf")
    told = Path("policy/policy.json")
    said = json.loads(told.read_bytes())

    def refused(out: str) -> str:
        ran = learner("export", "policy", "--gguf", out)
        assert (ran.code, Path("new.gguf").exists()) == (2, False), ran.err
        return ran.err

    told.write_text(json.dumps({**said, "base": "local:mine.gguf"}), "utf-8")
    assert "mine.gguf and mine.gguf must be different files" in refused("mine.gguf")
    assert weights.fingerprint(Path(kept)) == said["base_fingerprint"]
    told.write_text(json.dumps({**said, "base_fingerprint": "another"}), "utf-8")
    assert "policy: was trained on other weights than local:smollm2 has now" in refused("new.gguf")
    (learned,) = Path("policy").glob("*.safetensors")
    learned.write_bytes(learned.read_bytes()[:-1])
    assert "policy: holds other weights than its policy.json describes" in refused("new.gguf")


def test_the_rebuilt_weights_chat_as_the_engine_does(made: Path) -> None:
    from proact.llm import Request
    from proact.llm.hf import HfModel

    said = [{"role": "user", "content": "What is the capital of France?"}]
    reply = asyncio.run(
        HfModel("local:smollm2").complete(Request(messages=said, temperature=0.0, max_completion_tokens=12))
    )
    assert "Paris" in reply.text
