"""The private event loop of the library fronts, and the judges that work on it.

Models belong to one loop, and a caller may have none, one, or a new one for every call; so they live on a loop of
their own, in a thread that ends with the process.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Coroutine, Iterable
from functools import cache
from typing import Any, TypeVar

from proact.errors import JobError, UsageError
from proact.judges import Asker, Subject
from proact.judges.asking import Bench, Outcome, judged
from proact.llm import MODELS, ChatModel, Models, Options, Sampling

T = TypeVar("T")
THREAD = "proact"
_CLOSING: set[asyncio.Task[None]] = set()


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Do the work and give its result, whether or not the caller's thread runs an event loop."""
    return asyncio.run_coroutine_threadsafe(work, _loop()).result()


async def elsewhere(work: Coroutine[Any, Any, T]) -> T:
    """Do the work on the private loop while the caller's own goes on."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, _loop()))


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name=THREAD, daemon=True).start()
    return loop


def named(model: str, base_url: str | None) -> str:
    """A model as library users name it: also `openai/o3`, and `org/name` of a server.

    Raises UsageError for a name that needs a server and has none.
    """
    kind, _, rest = model.partition("/")
    if kind == "openai" and rest:
        return f"openai:{rest}"
    if model.partition(":")[0] in MODELS or model.startswith("hf:"):
        return model
    if rest and not (base_url or os.environ.get("OPENAI_BASE_URL")):
        raise UsageError(f"{model} needs a server: give base_url=..., or name a model in this process, hf:{model}")
    return f"openai:{model}"


class Court:
    """One model, opened on the private loop when it is first asked; whatever is asked goes through the call log."""

    def __init__(self, model: str, options: Options, sampling: Sampling, *, logged: bool = True) -> None:
        self._name, self._options, self._sampling = named(model, options.base_url), options, sampling
        self._logged = logged
        self._models: Models | None = None

    async def judge(self, judge: Asker[Any], subject: Subject) -> Outcome:
        """Only on the private loop. Raises JobError when there is no verdict."""
        if subject.known is None and self._models is None:
            self._models = Models(self._options, logged=self._logged)
            # For callers who never close: when the court is collected, or else when the process ends.
            self._end = weakref.finalize(self, _give_up, self._models)
        return await judged(judge, subject, Bench(self._model(), self._sampling))

    def _model(self) -> ChatModel | None:
        """Raises UsageError, in a library user's words, where it cannot be opened."""
        try:
            return self._models.open(self._name) if self._models else None
        except UsageError as error:
            raise UsageError(str(error).replace("--base-url", "base_url=...")) from None

    async def all(self, judge: Asker[Any], subjects: Iterable[Subject]) -> list[Outcome | JobError]:
        """An outcome or the error for each subject, in order; as many are in the making as may be in flight."""
        waiting = list(enumerate(subjects))
        found: list[Outcome | JobError | None] = [None] * len(waiting)
        pending = iter(waiting)

        async def work() -> None:
            for index, subject in pending:
                try:
                    found[index] = await self.judge(judge, subject)
                except JobError as error:
                    found[index] = error

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(len(waiting), self._options.concurrency)):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [one for one in found if one is not None]

    async def close(self) -> None:
        if self._models:
            models, self._models = self._models, None
            self._end.detach()
            await models.close()


def _give_up(models: Models) -> None:
    if threading.current_thread().name == THREAD:
        task = asyncio.get_running_loop().create_task(models.close())
        _CLOSING.add(task)
        task.add_done_callback(_CLOSING.discard)
    else:
        wait(models.close())
