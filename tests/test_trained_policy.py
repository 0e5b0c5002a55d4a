"""A trained policy as `generate --policy trained:` asks it, a transformers model that chats, and what is exported."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from itertools import chain
from math import exp
from pathlib import Path

import pytest
from support import Cli, Row, Zygote, read_lines, succeeded, write_lines
from tiny import means, pairs, rounding, tiny_model, trained

from proact.errors import ModelError, UsageError
from proact.llm import Request, causal, hf, likelihood, prefixes
from proact.policies import Decision, Trained, open_policy
from proact.records import Persona, State
from proact.render import action_prompt
from proact.training import manifest

torch = pytest.importorskip("torch")


@pytest.fixture
def cli(learner: Zygote) -> Cli:
    return learner


WORLD = ("--mode", "synthetic", "--world", "keyring")


@pytest.fixture(scope="module")
def made(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that has learned to ask where it must."""
    import msgspec

    from proact.executor import Task, perform
    from proact.stages import train
    from proact.training.plan import Options

    folder = tmp_path_factory.mktemp("trained")
    write_lines(folder / "pairs.jsonl", pairs(60))
    options = Options(model=str(base), lr=0.02, epochs=6)
    settings = train.Settings(data=str(folder / "pairs.jsonl"), output=str(folder / "policy"), options=options)
    perform(Task("train", msgspec.json.encode(settings)))
    return folder / "policy"


@pytest.fixture
def policy(made: Path) -> Path:
    """A copy in the working folder, to be spoiled."""
    return Path(shutil.copytree(made, "policy"))


def decision(query: str, **fields: object) -> Decision:
    state = State(id="s", domain="coding", query=query, tests=["assert secret"], **fields)  # type: ignore[arg-type]
    persona = Persona(name="pat", patience="low", profile="Works in a hurry.")
    return Decision(state=state, persona=persona, messages=[{"role": "user", "content": query}])


def asked(policy: Path, *decisions: Decision) -> list[float]:
    async def together() -> list[float]:
        opened = Trained(str(policy))
        return [p for p, _ in await asyncio.gather(*(opened.p_clarify(one) for one in decisions))]

    return asyncio.run(together())


def test_it_has_learned_what_the_requests_say(policy: Path) -> None:
    must = [decision(f"Write function number {n}; you must ask me what it does.") for n in range(60, 70)]
    need_not = [decision(f"Write function number {n}; it returns its argument.") for n in range(60, 70)]
    chances = asked(policy, *must, *need_not)
    assert sum(p >= 0.5 for p in chances[:10]) >= 9
    assert sum(p < 0.5 for p in chances[10:]) >= 9


def test_the_probability_is_the_softmax_of_mean_log_probabilities(policy: Path, base: Path) -> None:
    """Worked out once more with the adapter unmerged."""
    from peft import PeftModel

    model, tokenizer, _ = causal.load(str(base))
    with causal.quiet():
        model = PeftModel.from_pretrained(model, str(policy)).eval()
    one = decision("Write function number 7; you must ask me what it does.", dialogue_turn=1)
    prompt = action_prompt(State(**one.state.visible()), one.persona.profile, one.messages)
    clarify, execute = means(model, tokenizer, prompt)
    expected = 1 / (1 + exp(execute - clarify))
    assert asked(policy, one)[0] == pytest.approx(expected, abs=0.02)


def test_a_batch_gives_what_each_state_gives_alone(policy: Path) -> None:
    some = [decision(f"Write function number {n}; {'please ' * n}ask me what it does.") for n in range(12)]
    together = asked(policy, *some)
    for one, chance in zip(some[::4], together[::4], strict=True):
        assert asked(policy, one)[0] == pytest.approx(chance, abs=0.02)


def test_a_state_that_is_too_long_fails_alone(policy: Path) -> None:
    async def together() -> list[object]:
        opened = Trained(str(policy))
        some = [decision("Write it."), decision("long " * 2000), decision("Ask me.")]
        return list(await asyncio.gather(*map(opened.p_clarify, some), return_exceptions=True))

    short, long, other = asyncio.run(together())
    assert isinstance(long, ModelError)
    assert isinstance(short, tuple)
    assert isinstance(other, tuple)


