"""Every text that a model sees comes from a file of prompts/, and is filled in strictly."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from string import Template
from typing import NamedTuple

from proact.errors import InputError, UsageError

PACKAGED = Path(__file__).parent / "_files"
SOURCE_TREE = Path(__file__).parent.parent


class Prompt(NamedTuple):
    """A prompt template: what stands in the system message, and what ends the last user message."""

    name: str
    system: str
    user: str

    def fill(self, **values: str) -> tuple[str, str]:
        """Both sections with every `$name` replaced. Raises UsageError for a missing and for an unused variable."""
        system, user = Template(self.system), Template(self.user)
        for section in (system, user):
            if not section.is_valid():
                raise UsageError(f"prompt {self.name}: a lone $ must be written $$")
        needed = {*system.get_identifiers(), *user.get_identifiers()}
        if missing := sorted(needed - values.keys()):
            raise UsageError(f"prompt {self.name}: no value for ${', $'.join(missing)}")
        if unused := sorted(values.keys() - needed):
            raise UsageError(f"prompt {self.name}: nothing uses ${', $'.join(unused)}")
        return system.substitute(values).strip(), user.substitute(values).strip()


@cache
def load(name: str) -> Prompt:
    """The prompt `name`: prompts/<name>.txt of the working folder if it exists, else the shipped one."""
    path = shipped(f"prompts/{name}.txt")
    return split(name, path.read_text(encoding="utf-8"), path)


def split(name: str, text: str, path: Path | str = "") -> Prompt:
    """Cut a prompt file into its `[system]` and `[user]` sections. Raises InputError when they are not there."""
    match = re.fullmatch(r"\s*\[system\]\n(.*?)\n\[user\]\n(.*)", text, re.DOTALL)
    if not match:
        raise InputError(path or name, "expected a [system] section, then a [user] section")
    return Prompt(name, match[1].strip(), match[2].strip())


def shipped(relative: str) -> Path:
    """A file that comes with proact: the working folder's own copy wins. Raises UsageError when there is none."""
    for root in (Path(), PACKAGED, SOURCE_TREE):
        if (path := root / relative).is_file():
            return path
    raise UsageError(f"{relative} is not in this folder and does not ship with proact")


def fence(text: str, tag: str, **attributes: str) -> str:
    """Untrusted text between tags that it cannot close or open itself."""
    safe = re.sub(r"<(?=\s*/?\s*[A-Za-z!?])", "&lt;", text)
    head = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<{tag}{head}>\n{safe}\n</{tag}>"
