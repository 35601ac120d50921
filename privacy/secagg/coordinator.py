"""The coordinator's side: collects, relays, adds up, and removes the masks of the sum. It holds no secret.

Masked words are added up as they come, so memory does not grow with the number of hospitals; whatever is
left over in the end (a late vector, shares of a round that was abandoned) is of no use to anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

from ground.arrays import Words
from ground.errors import FederationError, PrivacyError, UsageError
from privacy.secagg import keys, masks
from privacy.secagg.graph import COMPLETE, fewest_in_a_sum, least_threshold, neighbourhoods
from privacy.secagg.identity import check_confirmation
from privacy.secagg.restoring import restore
from privacy.secagg.stories import needs_confirmation, quorum
from privacy.secagg.wire import (
    Announcement,
    Confirmation,
    Endorsement,
    Opening,
    Preparation,
    Refusal,
    Roster,
    Unmasking,
    UnmaskRequest,
    Wire,
)


class Kept(Wire):
    """A coordinator's state but for the sum."""

    roster: Roster
    endorsements: tuple[Endorsement, ...]
    prepared: dict[str, Preparation]
    opening: Opening | None
    active: tuple[str, ...]
    confirmations: tuple[Confirmation, ...]
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True)
class Unmasked:
    """A sum in the clear, and who sent false shares, which were done without."""

    words: Words
    liars: tuple[str, ...] = ()