def test_generate_takes_its_probability_and_the_threshold_moves_it(cli: Cli, policy: Path) -> None:
    for threshold, expected in ((0, {"Clarify"}), (1, {"Execute"})):
        out = f"t{threshold}.jsonl"
        play = (*WORLD, "--n-states", 6, "--policy", f"trained:{policy}", "--clarify-threshold", threshold)
        ran = succeeded(cli("generate", *play, "--branches", 0, "--out", out, "--json"))
        rows = read_lines(out)
        assert {row["action"] for row in rows} == expected
        assert all(row["policy"] == "trained:policy" and 0 <= row["p_clarify"] <= 1 for row in rows)
        assert json.loads(ran.out)["seen_in_training"] == 0


def test_several_states_are_played_side_by_side(cli: Cli, policy: Path) -> None:
    play = (*WORLD, "--n-states", 10, "--replicates", 2, "--branches", 0, "--concurrency", 1)
    succeeded(cli("generate", *play, "--policy", f"trained:{policy}"))
    rows = [row for row in read_lines() if row["decision_point"] == 0]
    places = {name: place for place, name in enumerate(dict.fromkeys(row["state"]["id"] for row in rows))}
    order = [(places[row["state"]["id"]], row["replicate"]) for row in rows]
    blocks = (range(8), range(8, 10))
    assert order == [(state, replicate) for block in blocks for replicate in range(2) for state in block]


def test_states_that_it_was_trained_on_are_counted(cli: Cli, policy: Path) -> None:
    found = json.loads((policy / "policy.json").read_bytes())
    states = [{"id": "x", "domain": "coding", "query": "Write it.", "family": found["families"]["train"][0]}]
    write_lines("states.jsonl", [*states, {"id": "y", "domain": "coding", "query": "Write it.", "family": "new"}])
    play = ("--dataset", "states.jsonl", "--model", "synthetic:", "--policy", "trained:policy")
    assert json.loads(succeeded(cli("generate", *play, "--json")).out)["seen_in_training"] == 2 - 1


def test_another_policy_under_the_same_name_is_a_conflict(cli: Cli, policy: Path) -> None:
    play = (*WORLD, "--n-states", 2, "--policy", "trained:policy")
    succeeded(cli("generate", *play))
    found = json.loads((policy / "policy.json").read_bytes())
    (policy / "policy.json").write_text(json.dumps({**found, "weights": "0123456789abcdef"}), "utf-8")
    ran = cli("generate", *play)
    assert (ran.code, "policy_weights" in ran.err) == (2, True)


def spoil(policy: Path, **fields: object) -> None:
    found = json.loads((policy / "policy.json").read_bytes())
    (policy / "policy.json").write_text(json.dumps({**found, **fields}), "utf-8")


def test_what_does_not_fit_is_an_error_and_never_another_policy(policy: Path, base: Path) -> None:
    with pytest.raises(UsageError, match="holds no trained policy"):
        Trained("nothing/here")
    one = decision("Write it.")
    weights = json.loads((policy / "policy.json").read_bytes())["weights"]
    spoil(policy, weights="another")
    with pytest.raises(UsageError, match="holds other weights than its policy.json describes"):
        asked(policy, one)
    spoil(policy, weights=weights, base_fingerprint="another")
    with pytest.raises(UsageError, match="was trained on other weights"):
        asked(policy, one)
    (policy / "adapter_model.safetensors").unlink()
    with pytest.raises(UsageError, match="holds other weights"):
        asked(policy, one)
    with pytest.raises(UsageError, match="the adapter is missing"):
        causal.load(str(base), policy)
    spelling = json.loads((policy / "policy.json").read_bytes())["spelling"]
    for half in ({}, {"Clarify": spelling["Clarify"]}, {**spelling, "Execute": []}):
        spoil(policy, spelling=half)
        with pytest.raises(UsageError, match="it does not spell Clarify and Execute"):
            Trained(str(policy))
    spoil(policy, spelling=spelling, renderer="older")
    with pytest.raises(UsageError, match="written in another way"):
        Trained(str(policy))
    spoil(policy, label_bias=0.5)
    with pytest.raises(UsageError, match="is not the manifest of a trained policy: .*`label_bias`"):
        Trained(str(policy))
    (policy / "policy.json").write_text("{}", "utf-8")
    with pytest.raises(UsageError, match="is not the manifest of a trained policy"):
        Trained(str(policy))


