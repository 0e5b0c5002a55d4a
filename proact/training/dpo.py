"""Direct preference optimisation by TRL: from a plan and rows to the weights of a policy.

Rafailov et al. 2023, arXiv 2305.18290. proact adds no token, and one loss to TRL's (`rewarded`).
"""

from __future__ import annotations

import json
import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from proact import disk
from proact.errors import Diverged, UsageError
from proact.llm import causal, likelihood
from proact.training import batches, head, learnable, processes, products, rewarded, shared, trackers
from proact.training.batches import ACTION, DIALOGUE
from proact.training.lengths import LENGTH
from proact.training.manifest import WORDS
from proact.training.plan import Plan
from proact.training.progress import Course

CHECKPOINTS = "checkpoints"
KEPT = 2
LOSSES = {"loss", "eval_loss"}
WARMUP = 0.1
FORGETS = 0.99
"""AdamW's second beta: a training has hundreds of steps, and the usual mean over a thousand never forgets the first."""
LOGGED = 50
SAVED = 10
MEASURE_AT_ONCE = 2
"""Batches that are read together where nothing learns."""
MEASURED = 5
"""Checkpoints between two looks at the pairs held out; a step is measured before it is saved, so none is lost."""


def base_model(name: str, *, qlora: bool) -> tuple[Any, Any]:
    """The model to train and its tokenizer. Raises UsageError when it cannot be loaded or has no end-of-text token."""
    import torch

    how: dict[str, Any] = {"dtype": torch.float32}
    if qlora:
        from transformers import BitsAndBytesConfig

        kept = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.bfloat16}
        how = {"quantization_config": BitsAndBytesConfig(load_in_4bit=True, **kept)}
    model, tokenizer = causal.opened(name, **how)
    if tokenizer.eos_token is None:
        raise UsageError(f"{name}: its tokenizer has no end-of-text token (eos_token), which ends what is trained")
    return model, tokenizer


def train(
    plan: Plan,
    model: Any,
    tokenizer: Any,
    rows: tuple[list[dict[str, Any]], list[dict[str, Any]]],
    folder: Path,
    course: Course,
    report_to: list[str],
) -> None:
    """Train, and save adapter or weights into `folder`; goes on from the last whole checkpoint there.

    Raises Diverged when the loss is no number any more, OutputError when a checkpoint cannot be written or
    a tracker stops.
    """
    from transformers import PrinterCallback

    with ExitStack() as stack:
        stack.enter_context(trackers.telling(report_to))
        stack.enter_context(causal.quiet())
        ahead = _spared(plan, model, tokenizer, stack)
        trainer = _trainer(plan, model, tokenizer, rows, folder, report_to, ahead, course)
        if plan.lora and plan.device == "cpu" and plan.short_floats:
            stack.enter_context(products.adapter(model))
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(_callback(course))
        last = checkpoint(folder)
        if plan.start and not last:
            learnable.start_from(trainer.model, Path(plan.start), plan)
        course.resume(int(last.name.rpartition("-")[2]) if last else 0)
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        # Not what was noted, which the first of several processes does alone: all must go the same way here.
        logged = [row for row in trainer.state.log_history if row.keys() & LOSSES]
        if not all(math.isfinite(row[name]) for row in logged for name in row.keys() & LOSSES):
            raise Diverged("the loss is no number any more: train with a smaller --lr")
        if rows[1] and "eval_loss" not in logged[-1]:
            trainer.evaluate()
    if trainer.is_world_process_zero():
        with causal.quiet(), disk.saving(folder):
            trainer.accelerator.unwrap_model(trainer.model).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        # Its author cannot know what this is; the manifest does.
        (folder / "README.md").unlink(missing_ok=True)
    trainer.accelerator.wait_for_everyone()


def _spared(plan: Plan, model: Any, tokenizer: Any, stack: ExitStack) -> shared.Ahead | None:
    """Spare a training on a CPU what it need not compute until `stack` ends; gives what reads rows ahead, if it can."""
    import torch

    fixed = plan.depth - plan.layers
    if fixed and not plan.lora:
        learnable.upper_only(model, fixed)
    stack.enter_context(head.labelled_positions_only())
    short = plan.device == "cpu" and plan.short_floats
    if short and (plan.lora or fixed):
        stack.enter_context(head.short(model))
    if not shared.applies(model, plan.device):
        return None
    if short and causal.stacked(model.base_model):
        stack.enter_context(products.sixteen(model, fixed))
    words = likelihood.words_after(tokenizer, list(WORDS.values())) if plan.target == "action" else []
    kept_as = torch.bfloat16 if short else torch.float32
    return stack.enter_context(shared.prompts(model.base_model, fixed, kept_as, max(map(len, words), default=None)))


