"""`laennec hospital status`: what this home holds, at a glance."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from laennec import screen
from laennec.hospital.app import HomeOption, Json, hospital, opened
from laennec.hospital.approve import plain_table, show_lists


@hospital.command()
def status(home: HomeOption = None, json: Json = False) -> None:
    """Patients, quarantine, decisions, budget, limits and node of this hospital."""
    from client import status as client_status

    seen = client_status.status(opened(home))
    if json:
        screen.print_json(seen)
        return
    _facts(seen)
    held = seen["archive"]["quarantine"]
    if held:
        table = plain_table("In quarantine, read by no study", "patient", "why")
        for each in held:
            table.add_row(Text(each["patient"]), Text("; ".join(each["reasons"])))
        screen.out.print(table)
    show_lists(seen["waiting"], seen["approvals"])


def _facts(seen: dict[str, Any]) -> None:
    budget, node, limits, archive = seen["budget"], seen["node"], seen["limits"], seen["archive"]
    spent = "∞" if budget["spent"] is None else f"{budget['spent']:.3f}"
    allowed = "no limit" if budget["budget"] is None else f"of {budget['budget']:g}"
    facts = {
        "hospital": seen["hospital"],
        "identity": seen["identity"],
        "federation": _federation(seen["federation"]),
        "patients": f"{archive['patients']} can be read, {len(archive['quarantine'])} in quarantine",
        "ε spent": f"{spent} ({allowed}, at δ {budget['delta']:g})",
        "limits": "; ".join(f"{name}: {value}" for name, value in limits.items()),
        "node": _node(node),
    }
    table = plain_table("", "", "")
    table.show_header = False
    table.box = None
    for name, value in facts.items():
        table.add_row(Text(name, "bold"), Text(value))
    screen.out.print(table)


def _federation(member: dict[str, Any] | None) -> str:
    return "none" if member is None else f"{member['name']}, member until {member['until']}"


def _node(node: dict[str, Any]) -> str:
    said = str(node["state"])
    if node.get("study"):
        said += f", study {str(node['study'])[:8]}, round {node.get('round')}"
    return f"{said} since {node['since']}" if node.get("since") else said