def test_a_manifest_without_its_families_is_refused(cli: Cli, policy: Path) -> None:
    spoil(policy, families={})
    ran = cli("generate", *WORLD, "--policy", "trained:policy")
    told = "policy/policy.json: is not the manifest of a trained policy: Object missing required field `train`"
    assert (ran.code, told in ran.err, len(ran.err.splitlines())) == (2, True, 1)


@pytest.mark.parametrize("family", ["GPT2", "Mixtral", "Falcon", "Bloom"])
def test_models_of_other_architectures_are_trained_and_asked(cli: Cli, family: str) -> None:
    write_lines("pairs.jsonl", pairs(8))
    base = tiny_model(Path("other"), family=family)
    trained(cli, base, "--epochs", 1, "--lr", 0.01)
    one = decision("Write function number 7; you must ask me what it does.")
    model, tokenizer, _ = causal.load(str(base), Path("policy"))
    clarify, execute = means(model, tokenizer, action_prompt(one.state, one.persona.profile, one.messages))
    assert asked(Path("policy"), one)[0] == pytest.approx(1 / (1 + exp(execute - clarify)), abs=rounding())


def test_an_unknown_policy_names_the_choices() -> None:
    with pytest.raises(UsageError, match="trained:FOLDER"):
        open_policy("trained", None, "synthetic:", None)  # type: ignore[arg-type]


def chat(model: hf.HfModel, **fields: object) -> str:
    request = Request(messages=[{"role": "user", "content": "key list"}], max_completion_tokens=12, **fields)  # type: ignore[arg-type]
    return asyncio.run(model.complete(request)).text


def test_a_chat_is_greedy_at_zero_and_drawn_by_the_request_alone_above(base: Path) -> None:
    model = hf.HfModel(str(base))
    loaded = causal.load(str(base))
    ids = loaded.tokenizer("<|user|>key list<|end|><|assistant|>", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        out = loaded.model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)[0, len(ids) :]
    assert chat(model, temperature=0.0) == loaded.tokenizer.decode(out, skip_special_tokens=True).strip()
    drawn = [chat(model, temperature=2.0, sample=sample) for sample in (0, 1, 0)]
    assert drawn[0] == drawn[2] != drawn[1]
    assert chat(hf.HfModel(str(base)), temperature=2.0, sample=1) == drawn[1]


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-8])


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda folder: cut_off(folder / "adapter_model.safetensors"), "policy: holds other weights than"),
        (lambda folder: spoil(folder, base_fingerprint="another"), "policy: was trained on other weights than"),
        (lambda folder: (folder / "policy.json").write_text("{}"), "policy/policy.json: is not the manifest of a"),
    ],
)
def test_a_policy_chats_with_the_weights_that_it_was_trained_with(
    policy: Path, harm: Callable[[Path], object], told: str
) -> None:
    chat(hf.HfModel("policy"))
    harm(policy)
    with pytest.raises(UsageError, match=told):
        chat(hf.HfModel("policy"))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda folder: cut_off(folder / "adapter_model.safetensors"), "policy: the adapter does not fit its model"),
        (lambda folder: (folder / "adapter_config.json").write_text("{}"), "is not the description of an adapter"),
    ],
)
def test_an_adapter_of_another_tool_chats_or_is_refused(
    policy: Path, harm: Callable[[Path], object], told: str
) -> None:
    (policy / "policy.json").unlink()
    chat(hf.HfModel("policy"))
    harm(policy)
    with pytest.raises(UsageError, match=told):
        chat(hf.HfModel("policy"))


