"""What travels between the two sides, apart from the masked words themselves: frozen values, as JSON.

Nothing here is secret: keys are public halves, shares are sealed for one reader, and shares in the clear are
those that a closed round needs.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ground.errors import FederationError

Key = Annotated[bytes, Field(min_length=32, max_length=32)]
Signature = Annotated[bytes, Field(min_length=64, max_length=64)]
Share = Annotated[bytes, Field(min_length=16, max_length=16)]
Sealed = Annotated[bytes, Field(min_length=60, max_length=60)]  # nonce 12, two shares of 16, tag 16
RoundNumber = Annotated[int, Field(ge=0)]


class Wire(BaseModel):
    """A message or a state: frozen, no unknown field, bytes as base64; errors repeat nothing of it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        ser_json_bytes="base64",
        val_json_bytes="base64",
        hide_input_in_errors=True,  # a damaged state would show its secrets in the traceback
    )

    def to_text(self) -> str:
        """One line of JSON."""
        return self.model_dump_json()

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The inverse of `to_text`; raises FederationError on anything else."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise FederationError(
                f"secure aggregation: a malformed {cls.__name__.lower()}: "
                "coordinator and hospital need the same version of Laennec"
            ) from error


class Floor(Wire):
    """A hospital's own limits, whatever the coordinator proposes.

    Attributes:
        hospitals: fewer than so many in a sum would say too much about each.
        colluders: how many other hospitals may help a lying coordinator without harm.

    """

    hospitals: Annotated[int, Field(ge=2)] = 3
    colluders: Annotated[int, Field(ge=0)] = 1


class Announcement(Wire):
    """A hospital's keys for one study, and what it fears.

    Attributes:
        hospital: its name.
        identity: by whom it is known.
        sealing: public half of the key under which shares are sealed for it.
        colluders: how many others may help a lying coordinator without harm to it (`Floor`): the coordinator
            reckons with the most that anybody says.
        signature: by its identity, over study and all of this.

    """

    hospital: str
    identity: Key
    sealing: Key
    colluders: Annotated[int, Field(ge=0)]
    signature: Signature


class Roster(Wire):
    """Who takes part, and how many must remain; the same for all, or nobody goes on.

    Attributes:
        study: digest of the study.
        announcements: one of each hospital, in alphabetical order.
        threshold: how many of those who hold shares of a hospital's secrets restore them.
        fewest: the least number of hospitals in a sum.
        quorum: how many sign an unmask request before anybody answers it (`stories`); 0 where nobody need.

    """

    study: str
    announcements: tuple[Announcement, ...]
    threshold: Annotated[int, Field(ge=1)]
    fewest: Annotated[int, Field(ge=1)]
    quorum: RoundNumber = 0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        names = self.names
        if list(names) != sorted(set(names)):
            raise ValueError("hospitals are listed once each, in alphabetical order")
        return self

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The hospitals."""
        return tuple(each.hospital for each in self.announcements)

    @property
    def confirm(self) -> bool:
        """Whether hospitals sign an unmask request before they answer it."""
        return self.quorum > 0

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole, 64 hexadecimal digits: what every hospital signs."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()

    @cached_property
    def by_name(self) -> dict[str, Announcement]:
        """The announcements by hospital."""
        return {each.hospital: each for each in self.announcements}


class Endorsement(Wire):
    """A hospital's signature under the roster that it was shown."""

    hospital: str
    signature: Signature


class Preparation(Wire):
    """A hospital's keys for one round.

    Attributes:
        hospital: whose.
        round: for which round.
        public: public half of the key from which its pairwise masks come.
        signature: by its identity, over study, roster, round, `public` and `commitment`.
        commitment: to its self mask of that round, so that false shares are noticed.
        sealed: reader -> the reader's shares of this hospital's two secrets of that round.

    """

    hospital: str
    round: RoundNumber
    public: Key
    commitment: Key
    signature: Signature
    sealed: dict[str, Sealed]


class Joined(Wire):
    """A hospital's answer to a roster: its endorsement, and what it prepared for the sum to come."""

    endorsement: Endorsement
    preparation: Preparation


class Opening(Wire):
    """A round begins: what those who take part prepared for it, and everybody's endorsement."""

    round: RoundNumber
    preparations: tuple[Preparation, ...]
    endorsements: tuple[Endorsement, ...]

    def for_hospital(self, name: str) -> Opening:
        """The same without the shares that are sealed for others."""
        mine = tuple(
            each.model_copy(update={"sealed": {name: each.sealed[name]} if name in each.sealed else {}})
            for each in self.preparations
        )
        return self.model_copy(update={"preparations": mine})

    @cached_property
    def participants(self) -> tuple[str, ...]:
        """The hospitals whose masks are in this round, in alphabetical order."""
        return tuple(sorted(each.hospital for each in self.preparations))


class Confirmation(Wire):
    """A hospital's signature under the unmask request that it was shown."""

    hospital: str
    signature: Signature


class Refusal(Wire):
    """A message that the coordinator did not take: whose, in which round, and why."""

    round: RoundNumber
    hospital: str
    why: str


class UnmaskRequest(Wire):
    """A round ends: who is in the sum, and who is not; never both.

    Attributes:
        roster: digest of the roster.
        round: of which the masks are to come off.
        active: whose words are in the sum.
        dropped: who takes part in the round and is not in the sum.
        confirmations: who was shown the same request, where the roster asks for that.

    """

    roster: str
    round: RoundNumber
    active: tuple[str, ...]
    dropped: tuple[str, ...]
    confirmations: tuple[Confirmation, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all but the confirmations: a hospital signs and answers one request a round."""
        asked = self.model_copy(update={"confirmations": ()})
        return hashlib.sha256(asked.to_text().encode()).hexdigest()


class Unmasking(Wire):
    """One hospital's shares: of the self mask of those in the sum, of the mask key of those who are not."""

    hospital: str
    round: RoundNumber
    self_masks: dict[str, Share]
    mask_keys: dict[str, Share]
