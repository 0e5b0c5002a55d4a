"""Several processes that train one policy, one a GPU; the first of them keeps the books."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from proact.errors import OutputError


def count() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def first() -> bool:
    """Whether this process is the only one, or the first of several."""
    return count() == 1 or os.environ["RANK"] == "0"


def launch(wanted: int, folder: Path) -> None:
    """The command that runs now, in so many processes. Raises OutputError when one of them fails."""
    command = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(wanted)]
    done = subprocess.run([sys.executable, *command, "-m", "proact", *sys.argv[1:]], stdout=subprocess.DEVNULL)
    if done.returncode:
        raise OutputError(f"{folder}: the processes of the training ended with code {done.returncode}")


def common(rows: list[dict[str, Any]], folder: Path, args: Any) -> Any:
    """A data set of rows, which several processes have in one place on the disk.

    What the base says of them is written beside it by the first process and read by all.
    """
    from datasets import Dataset, load_from_disk

    if count() == 1:
        return Dataset.from_list(rows)
    with args.main_process_first():
        if first():
            shutil.rmtree(folder, ignore_errors=True)
            Dataset.from_list(rows).save_to_disk(folder)
        return load_from_disk(folder)
