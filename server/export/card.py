"""A model card (Mitchell et al., Model Cards for Model Reporting, FAT* 2019) in Markdown.

It begins with the hospital that the model serves worst: a mean hides it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.contract import Task

UNKNOWN = (
    "No hospital disclosed what the model does for its own test patients. Where it is worst is therefore not "
    "known; try it on your own patients before anything else:"
)


def model_card(
    task: Task, result: Mapping[str, Any], privacy: Mapping[str, Any], files: Mapping[str, str]
) -> str:
    """The card's text, from result.json and privacy.json; `files` says what each file beside it is."""
    parts = [
        f"# {result['study']}: a model for {task.name}",
        _worst(task, result),
        _use(task, result),
        _training(result),
        _privacy(privacy),
        _files(files),
    ]
    return "\n\n".join(parts) + "\n"


def _worst(task: Task, result: Mapping[str, Any]) -> str:
    headline = result["headline"]
    evaluate = (
        f"```\nlaennec evaluate model.safetensors --task {task.name} --data YOUR-DATA\n```\n\n"
        "Test patients of the hospitals that taught it are like those it learned from; yours may not be."
    )
    known = [each for each in result["hospitals"] if each["metrics"].get(headline) is not None]
    if not known:
        return f"## Where it is worst\n\n{UNKNOWN}\n\n{evaluate}"
    known.sort(key=lambda each: (each["metrics"][headline], each["name"]))
    names = list(known[0]["metrics"])
    rows = [[each["name"], *(_number(each["metrics"].get(name)) for name in names)] for each in known]
    silent = [each["name"] for each in result["hospitals"] if each not in known]
    more = f"\n\nNot disclosed by: {', '.join(silent)}." if silent else ""
    worst = known[0]
    first = (
        f"At **{worst['name']}**: {headline} {_number(worst['metrics'][headline])} on test patients. "
        "All hospitals, the worst first:"
    )
    table = _table(["hospital", *names], rows)
    return f"## Where it is worst\n\n{first}\n\n{table}{more}\n\nOn yours:\n\n{evaluate}"


def _use(task: Task, result: Mapping[str, Any]) -> str:
    columns = [
        f"- {each.name}: {each.meaning}{f' ({each.unit})' if each.unit else ''}" for each in task.schema[:40]
    ]
    more = "" if len(task.schema) <= 40 else f"\n- and {len(task.schema) - 40} more"
    wanted = f"It reads of a patient:\n\n{chr(10).join(columns)}{more}" if columns else ""
    text = (
        f"## What it is for\n\n{task.summary[:1].upper()}{task.summary[1:]} (task `{task.name}`, version "
        f"{result['task_version']}). For research: it is not a medical device, and no decision about a "
        f"patient may rest on it.\n\n{wanted}"
    )
    return text.rstrip()


def _training(result: Mapping[str, Any]) -> str:
    contributed = {each["name"]: 0 for each in result["hospitals"]}
    for entry in result["history"]:
        for name in entry["contributors"]:
            contributed[name] = contributed.get(name, 0) + 1
    rows = [[name, str(count)] for name, count in sorted(contributed.items())]
    missed = [f"- round {each['round']}, {each['hospital']}: {each['reason']}" for each in result["left_out"]]
    text = (
        f"## How it was made\n\n{result['rounds']} rounds of {result['strategy']} over "
        f"{len(result['hospitals'])} hospitals; seed {result['seed']}; study `{result['digest']}`.\n\n"
        f"{_table(['hospital', 'rounds it contributed to'], rows)}"
    )
    return text + (f"\n\nLeft out:\n\n{chr(10).join(missed)}" if missed else "")


def _privacy(card: Mapping[str, Any]) -> str:
    said = [f"## What it may tell of a patient\n\n{card['statement']}"]
    for title, key in (("Covered", "covered"), ("Not covered", "not_covered"), ("Mind", "warnings")):
        if card[key]:
            said.append(f"{title}:\n\n" + "\n".join(f"- {each}" for each in card[key]))
    return "\n\n".join(said)


def _files(files: Mapping[str, str]) -> str:
    return "## Files\n\n" + "\n".join(f"- `{name}`: {what}" for name, what in files.items())


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '¦') for cell in line)} |" for line in lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
