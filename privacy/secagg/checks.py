"""What a hospital insists on before it joins a roster, opens a round or unmasks one.

Each function raises PrivacyError in one line that says what does not hold, and of whom.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ground.errors import PrivacyError
from privacy.secagg.graph import COMPLETE, least_sum, least_threshold, neighbourhoods
from privacy.secagg.identity import (
    check_announcement,
    check_confirmation,
    check_endorsement,
    check_preparation,
)
from privacy.secagg.keys import agree
from privacy.secagg.stories import needs_confirmation, quorum
from privacy.secagg.wire import Announcement, Floor, Opening, Preparation, Roster, UnmaskRequest


def check_roster(
    roster: Roster, mine: Announcement, study: str, peers: Mapping[str, bytes], floor: Floor
) -> None:
    """Everybody on it is who this hospital knows, by keys that they signed, and its limits are kept."""
    if roster.study != study:
        raise PrivacyError("the roster belongs to another study: refused")
    listed = roster.by_name.get(mine.hospital)
    if listed is None or (listed.identity, listed.sealing) != (mine.identity, mine.sealing):
        raise PrivacyError("the roster lists this hospital with other keys than its own: refused")
    if listed.colluders != mine.colluders:
        raise PrivacyError(
            f"the roster says that this hospital reckons with {listed.colluders} colluding hospitals, and it "
            f"said {mine.colluders}: refused"
        )
    for each in roster.announcements:
        check_announcement(study, each)
        known = mine.identity if each.hospital == mine.hospital else peers.get(each.hospital)
        if known is None:
            raise PrivacyError(
                f"the roster lists {each.hospital}, whose identity this hospital does not know: refused"
            )
        if known != each.identity:
            raise PrivacyError(
                f"the roster lists {each.hospital} with another identity than the one known here: refused"
            )
    if len({each.identity for each in roster.announcements}) < len(roster.announcements):
        raise PrivacyError("the roster lists one identity under two names: refused")
    _check_limits(roster, mine.hospital, floor)


def _check_limits(roster: Roster, hospital: str, floor: Floor) -> None:
    everybody, insisted = len(roster.names), floor.hospitals
    if everybody > COMPLETE:  # what keeps a sparse graph in one piece holds while few are gone
        insisted = max(insisted, least_sum(everybody, floor.colluders))
    if roster.fewest < insisted:
        raise PrivacyError(
            f"the study sums over as few as {roster.fewest} hospitals, this one insists on "
            f"{insisted}: raise minimum-hospitals"
        )
    if roster.fewest > everybody:
        raise PrivacyError(f"{everybody} hospitals cannot make a sum of {roster.fewest}: refused")
    size = len(neighbourhoods(roster.names, roster.digest)[hospital])
    least = least_threshold(everybody, floor.colluders)
    if not least <= roster.threshold <= size:
        raise PrivacyError(
            f"the roster's threshold {roster.threshold} is outside {least} to {size}, which this hospital "
            f"insists on against {floor.colluders} colluding hospitals: refused"
        )
    if roster.fewest < floor.colluders + 2:
        raise PrivacyError(
            f"a sum of {roster.fewest} hospitals, {floor.colluders} of them colluding, would show one alone: "
            "raise minimum-hospitals"
        )
    needed = quorum(everybody, floor.colluders)
    lies = needs_confirmation(everybody, roster.threshold, roster.fewest, floor.colluders)
    if lies and not needed <= roster.quorum <= roster.fewest:
        raise PrivacyError(
            f"lies could single out fewer than {roster.fewest} of {everybody} hospitals, and the roster has "
            f"{roster.quorum} confirm what they are asked, where it takes {needed}: refused"
        )


def check_opening(roster: Roster, opening: Opening, hospital: str, public: bytes) -> None:
    """The round's keys are signed, this hospital's own among them, and they are enough.

    `public` is the key that this hospital prepared for the round.
    """
    number, names = opening.round, opening.participants
    if len(set(names)) < len(names):
        raise PrivacyError(f"round {number} lists a hospital twice: refused")
    if hospital not in names:
        raise PrivacyError(f"round {number} does not count on this hospital: it sends nothing")
    for each in opening.preparations:
        if each.round != number:
            raise PrivacyError(f"the keys of {each.hospital} are those of round {each.round}: refused")
        check_preparation(roster, each)
        if each.hospital == hospital and each.public != public:
            raise PrivacyError(f"round {number} lists this hospital with another key than its own: refused")
    _check_enough(roster, hospital, names, f"round {number} is opened with")


def check_prepared(roster: Roster, preparation: Preparation) -> None:
    """What would have everybody refuse a round: the coordinator then opens it without that hospital."""
    check_preparation(roster, preparation)
    name = preparation.hospital
    agree(X25519PrivateKey.generate(), preparation.public, name)
    readers = set(neighbourhoods(roster.names, roster.digest)[name]) - {name}
    if preparation.sealed.keys() != readers:
        raise PrivacyError(f"{name} sealed shares for others than its neighbours: refused")


def check_endorsements(roster: Roster, opening: Opening) -> None:
    """Everybody on the roster has signed it, whether it takes part in this round or not."""
    endorsed = {each.hospital for each in opening.endorsements}
    for missing in sorted(set(roster.names) - endorsed):
        raise PrivacyError(f"{missing} has not endorsed the roster: refused")
    for endorsement in opening.endorsements:
        check_endorsement(roster, endorsement)


def check_request(
    roster: Roster, request: UnmaskRequest, hospital: str, participants: tuple[str, ...], answered: str | None
) -> None:
    """It parts the round's hospitals into active and dropped, is the round's first, and leaves enough."""
    if request.roster != roster.digest:
        raise PrivacyError(f"round {request.round} would be unmasked for another roster: refused")
    if answered not in (None, request.digest):
        raise PrivacyError(f"round {request.round} was unmasked already, by another request: refused")
    both = sorted(set(request.active) & set(request.dropped))
    if both:
        raise PrivacyError(f"{', '.join(both)} would be both in the sum and not: refused")
    if sorted([*request.active, *request.dropped]) != list(participants):
        raise PrivacyError(f"round {request.round} was opened with other hospitals than listed: refused")
    if hospital not in request.active:
        raise PrivacyError(f"round {request.round} leaves this hospital out: it unmasks nothing")
    _check_enough(roster, hospital, request.active, f"round {request.round} would be unmasked with")


def check_confirmations(roster: Roster, request: UnmaskRequest) -> None:
    """A majority, colluders or not, was shown the very same request, so that no other has one."""
    for confirmation in request.confirmations:
        check_confirmation(roster, request, confirmation)
    confirmed = len({each.hospital for each in request.confirmations})
    if confirmed < roster.quorum:
        raise PrivacyError(
            f"only {confirmed} hospitals confirm the unmask request of round {request.round}, "
            f"{roster.quorum} are needed: refused"
        )


def _check_enough(roster: Roster, hospital: str, names: tuple[str, ...], what: str) -> None:
    around = neighbourhoods(roster.names, roster.digest)[hospital]
    near = sum(name in around for name in names)
    if len(names) < roster.fewest or near < roster.threshold:
        raise PrivacyError(
            f"{what} {len(names)} hospitals, {near} of them around this one, where {roster.fewest} and "
            f"{roster.threshold} are the least: refused"
        )
