"""One round's contributions on disk, added up in the roster's order without being held in memory together.

Each contribution becomes a file, durable when `add` returns, so that a coordinator that is killed does not
ask its hospital for it again. As soon as those at the front of the order are here they are added, stretch by
stretch, into one file of their own and removed; so disk holds a sum, a few contributions, and those that came
before their turn. A sum in floating point depends on its order: the order is the roster's, whatever came
when, and with it the model's every bit (`tasks.learners.contract.add_up` gives the same).

Small contributions stay in memory: they can be asked for again, and a file each would cost more than a round.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from ground.arrays import Array
from ground.errors import FederationError
from ground.files import writable, write_atomically
from server.stored import Held, Source, Stored, added, store
from tasks.learners.contract import Total
from tasks.messages import Reply, reply_from_text, reply_to_text

FOLDER = "round"
SUM = "sum"
# Contributions up to so many bytes together are held in memory.
IN_MEMORY = 16 * 2**20
# So many contributions are added to the sum at a time: each addition writes the sum anew.
BATCH = 8


class Spool:
    """The contributions to one round of one study; `stamp` says which, `order` in which order they are added.

    Without a folder all stays in memory. What another round left in the folder is removed; of this round,
    what is whole is there again (`found`). With `early`, which needs all to be of one size, they are added
    as they come.
    """

    def __init__(
        self,
        folder: Path | None,
        stamp: str,
        order: Sequence[str],
        *,
        early: bool = True,
        keep: int = IN_MEMORY,
    ) -> None:
        self._folder = None if folder is None else folder / FOLDER
        self._stamp, self._order, self._early, self._room = stamp, tuple(order), early, keep
        self._kept: dict[str, Source] = {}
        self._sum: Stored | None = None
        self._said: dict[str, Reply] = {}
        self._summed: tuple[str, ...] = ()
        self._sums = 0
        self.found: dict[str, Reply] = {}
        if self._folder is not None and self._folder.is_dir():
            self._find(self._folder)

    def add(self, reply: Reply) -> Reply:
        """Keep this hospital's contribution; gives the reply without it."""
        if reply.vector is None:
            raise FederationError(f"{reply.hospital} replied without a contribution")
        vector = cast("Array", reply.vector)  # words come into secure sums alone
        said = replace(reply, vector=None)
        self._said[reply.hospital] = said
        if self._folder is None:
            self._kept[reply.hospital] = Held(vector)
        elif vector.nbytes <= self._room:
            self._room -= vector.nbytes
            self._kept[reply.hospital] = Held(np.array(vector))  # not the message that it came in
        else:
            with writable(self._folder):
                self._kept[reply.hospital] = self._write(self._folder, vector, said)
                self._add_early(self._folder)
        return said

    def sizes(self) -> dict[str, tuple[int, str]]:
        """How many values, of what kind, each of these hospitals gave that is not in the sum yet."""
        return {name: (each.size, np.dtype(each.dtype).kind) for name, each in self._kept.items()}

    def total(self, names: Sequence[str]) -> Total:
        """The sum over these hospitals, each of whom was added."""
        missing = [name for name in names if name not in self._kept and name not in self._summed]
        if missing:
            raise FederationError(f"{', '.join(missing)} replied without a contribution")
        rest = [self._kept[name] for name in self._order if name in names and name in self._kept]
        sources: list[Source] = rest if self._sum is None else [self._sum, *rest]
        total = np.empty(sources[0].size, dtype=sources[0].dtype)
        for start, part in added(sources):
            total[start : start + part.size] = part
        return Total(total, len(names))

    def _write(self, folder: Path, vector: Array, said: Reply) -> Stored:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = folder / str(self._order.index(said.hospital))
        kept = store(place.with_suffix(".values"), [vector], vector.dtype)
        self._commit(place.with_suffix(".json"), kept, [said])
        return kept

    def _add_early(self, folder: Path) -> None:
        """Into the sum, where enough of those whose turn it is are on disk."""
        turn = self._whose_turn()
        files = [each for name in turn if isinstance(each := self._kept[name], Stored)]
        if not self._early or len(files) < BATCH:
            return
        before, sources = self._sum, [self._kept.pop(name) for name in turn]
        everything: list[Source] = sources if before is None else [before, *sources]
        self._sums += 1
        place = folder / f"{SUM}-{self._sums}.values"
        self._sum = store(place, (part for _, part in added(everything)), np.dtype(everything[0].dtype))
        self._summed += turn
        self._commit(folder / f"{SUM}.json", self._sum, [self._said[name] for name in self._summed])
        self._room += sum(each.vector.nbytes for each in sources if isinstance(each, Held))
        for stored in files if before is None else [before, *files]:
            stored.remove()
            stored.file.with_suffix(".json").unlink(missing_ok=True)

    def _whose_turn(self) -> tuple[str, ...]:
        """Those next in the order, as far as they are here."""
        turn: list[str] = []
        for name in self._order[len(self._summed) :]:
            if name not in self._kept:
                break
            turn.append(name)
        return tuple(turn)

    def _commit(self, place: Path, kept: Stored, said: Sequence[Reply]) -> None:
        """From here on these values count: a crash before leaves a file that nobody names."""
        about = {
            "stamp": self._stamp,
            "values": [kept.file.name, kept.dtype, kept.size, kept.digest],
            "replies": [reply_to_text(each) for each in said],
        }
        write_atomically(place, json.dumps(about))

    def _find(self, folder: Path) -> None:
        """What an earlier life left of this round; anything else is removed."""
        whole = [each for place in sorted(folder.glob("*.json")) if (each := self._read(place))]
        for place, stored, said in whole:
            if place.stem == SUM:
                self._sum, self._summed = stored, tuple(each.hospital for each in said)
                self._sums = int(stored.file.stem.removeprefix(f"{SUM}-"))
                self._said |= {each.hospital: each for each in said}
        named = {folder / f"{SUM}.json", *([] if self._sum is None else [self._sum.file])}
        for place, stored, [first, *_] in whole:
            if place.stem != SUM and first.hospital not in self._summed:
                self._kept[first.hospital], self._said[first.hospital] = stored, first
                named |= {place, stored.file}
        self.found = dict(self._said)
        for file in folder.iterdir():
            if file not in named or (self._sum is None and file.stem == SUM):
                file.unlink()

    def _read(self, place: Path) -> tuple[Path, Stored, list[Reply]] | None:
        """What this file says, where it is of this round and what it names is whole."""
        try:
            about = json.loads(place.read_text(encoding="utf-8"))
            name, dtype, size, digest = about["values"]
            stored = Stored(place.with_name(Path(name).name), str(dtype), int(size), str(digest))
            said = [reply_from_text(text) for text in about["replies"]]
            mine = about["stamp"] == self._stamp and said and stored.is_whole()
        except (OSError, ValueError, KeyError, TypeError, FederationError):
            return None
        return (place, stored, said) if mine else None


def forget(folder: Path) -> None:
    """Remove what rounds left in this folder: the study is over, and what came of them is saved."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
