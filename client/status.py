"""What a home holds, at a glance: for `laennec hospital status` and the page."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from client import approval
from client.home import Home
from client.ledger import BOOK, DEFAULT_DELTA, Ledger


def status(home: Home) -> dict[str, Any]:
    """Archive, quarantine, decisions, waiting studies, budget, limits, federation, node.

    Plain values for JSON: an ε of None is ∞, a budget of None no limit.
    """
    return {
        "hospital": home.name,
        "home": str(home.path),
        "identity": home.public.hex(),
        "archive": _archive(home),
        "waiting": waiting(home),
        "approvals": decisions(home),
        "budget": _budget(home),
        "limits": home.limits.shown(),
        "federation": _federation(home),
        "node": _node(home),
    }


def waiting(home: Home) -> list[dict[str, Any]]:
    """The studies that nobody decided on."""
    return [
        {
            "digest": study.digest,
            "short": study.digest[:8],
            "name": study.name,
            "task": study.task,
            "rounds": study.rounds,
        }
        for study in approval.waiting(home)
    ]


def decisions(home: Home) -> list[dict[str, Any]]:
    """Every decision, and what it is worth now."""
    return [_decision(each) for each in approval.approvals(home)]


def _federation(home: Home) -> dict[str, Any] | None:
    """The membership; None where there is none."""
    member = home.member
    if member is None:
        return None
    until = datetime.fromtimestamp(member.until, UTC).strftime("%Y-%m-%d")
    return {"name": member.federation, "nodes": member.nodes, "door": member.door, "until": until}


def _archive(home: Home) -> dict[str, Any]:
    if not (home.path / "archive").is_dir():
        return {"patients": 0, "waiting": 0, "released": 0, "bytes": 0, "quarantine": []}
    from client.archive import Archive

    with Archive(home.path) as archive:
        found = archive.status()
    return {
        "patients": found.usable,
        "waiting": found.waiting,
        "released": found.released,
        "bytes": found.bytes,
        "quarantine": [
            {"patient": each.patient, "reasons": [reason.text for reason in each.reasons]}
            for each in found.quarantined
        ],
    }


def _decision(standing: approval.Standing) -> dict[str, Any]:
    paper = standing.paper
    return {
        "digest": standing.digest,
        "short": standing.digest[:8],
        "name": None if paper is None else paper.name,
        "state": standing.state,
        "by": None if paper is None else paper.by,
        "at": None if paper is None else paper.at,
        "until": None if paper is None else paper.until,
    }


def _budget(home: Home) -> dict[str, Any]:
    if not (home.path / BOOK).exists():
        return {"spent": 0.0, "delta": DEFAULT_DELTA, "budget": None, "left": None}
    with Ledger(home.path / BOOK) as ledger:
        limit = ledger.budget(home.name)
        delta = DEFAULT_DELTA if limit is None else limit.delta
        spent = ledger.spent(home.name).epsilon(delta)
    return {
        "spent": spent if math.isfinite(spent) else None,
        "delta": delta,
        "budget": None if limit is None else limit.epsilon,
        "left": None if limit is None else max(0.0, limit.epsilon - spent),
    }


def _node(home: Home) -> dict[str, Any]:
    from client.node.supervisor import read_status

    return read_status(home.path) or {"state": "never started"}