def other_sizes(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 64}), "utf-8")


def one_less(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda folder: cut_off(folder / "model.safetensors"), "cannot be loaded: "),
        (lambda folder: (folder / "model.safetensors").write_bytes(b""), "cannot be loaded: "),
        (other_sizes, "cannot be loaded: "),
        (one_less, "lacks 1 of the weights that its configuration names, as model.norm.weight"),
    ],
    ids=["cut", "empty", "sizes", "one less"],
)
def test_a_damaged_model_is_refused_in_a_line(cli: Cli, harm: Callable[[Path], object], told: str) -> None:
    harm(tiny_model(Path("model")))
    write_lines("pairs.jsonl", pairs(4))
    play = ("generate", "--mode", "synthetic", "--domain", "coding", "--n-states", 1, "--model", "hf:model")
    for ran in (cli("train", "--data", "pairs.jsonl", "--model", "model"), cli(*play)):
        assert (ran.code, "Traceback" in ran.err) == (2, False)
        assert ran.err.splitlines()[-1].startswith(f"proact: model: {told}")


def test_a_damaged_gguf_is_refused_in_a_line(cli: Cli) -> None:
    Path("model.gguf").write_bytes(b"GGUF")
    write_lines("pairs.jsonl", pairs(4))
    ran = cli("train", "--data", "pairs.jsonl", "--model", "local:model.gguf")
    told = "proact: model.gguf: transformers cannot read this model: "
    assert (ran.code, ran.err.startswith(told), len(ran.err.splitlines())) == (2, True, 1)


def test_a_template_that_takes_no_system_message_is_named(cli: Cli) -> None:
    refusal = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    file = tiny_model(Path("model")) / "chat_template.jinja"
    file.write_text(refusal + file.read_text("utf-8"), "utf-8")
    ran = cli("generate", "--mode", "synthetic", "--domain", "coding", "--n-states", 1, "--model", "hf:model")
    told = "proact: the chat template of this model takes no messages like these: System role not supported\n"
    assert (ran.code, ran.err.endswith(told), "Traceback" in ran.err) == (2, True, False)


def test_replies_belong_to_the_weights_that_gave_them(base: Path, tmp_path: Path) -> None:
    first = hf.HfModel(str(tiny_model(tmp_path / "one"))).endpoint
    assert hf.HfModel(str(tiny_model(tmp_path / "one", seed=1))).endpoint != first
    assert hf.HfModel(str(tiny_model(tmp_path / "two", seed=0))).endpoint == first


def test_weights_of_the_older_format_have_a_name_too(tmp_path: Path) -> None:
    found = set()
    for seed in (0, 1):
        folder = tiny_model(tmp_path / "model", seed=seed)
        torch.save(causal.load(str(folder)).model.state_dict(), folder / "pytorch_model.bin")
        whole = causal.content(folder)
        (folder / "model.safetensors").unlink()
        found |= {whole, causal.fingerprint(str(folder), causal.load(str(folder)).model)}
    assert len(found) == 4


def test_weights_kept_to_be_read_give_the_same_numbers_and_need_no_conversion(base: Path) -> None:
    texts, words = ["key " * 9 + "Action:", "list Action:"], [" Clarify", " Execute"]
    whole, kept = causal.load(str(base)), causal.reader(str(base))
    assert likelihood.Chances(kept, words)(texts) == likelihood.Chances(whole, words)(texts)
    multiplied = {part.weight.dtype for part in kept.model.modules() if isinstance(part, torch.nn.Linear)}
    assert multiplied == {torch.bfloat16 if causal.short_floats() else torch.float32}
    assert {part.weight.dtype for part in whole.model.modules() if isinstance(part, torch.nn.Linear)} == {torch.float32}


