"""The mean of several trainings, and rounds that go on with one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import Cli, Zygote, read_lines, succeeded, write_lines
from tiny import pairs, tiny_model, trained

from proact.errors import UsageError
from proact.policies import Trained
from proact.training import manifest, soup

torch = pytest.importorskip("torch")

WHOLE = ("--full", "--epochs", 1, "--lr", 0.01)


@pytest.fixture
def cli(learner: Zygote) -> Cli:
    return learner


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    found: dict[str, Any] = load_file(folder / "model.safetensors")
    return found


def test_a_soup_has_the_mean_of_the_weights_and_says_what_it_was_made_of(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs(60))
    for seed in (0, 1, 2):
        trained(cli, base, *WHOLE, "--seed", seed, output=f"order-{seed}")
    folders = [Path(f"order-{seed}") for seed in (0, 1, 2)]
    made = soup.cook(folders, Path("soup"))
    parts, mean = [weights(folder) for folder in folders], weights(Path("soup"))
    assert set(mean) == set(parts[0])
    for name, values in mean.items():
        torch.testing.assert_close(values, sum(part[name] for part in parts) / 3, atol=1e-7, rtol=1e-6)
    assert any(not torch.equal(mean[name], parts[0][name]) for name in mean)
    assert made.settings["soup"] == ["order-0", "order-1", "order-2"]
    assert set(made.metrics.values()) == {None}
    told = [manifest.read(folder) for folder in folders]
    assert set(made.families["train"]) == {family for one in told for family in one.families["train"]}
    assert not set(made.families["train"]) & set(made.families["eval"])
    # It is a policy like any other.
    assert Trained("soup").manifest == made
    assert not (Path("soup") / "train.jsonl").exists()


def test_a_training_goes_on_from_a_soup(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs(40))
    for seed in (0, 1):
        trained(cli, base, *WHOLE, "--seed", seed, output=f"order-{seed}")
    soup.cook([Path("order-0"), Path("order-1")], Path("soup"))
    assert trained(cli, base, *WHOLE, "--start", "soup", output="further")["settings"]["start"] == "soup"


def test_what_has_no_mean_is_refused(cli: Cli, base: Path, tmp_path: Path) -> None:
    write_lines("pairs.jsonl", pairs(40))
    trained(cli, base, *WHOLE, output="whole")
    trained(cli, base, "--epochs", 1, output="adapter")
    trained(cli, base, *WHOLE, "--depth", 1, output="lower")
    trained(cli, tiny_model(tmp_path / "other", seed=1), *WHOLE, output="other")
    for folder, message in {
        "adapter": "adapter: is an adapter, which has no mean with others; train all weights (--full)",
        "lower": "lower: has another depth than whole, so their weights have no mean",
        "other": "other: has another base_fingerprint than whole, so their weights have no mean",
    }.items():
        with pytest.raises(UsageError) as raised:
            soup.cook([Path("whole"), Path(folder)], Path("soup"))
        assert str(raised.value) == message
        assert not Path("soup").exists()


def test_rounds_go_on_with_the_mean_of_several_trainings(cli: Cli, base: Path) -> None:
    learn = ("--world", "keyring", "--alpha", 0.3, "--model", base, "--lr", 0.01, "--epochs", 1, "--even-if-constant")
    size = ("--n-states", 12, "--n-test", 6, "--replicates", 2, "--test-replicates", 1, "--out", "rounds", "--json")
    refused = cli("iterate", "--rounds", 1, *learn, *size, "--soup", 2)
    assert (refused.code, refused.err.strip()) == (
        2,
        "proact: --soup 2: adapters have no mean; train all weights (--full)",
    )
    assert not Path("rounds").exists()
    ran = succeeded(cli("iterate", "--rounds", 2, *learn, *size, "--soup", 2, "--full"))
    for number in (1, 2):
        folder = Path("rounds") / f"round-{number}"
        learners = [folder / "learner-1", folder / "learner-2"]
        found = manifest.read(folder / "policy")
        assert found.settings["soup"] == list(map(str, learners))
        one, other, mean = (weights(path) for path in (*learners, folder / "policy"))
        assert any(not torch.equal(one[name], other[name]) for name in one)
        assert all(torch.allclose(mean[name], (one[name] + other[name]) / 2, atol=1e-7) for name in mean)
        assert f"round-{number}: learner-2: trained in" in ran.err
    starts = {manifest.read(path).settings["start"] for path in learners}
    assert starts == {"rounds/round-1/policy"}
    again = [row for row in read_lines("rounds/round-2/trajectories.jsonl") if row["branch"] == "again"]
    assert {row["continuation"] for row in again} == {"trained:rounds/round-1/policy"}
    # Killed after its learners, a round only takes their mean.
    made = weights(Path("rounds/round-2/policy"))
    Path("rounds/round-2/finished.meta.json").unlink()
    Path("rounds/round-2/policy/policy.json").unlink()
    repeated = succeeded(cli("iterate", "--rounds", 2, *learn, *size, "--soup", 2, "--full"))
    assert json.loads(repeated.out) == json.loads(ran.out)
    assert "round-1: finished before" in repeated.err
    assert all(torch.equal(made[name], values) for name, values in weights(Path("rounds/round-2/policy")).items())
