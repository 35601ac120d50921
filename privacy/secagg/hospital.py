"""The hospital's side: a pure state machine that trusts neither the network nor the coordinator.

Every method gives the next state, to be kept before the message beside it is sent. What it insists on:

- every key is signed by the identity that this hospital knows its owner by, for this study;
- everybody signed the very roster that it was shown, itself included, of at least its own floor;
- a round is opened once, by keys and shares of that round alone;
- in an unmask request a peer is in the sum or not, never both, and a round has one request;
- it gives away at most one of a peer's two secrets, and of its own only a share of the self mask.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import Field

from ground.arrays import Words
from ground.errors import PrivacyError
from privacy.secagg import checks, keys, masks, sharing
from privacy.secagg.graph import neighbourhoods
from privacy.secagg.identity import Identity
from privacy.secagg.wire import (
    Announcement,
    Confirmation,
    Endorsement,
    Floor,
    Key,
    Opening,
    Preparation,
    Roster,
    RoundNumber,
    Share,
    Unmasking,
    UnmaskRequest,
    Wire,
)


class Pair(Wire):
    """Two secrets of one hospital and round, or one share of each: both would unmask it; nobody gets both."""

    mask_key: Share = Field(repr=False)
    self_mask: Share = Field(repr=False)


class Round(Wire):
    """The round that was opened last: who takes part, the shares held, the request that was answered."""

    round: RoundNumber
    participants: tuple[str, ...]
    held: dict[str, Pair] = Field(repr=False)
    answered: str | None = None


class HospitalSide(Wire):
    """One hospital's state of one study. Sensitive: it is kept where only the hospital reads.

    Attributes:
        study: digest of the study.
        hospital: this hospital's name.
        sealing: private half of the key under which shares are sealed for it.
        colluders: how many others it says may collude.
        roster: once it was joined.
        prepared: round -> this hospital's secrets.
        own: round -> the shares of its own secrets that it keeps itself.
        open: the round that was opened last.

    """

    study: str
    hospital: str
    sealing: Key = Field(repr=False)
    colluders: Annotated[int, Field(ge=0)] = 1
    roster: Roster | None = None
    prepared: dict[RoundNumber, Pair] = Field(default_factory=dict, repr=False)
    own: dict[RoundNumber, Pair] = Field(default_factory=dict, repr=False)
    open: Round | None = None

    @classmethod
    def begin(cls, study: str, hospital: str, colluders: int = 1) -> Self:
        """A fresh key for this study."""
        return cls(study=study, hospital=hospital, sealing=os.urandom(32), colluders=colluders)

    def announce(self, identity: Identity) -> Announcement:
        """This hospital's keys and fears, signed."""
        return identity.announce(self.study, self.hospital, keys.public_half(self._sealing), self.colluders)

    def join(
        self, roster: Roster, identity: Identity, peers: Mapping[str, bytes], floor: Floor
    ) -> tuple[Self, Endorsement]:
        """Accept a roster, once; `peers` are the identities by which this hospital knows the others.

        Raises PrivacyError, naming who or what, where the roster is not one to join.
        """
        if self.roster is not None and self.roster.digest != roster.digest:
            raise PrivacyError("a second, different roster was shown for this study: refused")
        checks.check_roster(roster, self.announce(identity), self.study, peers, floor)
        return self.model_copy(update={"roster": roster}), identity.endorse(roster, self.hospital)

    def prepare(self, number: int, identity: Identity) -> tuple[Self, Preparation]:
        """Fresh secrets for a round, their shares sealed for the neighbours."""
        roster = self.joined
        if self.open is not None and number <= self.open.round:
            raise PrivacyError(f"round {number} was opened already: nothing is prepared for it again")
        holders = self._neighbourhood()
        secrets = Pair(mask_key=os.urandom(sharing.SECRET), self_mask=os.urandom(sharing.SECRET))
        key_shares = sharing.split(secrets.mask_key, roster.threshold, holders)
        self_shares = sharing.split(secrets.self_mask, roster.threshold, holders)
        sealed = {
            reader: sharing.seal(
                self._envelope(reader),
                key_shares[reader] + self_shares[reader],
                roster.digest,
                number,
                self.hospital,
                reader,
            )
            for reader in holders
            if reader != self.hospital
        }
        public = keys.public_half(keys.mask_key(roster, number, secrets.mask_key))
        commitment = keys.commitment(roster, number, self.hospital, secrets.self_mask)
        signature = identity.sign_key(roster, self.hospital, number, public, commitment)
        own = Pair(mask_key=key_shares[self.hospital], self_mask=self_shares[self.hospital])
        kept = self.model_copy(
            update={
                # A round before the open one can no longer be opened: its secrets are forgotten.
                "prepared": {r: s for r, s in self.prepared.items() if r >= number - 1} | {number: secrets},
                "own": {r: s for r, s in self.own.items() if r >= number - 1} | {number: own},
            }
        )
        message = Preparation(
            hospital=self.hospital,
            round=number,
            public=public,
            commitment=commitment,
            signature=signature,
            sealed=sealed,
        )
        return kept, message

    def check(self, opening: Opening, number: int) -> X25519PrivateKey:
        """Raises PrivacyError unless the opening is a sound one of that round; gives the round's mask key.

        To be called before a patient is read; `mask` calls it again.
        """
        if opening.round != number:
            raise PrivacyError(f"round {number} comes with the keys of round {opening.round}: refused")
        private = keys.mask_key(self.joined, number, self._secrets(number).mask_key)
        checks.check_opening(self.joined, opening, self.hospital, keys.public_half(private))
        if self.open is None:  # the first round that it opens: from then on the roster stands
            checks.check_endorsements(self.joined, opening)
        return private

    def mask(self, opening: Opening, words: Words) -> Self:
        """Mask the words in place for the round that is opened, and forget how.

        Whose shares do not open here is still masked with, but not helped to unmask: that only makes less
        known. Raises PrivacyError, with the words untouched, where the opening is not sound.
        """
        private = self.check(opening, opening.round)
        roster, number = self.joined, opening.round
        held = {self.hospital: self.own[number]}
        pair_keys: dict[str, bytes] = {}
        for each in opening.preparations:
            peer = each.hospital
            if peer == self.hospital or peer not in self._neighbourhood():
                continue
            with suppress(
                PrivacyError
            ):  # others hold shares of this peer too, and the threshold of them will do
                plain = self._unseal(each, roster)
                held[peer] = Pair(mask_key=plain[: sharing.SECRET], self_mask=plain[sharing.SECRET :])
            pair_keys[peer] = keys.pair_key(roster, number, self.hospital, peer, private, each.public)
        if len(held) < roster.threshold:
            raise PrivacyError(
                f"round {number} brings this hospital the shares of {len(held)} hospitals that open here, "
                f"itself among them, where {roster.threshold} are the least: refused"
            )
        own_mask = self.prepared[number].self_mask
        masks.apply(words, keys.self_key(roster, number, self.hospital, own_mask))
        for peer, key in pair_keys.items():
            masks.apply(words, key, subtract=self.hospital > peer)
        opened = Round(round=number, participants=opening.participants, held=held)
        return self.model_copy(
            update={
                "open": opened,
                "prepared": {r: s for r, s in self.prepared.items() if r > number},
                "own": {r: s for r, s in self.own.items() if r > number},
            }
        )

    @property
    def unopened(self) -> tuple[str, ...]:
        """Whose shares did not open here in the round that is open."""
        if self.open is None:
            return ()
        near = self._neighbourhood()
        return tuple(n for n in self.open.participants if n in near and n not in self.open.held)

    def confirm(self, request: UnmaskRequest, identity: Identity) -> tuple[Self, Confirmation]:
        """Sign the request that was shown, before it is answered: from now on no other one of this round is.

        Raises PrivacyError where the request is not one to answer.
        """
        opened = self._asked(request)
        kept = opened.model_copy(update={"answered": request.digest})
        return self.model_copy(update={"open": kept}), identity.confirm(request, self.hospital)

    def unmask(self, request: UnmaskRequest) -> tuple[Self, Unmasking]:
        """The shares that this round's sum needs; the same request gets the same answer.

        Raises PrivacyError where the request is not one to answer.
        """
        roster, opened = self.joined, self._asked(request)
        if roster.confirm:
            checks.check_confirmations(roster, request)
        active, dropped = set(request.active), set(request.dropped)
        answer = Unmasking(
            hospital=self.hospital,
            round=request.round,
            self_masks={peer: held.self_mask for peer, held in opened.held.items() if peer in active},
            mask_keys={peer: held.mask_key for peer, held in opened.held.items() if peer in dropped},
        )
        kept = opened.model_copy(update={"answered": request.digest})
        return self.model_copy(update={"open": kept}), answer

    def _asked(self, request: UnmaskRequest) -> Round:
        """The open round, once the request is one that may be answered."""
        opened = self.open
        if opened is None or opened.round != request.round:
            raise PrivacyError(f"round {request.round} is not open here: nothing is unmasked")
        checks.check_request(self.joined, request, self.hospital, opened.participants, opened.answered)
        return opened

    def _secrets(self, number: int) -> Pair:
        """What was prepared for a round that was not opened yet: masks are used once."""
        if self.open is not None and number <= self.open.round:
            raise PrivacyError(f"round {number} was opened already: its masks are used once; refused")
        if number not in self.prepared:
            raise PrivacyError(f"this hospital has prepared nothing for round {number}: refused")
        return self.prepared[number]

    @property
    def _sealing(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(self.sealing)

    @property
    def joined(self) -> Roster:
        """The roster that was joined; raises PrivacyError before that."""
        if self.roster is None:
            raise PrivacyError("no roster was joined for this study: refused")
        return self.roster

    def _neighbourhood(self) -> tuple[str, ...]:
        roster = self.joined
        return neighbourhoods(roster.names, roster.digest)[self.hospital]

    def _envelope(self, peer: str) -> bytes:
        """The key under which these two seal shares for each other."""
        roster = self.joined
        return keys.envelope_key(roster, self.hospital, peer, self._sealing, roster.by_name[peer].sealing)

    def _unseal(self, preparation: Preparation, roster: Roster) -> bytes:
        sender = preparation.hospital
        sealed = preparation.sealed.get(self.hospital)
        if sealed is None:
            raise PrivacyError(
                f"{sender} sent this hospital no shares for round {preparation.round}: refused"
            )
        context = (roster.digest, preparation.round, sender, self.hospital)
        return sharing.unseal(self._envelope(sender), sealed, sender, *context)
