"""train: a policy from preference pairs. A killed run goes on from its checkpoint; the manifest is written last."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from proact import __version__, console, sidecar
from proact.errors import UsageError
from proact.executor import Task
from proact.keys import digest
from proact.llm import causal, learned, likelihood
from proact.records import PreferencePair
from proact.training import batches, begun, dpo, examples, learnable, lengths, manifest, processes, rewarded, trackers
from proact.training.begun import Begun
from proact.training.manifest import COURSE, CURVES
from proact.training.plan import LIBRARIES, Options, Plan, as_json, asked_for, losses, packages, plan, said
from proact.training.progress import Course

SAME = ("model", "target", "depth", "layers", "lora", "lora_r", "qlora")
"""Settings that a training shares with the one from whose weights it starts."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `proact train` was told."""

    data: str
    output: str
    options: Options
    held_out: list[str] = []
    even_if_constant: bool = False
    overwrite: bool = False


def perform(task: Task) -> bytes:
    """Run the stage; returns the summary that the command prints, as JSON."""
    settings = msgspec.json.decode(task.settings, type=Settings)
    return msgspec.json.encode(TrainRun(settings).run())


class TrainRun:
    """One run of the stage."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.options = settings, settings.options
        self.folder, self.data = Path(settings.output), Path(settings.data)
        self.meta = sidecar.read_meta(self.data)
        self.by_reward = losses(self.options.loss, self.options.target) == [rewarded.NAME]
        self._refuse_sources()
        self._refuse_constant()
        self._refuse_selected()
        self.pairs = self._weighted(examples.read(self.data, by_reward=self.by_reward))
        self.split = examples.split(self.pairs, self.options.eval_fraction, self.options.seed)
        examples.leaks(self.split.train, [Path(path) for path in settings.held_out])
        self.trackers = trackers.named(self.options.report_to)
        self.start = manifest.read(Path(self.options.start)) if self.options.start else None

    def run(self) -> dict[str, Any]:
        started = time.monotonic()
        causal.needed(*LIBRARIES)
        asked_for(self.options, causal.device())
        start = [self.start.weights] if self.start else []
        # Who is told of a training changes nothing in it.
        told = msgspec.structs.replace(self.options, report_to="none")
        key = digest(msgspec.to_builtins(told), [msgspec.to_builtins(pair) for pair in self.pairs], *start)
        if found := self._finished(key):
            return self._report(found, time.monotonic() - started)
        if self.options.gpus > 1 and processes.count() == 1:
            processes.launch(self.options.gpus, self.folder)
            return self._report(manifest.read(self.folder), time.monotonic() - started)
        with TemporaryDirectory() as aside:
            books = self.folder if processes.first() else Path(aside)
            course = Course(books / COURSE, shown=processes.first())
            try:
                return self._report(self._trained(key, books, course), time.monotonic() - started)
            finally:
                course.close()

    def _trained(self, key: str, books: Path, course: Course) -> manifest.Manifest:
        model, tokenizer = dpo.base_model(self.options.model, qlora=self.options.qlora)
        chosen = plan(self.options, model.num_parameters(), causal.layers(model))
        base = causal.fingerprint(self.options.model, model)
        self._refuse_start(chosen, base)
        causal.cut(self.options.model, model, chosen.depth)
        learnable.suits(chosen, model)
        rows, left_out = self._rows(tokenizer, chosen, causal.context(model))
        begun.begin(books, Begun(key=key, base=base, plan=as_json(chosen)), overwrite=self.settings.overwrite)
        if processes.first():
            console.note(f"train: {said(chosen)}")
            console.note(f"train: {len(rows[0])} pairs to learn from, {len(rows[1])} held out; the first one reads\n")
            console.note(_shown(rows[0][0]))
        dpo.train(chosen, model, tokenizer, rows, self.folder, course, self.trackers)
        found = self._manifest(chosen, base, tokenizer, rows, left_out, course)
        _draw(course, books / CURVES)
        manifest.write(books, found)
        if books == self.folder:
            shutil.rmtree(self.folder / dpo.CHECKPOINTS, ignore_errors=True)
        return found

    def _refuse_start(self, chosen: Plan, base: str) -> None:
        """Weights can only take the place of others like them."""
        if self.start is None or self.options.start is None:
            return
        learned.unchanged(Path(self.options.start), self.start)
        theirs, ours = {**self.start.settings, "weights": self.start.base_fingerprint}, as_json(chosen)
        for name, value in {**{name: ours[name] for name in SAME}, "weights": base}.items():
            if (other := theirs.get(name)) != value:
                raise UsageError(
                    f"--start {self.options.start}: was trained with another {name} than this training: "
                    f"{other}, not {value}"
                )

    def _refuse_sources(self) -> None:
        """What a training reads must outlive what it writes."""
        for option, read in (("model", self.options.model.removeprefix("hf:")), ("start", self.options.start)):
            if read and self.folder.exists() and self.folder.resolve() == Path(read).resolve():
                raise UsageError(f"--output {self.folder}: is what --{option} reads; choose another one")

    def _refuse_constant(self) -> None:
        action = self.meta.get("constant_policy")
        if action and not self.settings.even_if_constant:
            raise UsageError(
                f"{self.data}: the best policy is constant, always {action}; there is nothing to learn "
                "(--even-if-constant trains anyway)"
            )

    def _refuse_selected(self) -> None:
        chosen = "thinned" if self.meta.get("thinned") else self.meta.get("pairs")
        if self.by_reward and chosen in ("thinned", "best-worst"):
            raise UsageError(
                f"{self.data}: holds {chosen} pairs, selected by how far their rewards differ, so --loss reward would "
                "learn too large an advantage; write them with reward --no-thin"
            )

    def _weighted(self, pairs: list[PreferencePair]) -> list[PreferencePair]:
        """Pairs that weigh the same, which is what the losses take; one that is given rewards needs no weights."""
        if self.by_reward or self.meta.get("pairs") == "best-worst" or all(pair.weight == 1.0 for pair in pairs):
            return pairs
        return examples.drawn(pairs, self.options.seed)

    def _finished(self, key: str) -> manifest.Manifest | None:
        """The policy that the same command has made before."""
        if self.settings.overwrite:
            begun.refuse_foreign(self.folder)
            return None
        return begun.finished(self.folder, key, causal.here(self.options.model))

    def _rows(self, tokenizer: Any, chosen: Plan, context: int) -> tuple[tuple[list[Any], list[Any]], int]:
        both = [
            [{**examples.row(pair, chosen.target), **examples.facts(pair)} for pair in part]
            for part in (self.split.train, self.split.held_out)
        ]
        if self.by_reward:
            for row, word in zip(both[0], examples.subjects(self.split.train), strict=True):
                row[batches.FORETOLD] = likelihood.words_after(tokenizer, [f" {word}"])[0] if word else []
        given = (chosen.max_length, f"--max-length {chosen.max_length} tokens")
        limit, room = min(given, (context, f"the {context} tokens that {chosen.model} reads"))
        learn, measure = (lengths.fitting(tokenizer, rows, limit) for rows in both)
        if not learn:
            raise UsageError(f"{self.data}: no pair fits into {room}")
        return (learn, measure), sum(map(len, both)) - len(learn) - len(measure)

    def _manifest(
        self, chosen: Plan, base: str, tokenizer: Any, rows: tuple[list[Any], list[Any]], left_out: int, course: Course
    ) -> manifest.Manifest:
        figures = ("loss", "margin", "accuracy", "eval_loss", "eval_margin", "eval_accuracy")
        words = manifest.WORDS if chosen.target == "action" else {}
        return manifest.Manifest(
            version=__version__,
            base=chosen.model,
            base_fingerprint=base,
            depth=chosen.depth,
            target=chosen.target,
            renderer=manifest.renderer(),
            adapter=chosen.lora,
            weights=causal.content(self.folder),
            settings=as_json(chosen),
            data={
                "file": str(self.data),
                "pairs": len(self.pairs),
                "train": len(rows[0]),
                "eval": len(rows[1]),
                "left_out": left_out,
                "spec": self.pairs[0].spec,
            },
            families=self.split.families,
            spelling={action: likelihood.spelling(tokenizer, word) for action, word in words.items()},
            metrics={name: course.last(name) for name in figures},
            packages=packages(),
        )

    def _report(self, found: manifest.Manifest, seconds: float) -> dict[str, Any]:
        return {
            "output": str(self.folder),
            "base": found.base,
            "target": found.target,
            "pairs": found.data["pairs"],
            "train": found.data["train"],
            "eval": found.data["eval"],
            "left_out": found.data["left_out"],
            "settings": found.settings,
            "metrics": found.metrics,
            "seconds": round(seconds, 2),
            "exit_code": 0,
        }


def _shown(row: dict[str, Any]) -> str:
    if isinstance(row["prompt"], str):
        return f"{row['prompt']}|{row['chosen']}\n\n(chosen:{row['chosen']}, rejected:{row['rejected']})\n"
    said = [f"[{message['role']}] {message.get('content') or ''}" for message in row["prompt"]]
    return "\n".join(
        [*said, f"[chosen] {row['chosen'][0]['content']}", f"[rejected] {row['rejected'][0]['content']}", ""]
    )


def _draw(course: Course, path: Path) -> None:
    from proact import plots

    try:
        plots.needed(avoidable=False)
    except UsageError as error:
        console.note(f"train: no {path.name}: {error}")
        return
    plots.save(plots.training(course.rows), path)


def show(report: dict[str, Any]) -> None:
    rows = [[name, report[name]] for name in ("pairs", "train", "eval", "left_out", "seconds")]
    rows += [[name.replace("_", " "), value] for name, value in report["metrics"].items()]
    console.table(f"train: {report['output']} from {report['base']}", ["", "value"], rows)
