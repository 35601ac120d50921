"""Whether this hospital stays a member: its certificate is renewed by the node, long before its end."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from client.doctor.check import Check
from client.home import Home
from ground.membership.lifetimes import is_due, pause

JOIN = "ask the coordinator for an invitation, then `laennec hospital join INVITATION`"


def membership(home: Home) -> Check:
    """Member of what, until when, and whether the renewal is behind."""
    member = home.member
    if member is None:
        return Check("membership", True, "of no federation")
    until = datetime.fromtimestamp(member.until, UTC).strftime("%Y-%m-%d")
    now = time.time()
    if member.until <= now:
        return Check("membership", False, f"of {member.federation} ended on {until}", JOIN)
    # A node that runs has tried to renew some times by then.
    if is_due(member.since, member.until, now - 10 * pause(member.since, member.until)):
        return Check(
            "membership",
            False,
            f"of {member.federation} ends on {until}, and the certificate was not renewed",
            "start the node, which renews it; where it runs, its log says why it could not",
        )
    return Check("membership", True, f"of {member.federation} until {until}, renewed by the node")
