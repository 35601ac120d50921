"""The systemd units: verified by systemd itself, closed, and each command line in them exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from deployed import UNITS, accept, tool

RUN = ("laennec-coordinator.service", "laennec-hospital.service")
ALL = (*RUN, "laennec-backup@.service", "laennec-backup@.timer")
INSTALLED = "/opt/laennec/bin/laennec"


def installed(folder: Path, spoil: tuple[str, str] = ("", "")) -> list[str]:
    """The units with the command line of this environment in the place of the installed one."""
    here = str(Path(sys.executable).with_name("laennec"))
    paths = []
    for name in ALL:
        text = (UNITS / name).read_text().replace(INSTALLED, here)
        path = folder / name.replace("@.", "@hospital.")
        path.write_text(text.replace(*spoil) if spoil[0] else text)
        paths.append(str(path))
    return paths


def verify(paths: list[str]) -> tuple[int, str]:
    done = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", *paths], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_systemd_finds_nothing_to_say(tmp_path: Path) -> None:
    status, said = verify(installed(tmp_path))
    assert status == 0, said
    assert "laennec" not in said, said


@pytest.mark.parametrize(
    "spoil",
    [
        ("ProtectSystem=strict", "ProtectSystm=strict"),
        ("Type=exec", "Type=whatever"),
        ("OnCalendar=*-*-* 03:10:00", "OnCalendar=tonight"),
        ("SystemCallFilter=@system-service", "SystemCallFilter=@no-such"),
        (" hospital start", "-is-not-there start"),
    ],
)
def test_systemd_sees_what_was_spoilt(tmp_path: Path, spoil: tuple[str, str]) -> None:
    status, said = verify(installed(tmp_path, spoil))
    assert status != 0 or "laennec" in said


@pytest.mark.parametrize("name", [name for name in ALL if name.endswith(".service")])
def test_a_service_is_closed(tmp_path: Path, name: str) -> None:
    """By systemd's own measure of exposure, from 0 to 100: a service without a sandbox has 90 or more."""
    unit = tmp_path / name.replace("@.", "@hospital.")
    unit.write_text((UNITS / name).read_text())
    done = subprocess.run(
        [tool("systemd-analyze"), "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-200:]
    unit.write_text(re.sub(r"(?s)NoNewPrivileges.*", "", unit.read_text()))
    done = subprocess.run(
        [tool("systemd-analyze"), "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0


@pytest.mark.parametrize("kind", ["hospital", "coordinator"])
def test_each_command_exists(kind: str) -> None:
    text = (UNITS / f"laennec-{kind}.service").read_text()
    [line] = re.findall(rf"^ExecStart={INSTALLED} (.*)$", text, re.MULTILINE)
    assert accept(line.split()) == f"{kind} start"
    assert re.search(rf"LAENNEC_HOME=/var/lib/laennec/{kind} LAENNEC_HEALTH=127\.0\.0\.1:\d+$", text, re.M)
    text = (UNITS / "laennec-backup@.service").read_text().replace("%i", kind)
    [line] = re.findall(rf"^ExecStart={INSTALLED} (.*)$", text, re.MULTILINE)
    folder, here = line.split()[2], str(UNITS)
    assert accept([here if part == folder else part for part in line.split()]) == f"{kind} backup"


def test_the_user_is_one_that_sysusers_makes() -> None:
    made = subprocess.run(
        [tool("systemd-sysusers"), "--dry-run", str(UNITS / "laennec.sysusers")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert all("User=laennec\n" in (UNITS / name).read_text() for name in RUN)