@dataclass(frozen=True)
class CoordinatorSide:
    """The coordinator's state of one study; all of it may be public, but for the sum before it is unmasked.

    Attributes:
        roster: the hospitals and their keys.
        endorsements: their signatures under it.
        prepared: what hospitals prepared for the round to come, by hospital.
        opening: of the round that is under way.
        active: whose words are in the sum so far.
        confirmations: their signatures under the unmask request, where the roster asks for them.
        total: the sum of the masked words; the one array that is changed in place.
        refusals: whose messages were refused, in which round and why.

    """

    roster: Roster
    endorsements: tuple[Endorsement, ...] = ()
    prepared: Mapping[str, Preparation] = field(default_factory=dict)
    opening: Opening | None = None
    active: tuple[str, ...] = ()
    confirmations: tuple[Confirmation, ...] = ()
    total: Words | None = None
    refusals: tuple[Refusal, ...] = ()

    @staticmethod
    def begin(
        study: str, announcements: Iterable[Announcement], fewest: int, colluders: int = 1
    ) -> CoordinatorSide:
        """Draw up the roster: the least threshold that all these hospitals accept, or `fewest`.

        It reckons with `colluders`, or with as many as the hospital that fears most of them says. Raises
        UsageError where there are too few hospitals for a sum that hides each, or a name comes twice.
        """
        listed = tuple(sorted(announcements, key=lambda each: each.hospital))
        for one, other in pairwise(each.hospital for each in listed):
            if one == other:
                raise UsageError(f"{one} announced itself twice: two hospitals need two names")
        colluders = max(colluders, *(each.colluders for each in listed), 0)
        threshold = least_threshold(len(listed), colluders)
        fewest = fewest_in_a_sum(len(listed), fewest, colluders)
        if len(listed) < fewest:
            feared = [each.hospital for each in listed if each.colluders == colluders > 1]
            says = f"; {', '.join(feared)} reckons with {colluders} colluding hospitals" if feared else ""
            raise UsageError(
                f"{len(listed)} hospitals are too few for secure aggregation, which asks for at least "
                f"{fewest} here{says}: wait for more, or set secure-aggregation = false"
            )
        if len(listed) <= COMPLETE:
            threshold = fewest  # then no lie gets by with fewer shares than hospitals
        lies = needs_confirmation(len(listed), threshold, fewest, colluders)
        roster = Roster(
            study=study,
            announcements=listed,
            threshold=threshold,
            fewest=fewest,
            quorum=quorum(len(listed), colluders) if lies else 0,
        )
        return CoordinatorSide(roster)

    def to_text(self) -> str:
        """All but the sum, as JSON: the sum is kept beside it, as it is."""
        kept = Kept(
            roster=self.roster,
            endorsements=self.endorsements,
            prepared=dict(self.prepared),
            opening=self.opening,
            active=self.active,
            confirmations=self.confirmations,
            refusals=self.refusals,
        )
        return kept.to_text()

    @staticmethod
    def from_text(text: str, total: Words | None) -> CoordinatorSide:
        """The inverse of `to_text`; raises FederationError on anything else."""
        kept = Kept.from_text(text)
        return CoordinatorSide(
            kept.roster,
            kept.endorsements,
            kept.prepared,
            kept.opening,
            kept.active,
            kept.confirmations,
            total,
            kept.refusals,
        )

    def refuse(self, number: int, hospital: str, why: str) -> CoordinatorSide:
        """With a note that a message of that hospital was refused; the round goes on without it."""
        return replace(self, refusals=(*self.refusals, Refusal(round=number, hospital=hospital, why=why)))

    def endorsed(self, endorsements: Iterable[Endorsement]) -> CoordinatorSide:
        """With the hospitals' signatures under the roster."""
        return replace(self, endorsements=tuple(sorted(endorsements, key=lambda each: each.hospital)))

    def prepare(self, preparations: Iterable[Preparation]) -> CoordinatorSide:
        """With what hospitals prepared for the round to come; a later one replaces an earlier one's."""
        return replace(self, prepared={**self.prepared, **{each.hospital: each for each in preparations}})

    def ready(self, number: int) -> bool:
        """Whether enough hospitals have prepared this round for it to be opened."""
        return self._enough(name for name, each in self.prepared.items() if each.round == number)

    def all_ready(self, number: int) -> bool:
        """Whether every hospital of the roster has prepared this round."""
        return {n for n, each in self.prepared.items() if each.round == number} == set(self.roster.names)

    def open_round(self, number: int) -> CoordinatorSide:
        """Open a round with those who prepared it; raises FederationError where they are too few."""
        chosen = {name: each for name, each in self.prepared.items() if each.round == number}
        if not self._enough(chosen):
            missing = [name for name in self.roster.names if name not in chosen]
            raise FederationError(
                f"round {number}: {', '.join(missing)} prepared nothing, and a secure sum needs "
                f"{self.roster.fewest} hospitals"
            )
        preparations = tuple(chosen[name] for name in sorted(chosen))
        opening = Opening(round=number, preparations=preparations, endorsements=self.endorsements)
        return replace(self, opening=opening, prepared={}, active=(), confirmations=(), total=None)

    def add(self, hospital: str, words: Words) -> CoordinatorSide:
        """One hospital's masked words go into the sum; raises FederationError on words that do not belong."""
        opening = self._opened()
        if hospital not in opening.participants:
            raise FederationError(
                f"{hospital} does not take part in round {opening.round}: its words were refused"
            )
        if hospital in self.active:
            raise FederationError(f"{hospital} sent its words for round {opening.round} twice: refused")
        total = self.total
        if total is None:
            total = words.copy()
        elif (total.shape, total.dtype) != (words.shape, words.dtype):
            raise FederationError(
                f"{hospital} sent {words.size} words where {total.size} were expected: refused"
            )
        else:
            total += words
        return replace(self, total=total, active=tuple(sorted((*self.active, hospital))))

    def close(self) -> UnmaskRequest:
        """Ask for what unmasks the sum of those who sent; raises FederationError where they are too few."""
        opening = self._opened()
        dropped = tuple(name for name in opening.participants if name not in self.active)
        if not self._enough(self.active):
            raise FederationError(
                f"round {opening.round}: {', '.join(dropped)} sent nothing, and a secure sum needs "
                f"{self.roster.fewest} hospitals: the round is abandoned, nothing was revealed"
            )
        return UnmaskRequest(
            roster=self.roster.digest,
            round=opening.round,
            active=self.active,
            dropped=dropped,
            confirmations=self.confirmations,
        )

    def confirmed(self, confirmations: Iterable[Confirmation]) -> CoordinatorSide:
        """With the hospitals' signatures under the request, which go with it when it is to be answered.

        A signature that is not under this request is left out: it would have everybody refuse.
        """
        request, sound = self.close(), []
        for each in confirmations:
            with suppress(PrivacyError):
                check_confirmation(self.roster, request, each)
                sound.append(each)
        return replace(self, confirmations=tuple(sorted(sound, key=lambda each: each.hospital)))

    def finish(self, unmaskings: Iterable[Unmasking]) -> Unmasked:
        """Take the masks off the sum, in place, and give it.

        Raises FederationError where too few genuine shares came back; the sum then stays masked and is
        discarded.
        """
        request, opening = self.close(), self._opened()
        answers = {each.hospital: each for each in unmaskings if each.round == opening.round}
        around = neighbourhoods(self.roster.names, self.roster.digest)
        publics = {each.hospital: each.public for each in opening.preparations}
        # Every secret is restored before a mask comes off: too few genuine shares leave the sum as it was.
        dropped = [name for name in request.dropped if any(peer in request.active for peer in around[name])]
        secrets, liars = self._restore(answers, request.active, dropped)
        total = self.total
        if total is None:
            raise FederationError(f"round {opening.round}: no words were received")
        for name in request.active:
            masks.apply(total, keys.self_key(self.roster, opening.round, name, secrets[name]), subtract=True)
        for name in dropped:
            private = keys.mask_key(self.roster, opening.round, secrets[name])
            for peer in around[name]:
                if peer in request.active:
                    key = keys.pair_key(self.roster, opening.round, name, peer, private, publics[peer])
                    masks.apply(total, key, subtract=peer < name)
        return Unmasked(total, tuple(sorted(liars)))

    def _restore(
        self, answers: Mapping[str, Unmasking], active: Iterable[str], dropped: Iterable[str]
    ) -> tuple[dict[str, bytes], set[str]]:
        """The self masks of the active, the mask keys of the dropped, and who sent false shares of them."""
        around = neighbourhoods(self.roster.names, self.roster.digest)
        prepared = {each.hospital: each for each in self._opened().preparations}
        secrets: dict[str, bytes] = {}
        liars: set[str] = set()
        wanted = [(name, "self mask") for name in active] + [(name, "key") for name in dropped]
        for name, what in wanted:
            given = {h: a.self_masks if what == "self mask" else a.mask_keys for h, a in answers.items()}
            shares = {h: given[h][name] for h in around[name] if name in given.get(h, ())}
            check = self._is_self_mask if what == "self mask" else self._is_key
            restored = restore(
                shares,
                self.roster.threshold,
                around[name],
                partial(check, prepared[name]),
                whose=name,
                what=what,
                suspects=liars,
            )
            secrets[name] = restored.secret
            liars |= restored.liars
        return secrets, liars

    def _is_self_mask(self, prepared: Preparation, secret: bytes) -> bool:
        made = keys.commitment(self.roster, prepared.round, prepared.hospital, secret)
        return made == prepared.commitment

    def _is_key(self, prepared: Preparation, secret: bytes) -> bool:
        return keys.public_half(keys.mask_key(self.roster, prepared.round, secret)) == prepared.public

    def _enough(self, names: Iterable[str]) -> bool:
        """Enough for the sum, and around each of them for its secrets to be restored."""
        chosen = set(names)
        around = neighbourhoods(self.roster.names, self.roster.digest)
        near = (sum(peer in chosen for peer in around[name]) for name in chosen)
        return len(chosen) >= self.roster.fewest and all(count >= self.roster.threshold for count in near)

    def _opened(self) -> Opening:
        if self.opening is None:
            raise FederationError("no round is open")
        return self.opening
