"""The machine and the installation: rights, identity, versions, disk."""

from __future__ import annotations

import os
import shutil
import stat
from importlib import metadata
from pathlib import Path

from client.doctor.check import Check
from client.home import IDENTITY, Home
from client.journal import Journal

GIGABYTE = 10**9
LEAST_FREE = 2 * GIGABYTE


def permissions(home: Home) -> Check:
    """Whether the home and what lies directly in it are its owner's alone."""
    files = [home.path, *sorted(home.path.iterdir())]
    status = {file: file.stat() for file in files if file.exists()}
    strangers = [file.name for file, each in status.items() if each.st_uid != os.geteuid()]
    if strangers:
        return Check(
            "permissions",
            False,
            f"{', '.join(strangers[:5])} belong to another user",
            f"run as that user, or: chown -R {os.geteuid()} {home.path}",
        )
    open_to_others = [file for file, each in status.items() if each.st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    if home.path in open_to_others:
        return Check("permissions", False, "others may enter the home", f"chmod 700 {home.path}")
    secret = [file for file in open_to_others if file.name in (IDENTITY, "pseudonyms.key", "log")]
    if secret:
        names = " ".join(str(file) for file in secret)
        return Check("permissions", False, f"others may read {names}", f"chmod 600 {names}")
    return Check("permissions", True, "the home is its owner's alone")


def identity(home: Home) -> Check:
    """Whether the identity is there, and the one with which the journal was begun."""
    public = home.public.hex()
    first = next(iter(Journal(home.path).lines()), None)
    if first is not None and first.what == "init" and public not in first.detail:
        return Check(
            "identity",
            False,
            "is not the one with which this home was made",
            "restore HOME/identity from a backup: other hospitals know this one by it",
        )
    return Check("identity", True, f"{public[:16]}…, as other hospitals know it")


def versions(home: Home) -> Check:  # noqa: ARG001
    """Whether what is installed is what Laennec asks for, and what was tested."""
    from packaging.requirements import Requirement

    wrong = []
    for text in metadata.requires("laennec") or []:
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        found = _installed(needed.name)
        if found is None or not needed.specifier.contains(found, prereleases=True):
            wrong.append(f"{needed.name} {found or 'is missing'} ({needed.specifier or 'any'} is needed)")
    own = metadata.version("laennec")
    if wrong:
        return Check("versions", False, "; ".join(wrong), "pip install --constraint constraints.txt laennec")
    tested = _tested()
    others = sorted(
        name for name, version in tested.items() if _public(_installed(name)) not in ("", version)
    )
    if others:
        text = f"Laennec {own}; other versions than the tested ones: {', '.join(others[:5])}"
        return Check("versions", True, text)
    return Check("versions", True, f"Laennec {own}" + (", all as tested" if tested else ""))


def disk(home: Home) -> Check:
    """Whether there is room for what a study writes."""
    free = shutil.disk_usage(home.path).free
    text = f"{free / GIGABYTE:.1f} GB free"
    todo = "" if free >= LEAST_FREE else f"make room: below {LEAST_FREE / GIGABYTE:.0f} GB a study may stop"
    return Check("disk", free >= LEAST_FREE, text, todo)


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _public(version: str | None) -> str:
    """Without what a builder added, as in 2.13.0+cpu."""
    return (version or "").partition("+")[0]


def _tested() -> dict[str, str]:
    """Name → version of constraints.txt, where Laennec runs from a checkout; empty elsewhere."""
    file = Path(__file__).parents[2] / "constraints.txt"
    if not file.is_file():
        return {}
    lines = (line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return dict(line.split("==", 1) for line in lines if "==" in line)