def test_a_prompt_that_just_fits_is_read(base: Path) -> None:
    loaded = causal.load(str(base))
    room = max(map(len, likelihood.words_after(loaded.tokenizer, [" Clarify", " Execute"])))
    lengths = {n: len(loaded.tokenizer("a" * n + " Action:")["input_ids"]) for n in range(900, 1024)}
    most = max(n for n, length in lengths.items() if length + room <= 1024)
    chances = likelihood.Chances(loaded, [" Clarify", " Execute"])
    assert len(chances(["a" * most + " Action:"])[0]) == 2
    with pytest.raises(ModelError, match="the model holds 1024"):
        chances(["a" * (most + 1) + " Action:"])


@pytest.mark.parametrize("family", ["Llama", "Qwen3"])
def test_a_later_turn_reads_what_is_new_and_has_the_same_chances(family: str, tmp_path: Path) -> None:
    dialogues = ["key " * 90, "list " * 70 + "key " * 9, "user list " * 20]
    turns = [[f"{text}{'list key ' * 3 * turn}Action:" for text in dialogues] for turn in range(3)]
    read: list[int] = []
    loaded = causal.load(str(tiny_model(tmp_path, family=family)))
    loaded.model.register_forward_pre_hook(
        lambda model, inputs, more: read.append(more["input_ids"].shape[1]), with_kwargs=True
    )
    chances = likelihood.Chances(loaded, [" Clarify", " Execute"])
    followed = [chances(turn) for turn in turns]
    first, *later = [tokens for tokens in read if tokens >= 32]
    assert (first, later) == (96, [32, 32])
    # Another order, other neighbours, and a dialogue that is met again.
    apart = [likelihood.Chances(loaded, [" Clarify", " Execute"])([text])[0] for turn in turns for text in turn]
    near = 0.01 if causal.short_floats() else 1e-4
    for found, expected in zip([*chain(*followed), *chances(turns[1][::-1])], [*apart, *apart[5:2:-1]], strict=True):
        assert found == pytest.approx(expected, abs=near)


@pytest.mark.parametrize("family", ["Gemma2", "Mistral", "GPT2", "Mamba"])
def test_a_model_that_is_no_plain_stack_reads_every_prompt_whole(family: str, tmp_path: Path) -> None:
    model, tokenizer, _ = loaded = causal.load(str(tiny_model(tmp_path, family=family)))
    chances = likelihood.Chances(loaded, [" Clarify", " Execute"])
    prompts = ["key " * 90 + "Action:", "list Action:"]
    for _ in range(2):
        for prompt, found in zip(prompts, chances(prompts), strict=True):
            assert found == pytest.approx(means(model, tokenizer, prompt), abs=rounding())


def test_what_is_remembered_of_prompts_is_bounded(base: Path) -> None:
    known = prefixes.Prefixes()
    loaded = causal.load(str(base))
    ids = [[place, *range(5)] for place in range(prefixes.KEPT + 1)]
    out = loaded.model(input_ids=torch.tensor(ids), use_cache=True).past_key_values
    for row, tokens in enumerate(ids):
        known.keep(tokens, *prefixes.read(out, row, torch.ones(6, dtype=torch.bool)))
    assert known.begun(ids[0]) == (None, 0)
    assert [known.begun(tokens).common for tokens in ids[1:]] == [5] * prefixes.KEPT


def test_a_prompt_that_is_too_long_fails_by_name(base: Path) -> None:
    request = Request(messages=[{"role": "user", "content": "key " * 3000}])
    with pytest.raises(ModelError, match="the model holds 1024"):
        asyncio.run(hf.HfModel(str(base)).complete(request))