def _trainer(
    plan: Plan,
    model: Any,
    tokenizer: Any,
    rows: tuple[list[dict[str, Any]], list[dict[str, Any]]],
    folder: Path,
    report_to: list[str],
    ahead: shared.Ahead | None,
    course: Course,
) -> Any:
    from datasets import disable_progress_bars
    from trl import DPOTrainer

    disable_progress_bars()
    by_reward = plan.loss == [rewarded.NAME]
    kind = rewarded.trainer(_tokens(tokenizer), ahead, course) if by_reward else DPOTrainer
    learn, measure = rows
    kinds, lengths, dialogues = ([row[name] for row in learn] for name in (ACTION, LENGTH, DIALOGUE))
    order = batches.sampler(kinds, lengths, dialogues, plan.batch_size, plan.seed)

    class Trainer(kind):  # type: ignore[misc, valid-type]
        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return order

        def compute_ref_log_probs(self, model: Any, inputs: Any) -> Any:
            found = super().compute_ref_log_probs(model, inputs)
            if not by_reward:
                course.read(len(inputs["input_ids"]) // 2, len(learn) + len(measure))
            return found

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            with disk.saving(folder):
                super()._save_checkpoint(model, trial)

    end = tokenizer.eos_token_id if plan.target == "action" else None
    args = _arguments(plan, len(learn), bool(measure), folder, report_to)
    return Trainer(
        model=model,
        args=args,
        data_collator=batches.collator(tokenizer.pad_token_id, end, which=by_reward),
        train_dataset=processes.common(learn, folder / CHECKPOINTS / "learn", args),
        eval_dataset=processes.common(measure, folder / CHECKPOINTS / "measure", args) if measure else None,
        processing_class=tokenizer,
        peft_config=learnable.adapter(plan, model) if plan.lora else None,
    )


def _tokens(tokenizer: Any) -> int:
    """How many tokens both words have together."""
    return sum(map(len, likelihood.words_after(tokenizer, list(WORDS.values()))))


def _arguments(plan: Plan, rows: int, measured: bool, folder: Path, report_to: list[str]) -> Any:
    from trl import DPOConfig

    steps = max(1, round(plan.epochs * rows / (plan.batch_size * processes.count())))
    # What is logged is a mean since the last line: a checkpoint between two lines would lose a part of it.
    logged = max(1, steps // LOGGED)
    often = logged * max(1, steps // SAVED // logged)
    return DPOConfig(
        output_dir=str(folder / CHECKPOINTS),
        per_device_train_batch_size=plan.batch_size,
        per_device_eval_batch_size=plan.batch_size,
        num_train_epochs=plan.epochs,
        learning_rate=plan.lr,
        # The first step of a warm-up has the rate 0, and may be the only one.
        warmup_steps=WARMUP if steps > 1 else 0,
        adam_beta2=FORGETS,
        beta=plan.beta,
        loss_type=[name for name in plan.loss if name != rewarded.NAME] or ["sigmoid"],
        max_length=None,
        remove_unused_columns=False,
        precompute_ref_log_probs=True,
        precompute_ref_batch_size=MEASURE_AT_ONCE * plan.batch_size,
        gradient_checkpointing=plan.device != "cpu",
        bf16=plan.short_floats,
        use_cpu=plan.device == "cpu",
        seed=plan.seed,
        data_seed=plan.seed,
        logging_steps=logged,
        logging_nan_inf_filter=False,
        save_steps=often,
        save_total_limit=KEPT,
        eval_strategy="steps" if measured else "no",
        eval_steps=MEASURED * often,
        report_to=report_to or "none",
        run_name=folder.name,
        project=trackers.PROJECT,
        disable_tqdm=True,
        dataloader_pin_memory=plan.device != "cpu",
    )


def checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end; the state of the trainer is its last file."""
    found = sorted((folder / CHECKPOINTS).glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    for path in reversed(found):
        try:
            json.loads((path / "trainer_state.json").read_bytes())
        except (OSError, ValueError):
            continue
        return path
    return None


def _callback(course: Course) -> Any:
    from transformers import TrainerCallback

    class Follow(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            course.begin(state.max_steps, state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            course.reached(state.global_step)

        def on_prediction_step(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            course.measured(len(more["eval_dataloader"]))

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **more: Any) -> None:
            if state.is_world_process_zero:
                course.log(state.global_step, state.epoch or 0.0, logs or {})
            if not math.isfinite(float((logs or {}).get("loss", 0.0))):
                control.should_training_stop = True

    return Follow()
