"""The durable log of model calls: cache and ledger are the same rows, so that a request is paid for once."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from proact.errors import ModelError, OutputError, Taken
from proact.keys import digest
from proact.llm.base import ChatModel, Completion, Request

SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
  key TEXT PRIMARY KEY, endpoint TEXT NOT NULL, model TEXT NOT NULL, completion BLOB,
  prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
  cost REAL, attempts INTEGER NOT NULL, wasted INTEGER NOT NULL, at REAL NOT NULL
) WITHOUT ROWID
"""
TAKEN = """
INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
  cost = ifnull(cost + excluded.cost, ifnull(excluded.cost, cost)),
  attempts = attempts + excluded.attempts, wasted = wasted + excluded.wasted, at = excluded.at
"""
# What failed here may have been answered for another command meanwhile, whose reply stays.
REPLIED = f"""{TAKEN},
  completion = excluded.completion, prompt_tokens = excluded.prompt_tokens,
  completion_tokens = excluded.completion_tokens, reasoning_tokens = excluded.reasoning_tokens
"""
FORGET = "UPDATE calls SET completion = NULL, wasted = wasted + ? WHERE key = ? AND completion IS NOT NULL"


class Ledger(msgspec.Struct):
    """What this run took from the models; cost is None as long as no price is known."""

    calls: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    wasted: int = 0
    cost: float | None = None


class CallLog:
    """`calls.db`: one row per request. A row is in the file before the reply is used, so kill -9 loses none."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger()
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(SCHEMA)
            self._wal = os.open(f"{path}-wal", os.O_RDWR | os.O_CREAT)
        except (sqlite3.Error, OSError) as error:
            raise OutputError(f"{path}: cannot keep the call log: {error}") from error
        self._decoder = msgspec.json.Decoder(Completion)
        self._dirty = False

    def find(self, key: str) -> Completion | None:
        try:
            row = self._db.execute("SELECT completion FROM calls WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            raise OutputError(f"{self._path}: cannot read the call log: {error}") from error
        if row is None or row[0] is None:
            return None
        self.ledger.cached += 1
        return self._decoder.decode(row[0])

    def add(self, key: str, model: ChatModel, completion: Completion) -> None:
        """Write the row of a reply, in its own transaction."""
        tokens = completion.prompt_tokens, completion.completion_tokens, completion.reasoning_tokens
        body = msgspec.json.encode(msgspec.structs.replace(completion, attempts=1, wasted=0, cost=None))
        self._write(key, model, body, tokens, completion)
        ledger = self.ledger
        ledger.calls += 1
        ledger.prompt_tokens += completion.prompt_tokens
        ledger.completion_tokens += completion.completion_tokens

    def add_failed(self, key: str, model: ChatModel, taken: Taken) -> None:
        """Write the row of a request that got no usable reply: it is asked again, and what it took is counted."""
        self._write(key, model, None, (0, 0, 0), taken)

    def _write(
        self, key: str, model: ChatModel, body: bytes | None, tokens: tuple[int, int, int], taken: Taken | Completion
    ) -> None:
        paid = taken.cost, taken.attempts, taken.wasted
        statement = TAKEN if body is None else REPLIED
        try:
            self._db.execute(statement, (key, model.endpoint, model.name, body, *tokens, *paid, time.time()))
        except sqlite3.Error as error:
            raise OutputError(f"{self._path}: cannot write the call log: {error}") from error
        self._dirty = True
        self.ledger.wasted += taken.wasted
        if taken.cost is not None:
            self.ledger.cost = (self.ledger.cost or 0.0) + taken.cost

    def forget(self, key: str, completion: Completion) -> None:
        """Drop a reply that was of no use; its row stays, as waste."""
        tokens = completion.prompt_tokens + completion.completion_tokens
        try:
            if self._db.execute(FORGET, (tokens, key)).rowcount:
                self.ledger.wasted += tokens
        except sqlite3.Error as error:
            raise OutputError(f"{self._path}: cannot write the call log: {error}") from error
        self._dirty = True

    def sync(self) -> str:
        """Bring finished rows to the disk, and say what the calls have cost so far."""
        if self._dirty:
            with suppress(OSError):
                os.fdatasync(self._wal)
            self._dirty = False
        return "" if self.ledger.cost is None else f"${self.ledger.cost:.4f}"

    def close(self) -> None:
        self.sync()
        os.close(self._wal)
        self._db.close()


class Logged:
    """A model behind the call log: what was asked before is not asked again, not even while it is in flight."""

    def __init__(self, model: ChatModel, log: CallLog) -> None:
        self.name, self.endpoint = model.name, model.endpoint
        self._model, self._log = model, log
        self._in_flight: dict[str, asyncio.Task[Completion]] = {}

    async def complete(self, request: Request) -> Completion:
        key = self._key(request)
        if task := self._in_flight.get(key):
            return await asyncio.shield(task)
        if found := self._log.find(key):
            return found
        task = asyncio.create_task(self._paid(key, request))
        self._in_flight[key] = task
        task.add_done_callback(lambda _: self._in_flight.pop(key))
        # A worker that is cancelled must not throw away a reply that is already paid for.
        return await asyncio.shield(task)

    def reject(self, request: Request, completion: Completion) -> None:
        """Forget a reply that was of no use, so that the next run asks again."""
        self._log.forget(self._key(request), completion)

    def _key(self, request: Request) -> str:
        return digest(self.endpoint, self.name, request)

    async def _paid(self, key: str, request: Request) -> Completion:
        try:
            completion = await self._model.complete(request)
        except ModelError as error:
            if error.taken:
                self._log.add_failed(key, self, error.taken)
            raise
        self._log.add(key, self, completion)
        return completion

    async def close(self) -> None:
        await self._model.close()