def test_the_best_policy_of_a_world_plays_what_its_table_says(cli: Cli) -> None:
    from proact.worlds import exact

    play = (*WORLD, "--policy", "optimal:0.3", "--multi-turn", "--n-states", 114, "--split", "train")
    succeeded(cli("generate", *play))
    best = exact.best(0.3)
    for row in read_lines():
        if row["decision_point"] == 0:
            hidden = row["state"]["metadata"]
            slots = tuple(sorted(hidden["guesses"].values()))
            assert (row["action"] == "Clarify") == best(exact.Node(slots, 0, hidden["patience"], hidden["skill"]))
    for price in ("cheap", "nan", "inf", "-1"):
        ran = cli("generate", *WORLD, "--policy", f"optimal:{price}")
        assert (ran.code, "expected optimal:ALPHA" in ran.err) == (2, True)


def rewarded(cli: Cli) -> tuple[list[Row], dict[str, float]]:
    succeeded(cli("generate", *WORLD, "--n-states", 12, "--replicates", 2))
    succeeded(cli("reward", "--alpha", 0.3))
    return read_lines(), {row["id"]: row["total"] for row in read_lines("data/logs/rewards.jsonl")}


def test_sft_rows_hold_the_best_branch_of_each_decision(cli: Cli) -> None:
    rows, totals = rewarded(cli)
    succeeded(cli("export", "--format", "sft"))
    written = read_lines("data/dpo/sft.jsonl")
    groups = {row["group"] for row in rows}
    assert len(written) == len(groups) == 12
    for group, row in zip(sorted(groups), written, strict=True):
        branches = [one for one in rows if one["group"] == group]
        best = max(totals[one["id"]] for one in branches)
        said = row["completion"][0]["content"]
        assert said in {one["assistant_msg"] for one in branches if totals[one["id"]] == best}
        assert row["prompt"] == [{"role": "user", "content": branches[0]["state"]["query"]}]


def test_kto_rows_are_signed_by_advantage_and_ties_are_none(cli: Cli) -> None:
    rows, totals = rewarded(cli)
    succeeded(cli("export", "--format", "kto", "--target", "action", "--out", "kto.jsonl"))
    written = read_lines("kto.jsonl")
    expected = []
    for group in sorted({row["group"] for row in rows}):
        values = [totals[row["id"]] for row in rows if row["group"] == group]
        mean = sum(values) / len(values)
        expected += [round(value - mean, 9) for value in values if abs(value - mean) > 1e-9]
    assert sorted(row["advantage"] for row in written) == pytest.approx(sorted(expected))
    assert all(row["label"] == (row["advantage"] > 0) for row in written)
    assert {row["completion"] for row in written} == {" Clarify", " Execute"}
    assert all(row["prompt"].endswith("\nAction:") for row in written)


def test_exported_rows_load_as_they_are(cli: Cli, tmp_path: Path) -> None:
    from datasets import load_dataset

    rewarded(cli)
    for name in ("sft", "kto", "trl-dpo"):
        succeeded(cli("export", "--format", name, "--out", f"{name}.jsonl"))
        loaded = load_dataset("json", data_files=f"{name}.jsonl", cache_dir=str(tmp_path), split="train")
        assert {"prompt"} < set(loaded.column_names)


@pytest.mark.parametrize(
    "arguments", [(), ("policy",), ("--gguf", "x.gguf"), ("policy", "--gguf", "x.gguf", "--format", "sft")]
)
def test_export_wants_one_thing(cli: Cli, arguments: tuple[str, ...]) -> None:
    ran = cli("export", *arguments)
    assert (ran.code, "expected either POLICY --gguf FILE, or --format" in ran.err) == (2, True)


def test_a_policy_of_another_base_is_not_written_as_gguf(cli: Cli, policy: Path) -> None:
    ran = cli("export", "policy", "--gguf", "x.gguf")
    assert (ran.code, "--gguf writes policies trained from local:" in ran.err) == (2, True)
    assert not Path("x.gguf").exists()
    ran = cli("export", "policy", "--gguf", "x.bin")
    assert (ran.code, "--gguf x.bin: expected a name that ends in .gguf" in ran.err) == (2, True)
    assert manifest.read(policy).target == "action"


