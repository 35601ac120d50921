"""A coordinator that tells every hospital a story of its own, with hospitals that help it.

Of `honest` hospitals the first `kept` are to be singled out. The next `hidden` are left out of the opening
that the kept ones are shown; each other is called dropped before so many that its mask key is restored.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from federation import Federation, altered, identity
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from ground.arrays import Words
from privacy.secagg import Unmasking, UnmaskRequest, keys, masks, sharing
from privacy.secagg.graph import neighbourhoods

Flow = dict[int, set[int]]


@dataclass(frozen=True)
class Story:
    """How many hospitals there are, of which kind, and what they can be made to believe."""

    honest: int
    kept: int
    hidden: int
    missing: int
    needed: int

    def dropped(self) -> Flow | None:
        """Whom to call dropped before whom, as a flow from believers to dropped; None where it cannot be.

        Nobody believes in more than `missing` absent ones, nor in its own absence.
        """
        believers, others = range(self.honest), range(self.kept + self.hidden, self.honest)
        if not others:
            return {one: set() for one in believers}
        limits = {one: self.missing - (self.hidden if one < self.kept else 0) for one in believers}
        told = {one: [other for other in others if other != one] for one in believers}
        return flow(limits, told, dict.fromkeys(others, self.needed))


def flow(limits: dict[int, int], told: dict[int, list[int]], needed: dict[int, int]) -> Flow | None:
    """Of whom each is told what it may be told, within its limit, so that each of the told gets its need."""
    left = {one: place for place, one in enumerate(limits)}
    right = {other: len(left) + place for place, other in enumerate(needed)}
    source, sink, size = len(left) + len(right), len(left) + len(right) + 1, len(left) + len(right) + 2
    edges = [(source, left[one], limit) for one, limit in limits.items()]
    edges += [(left[one], right[other], 1) for one, others in told.items() for other in others]
    edges += [(right[other], sink, need) for other, need in needed.items()]
    start, end, capacity = (np.array(column, dtype=np.int32) for column in zip(*edges, strict=True))
    found = maximum_flow(csr_array((capacity, (start, end)), shape=(size, size)), source, sink)
    if found.flow_value < sum(needed.values()):
        return None
    dense = found.flow.toarray()
    return {one: {other for other in told[one] if dense[left[one], right[other]] > 0} for one in limits}


@dataclass
class Liar:
    """Runs a story on the state machines.

    Attributes:
        hospitals: all of them, none of whom has prepared yet.
        kept: whose sum is to be singled out.
        helpers: who give the coordinator all that they know, and sign whatever it likes.
        hidden: hospital -> who is left out of the opening that it is shown.
        dropped: honest hospital -> whom the request that it is sent calls dropped; others are sent none.

    """

    hospitals: Federation
    kept: tuple[str, ...]
    helpers: tuple[str, ...]
    hidden: dict[str, set[str]]
    dropped: dict[str, set[str]]

    @staticmethod
    def of(hospitals: Federation, story: Story, believed: Flow) -> Liar:
        names = hospitals.names
        kept, hidden = names[: story.kept], names[story.kept : story.kept + story.hidden]
        dropped = {names[one]: {names[other] for other in others} for one, others in believed.items()}
        return Liar(hospitals, kept, names[story.honest :], {name: set(hidden) for name in kept}, dropped)

    def show(self) -> None:
        """Everybody prepares; who is needed is shown an opening, and masks."""
        self.hospitals.prepare(1)
        self.secrets = {name: self.hospitals.sides[name].prepared[1].mask_key for name in self.helpers}
        opening = self.hospitals.open(1)
        for name in sorted({*self.kept, *self.helpers, *self.dropped}):
            seen = [each for each in opening.preparations if each.hospital not in self.hidden.get(name, ())]
            self.hospitals.mask(name, altered(opening, preparations=tuple(seen)))

    @cached_property
    def requests(self) -> dict[str, UnmaskRequest]:
        """What each hospital is asked."""
        digest, made = self.hospitals.roster.digest, {}
        for name, dropped in self.dropped.items():
            gone = dropped | self.hidden.get(name, set())
            active = tuple(each for each in self.hospitals.names if each not in gone)
            made[name] = UnmaskRequest(roster=digest, round=1, active=active, dropped=tuple(sorted(dropped)))
        return made

    def sign(self) -> None:
        """Each hospital signs what it is asked and the helpers sign everything; all that fits goes along."""
        signed = {name: self.hospitals.confirm(name, asked) for name, asked in self.requests.items()}
        for name, asked in self.requests.items():
            honest = [signed[other] for other, also in self.requests.items() if also.digest == asked.digest]
            forced = [identity(helper).confirm(asked, helper) for helper in self.helpers]
            self.requests[name] = altered(asked, confirmations=(*honest, *forced))

    def ask(self) -> list[Unmasking]:
        """Everybody's answer."""
        return [self.hospitals.unmask(name, asked) for name, asked in self.requests.items()]

    def sum(self, answers: Collection[Unmasking]) -> Words:
        """The sum of the kept hospitals' words, from what was answered."""
        roster, opening = self.hospitals.roster, self.hospitals.coordinator.opening
        assert opening is not None
        around = neighbourhoods(roster.names, roster.digest)
        publics = {each.hospital: each.public for each in opening.preparations}
        restored = dict(self.secrets)
        words = np.sum([self.hospitals.sent[name] for name in self.kept], axis=0, dtype=np.uint64)
        for one in self.kept:
            secret = self._restored(one, "self_mask", answers)
            masks.apply(words, keys.self_key(roster, 1, one, secret), subtract=True)
            for name in sorted({*around[one]} - {*self.kept} - self.hidden.get(one, set())):
                if name not in restored:
                    restored[name] = self._restored(name, "mask_key", answers)
                private = keys.mask_key(roster, 1, restored[name])
                key = keys.pair_key(roster, 1, name, one, private, publics[one])
                masks.apply(words, key, subtract=one < name)
        return words

    def _restored(self, peer: str, kind: str, answers: Collection[Unmasking]) -> bytes:
        roster = self.hospitals.roster
        given = {each.hospital: getattr(each, f"{kind}s") for each in answers}
        shares = {name: of[peer] for name, of in given.items() if peer in of}
        for name in self.helpers:
            opened = self.hospitals.sides[name].open
            if opened is not None and peer in opened.held:
                shares[name] = getattr(opened.held[peer], kind)
        holders = neighbourhoods(roster.names, roster.digest)[peer]
        return sharing.combine(shares, roster.threshold, holders, peer)
