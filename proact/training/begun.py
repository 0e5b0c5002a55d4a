"""The folder of a training that was begun: what it was begun with, what of it counts, and what a new one may remove."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec

from proact import disk, jsonl
from proact.errors import InputError, SpecConflict
from proact.llm import learned
from proact.training import dpo, manifest
from proact.training.manifest import COURSE, CURVES, RUN, Manifest

OURS = {RUN, COURSE, CURVES, dpo.CHECKPOINTS}
SAVED = ("*.safetensors", "*.safetensors.index.json", "adapter_config.json", "config.json", "generation_config.json")
"""What a policy is loaded from; that of an adapter would be taken for a part of a whole model, and the other way."""
INSTEAD = "choose another --output, or --overwrite"


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """`run.json`: what decides the bytes of a training."""

    key: str
    base: str | None = None
    """The weights that it began with; older folders do not tell."""
    plan: dict[str, Any] = {}


def finished(folder: Path, key: str, base: str | None) -> Manifest | None:
    """The policy that the same training has made before, of the same `base` unless that cannot be told.

    Raises SpecConflict when the folder is another's, UsageError when the policy is not what was written.
    """
    begun = _read(folder)
    if begun and begun.key == key:
        if not (folder / manifest.FILE).is_file():
            return None
        found = manifest.read(folder)
        learned.unchanged(folder, found)
        if base not in (None, found.base_fingerprint):
            raise SpecConflict(f"{folder}: was trained on other weights than {found.base} has now; {INSTEAD}")
        return found
    if dpo.checkpoint(folder) or (folder / manifest.FILE).is_file():
        raise SpecConflict(f"{folder}: holds a training with other pairs or settings; {INSTEAD}")
    refuse_foreign(folder)
    return None


def refuse_foreign(folder: Path) -> None:
    """Raises SpecConflict for a folder in which no training was begun and that holds something else."""
    if folder.is_dir() and not (folder / RUN).is_file() and {path.name for path in folder.iterdir()} - OURS:
        raise SpecConflict(f"{folder}: holds other files; choose another --output")


def begin(folder: Path, begun: Begun, *, overwrite: bool) -> None:
    """Note what a training begins with, and remove what another one left if it may be.

    Raises SpecConflict when a checkpoint is there that began with other weights.
    """
    before = None if overwrite else _read(folder)
    if before and before.base not in (None, begun.base) and dpo.checkpoint(folder):
        raise SpecConflict(f"{folder}: was begun with other weights of the model than it has now; {INSTEAD}")
    if overwrite:
        _clear(folder)
    with jsonl.replace(folder / RUN) as file:
        file.write(msgspec.json.encode(begun))


def _clear(folder: Path) -> None:
    """Remove what another training would be mistaken by; anything that is not proact's stays.

    `run.json` stays until the next one takes its place: by it the folder is known as a training's.
    """
    with disk.writing(folder):
        shutil.rmtree(folder / dpo.CHECKPOINTS, ignore_errors=True)
        for name in (manifest.FILE, *SAVED):
            for path in folder.glob(name):
                path.unlink()


def _read(folder: Path) -> Begun | None:
    path = folder / RUN
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Begun)
    except msgspec.DecodeError as error:
        raise InputError(path, f"is not what a training was begun with: {error}; {INSTEAD}") from None