def test_rounds_without_their_data_set_are_refused(cli: Cli, base: Path) -> None:
    ran = cli("iterate", "--dataset", "nowhere.jsonl", "--assistant", "synthetic:", "--model", base, "--out", "rounds")
    assert (ran.code, ran.err.strip()) == (2, "proact: nowhere.jsonl: no such file")
    assert not Path("rounds").exists()


def test_rounds_are_measured_beside_the_constants_and_the_optimum_and_go_on_after_a_kill(cli: Cli, base: Path) -> None:
    learn = ("--world", "keyring", "--alpha", 0.3, "--model", base, "--lr", 0.01, "--epochs", 1, "--even-if-constant")
    size = ("--n-states", 40, "--replicates", 2, "--test-replicates", 1, "--out", "rounds", "--json")
    first = json.loads(succeeded(cli("iterate", "--rounds", 1, *learn, *size)).out)
    assert [point["method"] for point in first["curve"]] == [
        "always-clarify",
        "always-execute",
        "optimal:0.3",
        "round-1",
    ]
    before = Path("rounds/round-1/policy/policy.json").stat().st_mtime_ns
    priced = {path: path.stat().st_mtime_ns for path in Path("rounds/baselines").glob("*-rewards.jsonl")}
    lost = Path("rounds/baselines/always-clarify-test-rewards.jsonl")
    prices = lost.read_bytes()
    lost.unlink()
    other_plays = Path("rounds/baselines/always-execute-test.jsonl")
    other_plays.write_bytes(b"".join(reversed(other_plays.read_bytes().splitlines(keepends=True))))
    # Where a model is reached decides nothing, nor does what comes later.
    later = ("--later-states", 50, "--base-url", "http://127.0.0.1:9/v1")
    ran = succeeded(cli("iterate", "--rounds", 2, *learn, *size, *later))
    second = json.loads(ran.out)
    assert second["curve"][:4] == first["curve"]
    assert second["curve"][4]["method"] == "round-2"
    assert Path("rounds/round-1/policy/policy.json").stat().st_mtime_ns == before
    assert "round-1: finished before" in ran.err
    assert "round-2: finished before" not in ran.err
    # Plays whose prices are there are not priced again.
    anew = {lost, other_plays.with_name("always-execute-test-rewards.jsonl")}
    assert {path for path, when in priced.items() if path.stat().st_mtime_ns != when} == anew
    assert lost.read_bytes() == prices
    # It goes by what was asked, so another price is no finished round, and changes nothing.
    other = cli("iterate", "--rounds", 2, *learn, *size, "--alpha", 0.6)
    assert (other.code, other.err.strip()) == (
        2,
        "proact: rounds: holds rounds of other states or settings; choose another --out",
    )
    assert lost.read_bytes() == prices
    # Nor is one of fewer states, which would learn from all that were played.
    fewer = cli("iterate", "--rounds", 2, *learn, *size, "--later-states", 49)
    assert (fewer.code, fewer.err.strip().splitlines()[-1]) == (
        2,
        "proact: rounds/round-2/trajectories.jsonl: holds plays of other states than are asked for "
        "(split further: 50 after 40, 2 replicates); choose another --out",
    )
    rows = read_lines("rounds/round-2/trajectories.jsonl")
    before_it = read_lines("rounds/round-1/trajectories.jsonl")
    played = {row["state"]["id"] for row in before_it}
    assert len(played) == 40
    assert not played & {row["state"]["id"] for row in rows}
    assert len({row["state"]["id"] for row in rows}) == 50
    # A larger request is worth learning from once there is a policy to go on by.
    assert {row["state"]["split"] for row in before_it} == {"train"}
    assert {row["state"]["split"] for row in rows} == {"further"}
    assert max(len(row["state"]["facts"]) for row in rows) == 4
    again = [row for row in rows if row["branch"] == "again"]
    assert again
    assert all(row["continuation"] == "trained:rounds/round-1/policy" for row in again)
    assert read_lines("rounds/curve.jsonl") == second["curve"]
    optimal = second["curve"][2]
    assert optimal["tasks"] == 36
    assert optimal["ask_rate"] == pytest.approx(21 / 36)
