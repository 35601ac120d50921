"""The images: linted, parsed, and each command line in them exists."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from deployed import COMPOSE, DOCKERFILE, ROOT, accept, tool

ROLES = ("coordinator", "hospital")


def instructions(text: str) -> list[tuple[str, str]]:
    """Instruction and rest of each line of a Dockerfile, its continuations joined."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]


def stages(text: str) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for name, rest in instructions(text):
        if name == "FROM":
            found[rest.split(" AS ")[1]] = []
        if found:
            list(found.values())[-1].append((name, rest))
    return found


def hadolint(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tool("hadolint"), "-"], input=text, capture_output=True, text=True, check=False)


def test_the_dockerfile_passes_its_linter() -> None:
    done = hadolint(DOCKERFILE.read_text())
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        ("RUN groupadd", "RUN apt-get install curl && groupadd"),
        ("USER 10001:10001", "USER root"),
        ("WORKDIR /source", "WORKDIR x"),
    ],
)
def test_the_linter_sees_what_was_spoilt(what: str, instead: str) -> None:
    text = DOCKERFILE.read_text()
    assert what in text
    assert hadolint(text.replace(what, instead)).returncode != 0


def test_the_base_is_pinned_and_new_enough() -> None:
    [(_, base)] = [each for each in instructions(DOCKERFILE.read_text()) if each[0] == "ARG"]
    found = re.fullmatch(r"BASE=docker\.io/library/python:(\d+)\.(\d+)\.(\d+)-slim-bookworm", base)
    assert found is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    least = tuple(map(int, re.findall(r"\d+", project["requires-python"])))
    assert (int(found[1]), int(found[2])) >= least
    froms = [rest for name, rest in instructions(DOCKERFILE.read_text()) if name == "FROM"]
    assert {each.split()[0] for each in froms} == {"${BASE}", "base"}


@pytest.mark.parametrize("role", ROLES)
def test_an_image_runs_as_nobody_and_starts_what_exists(role: str) -> None:
    found = stages(DOCKERFILE.read_text())
    base, own = dict(found["base"]), dict(found[role])
    assert base["USER"] == "10001:10001"
    assert json.loads(base["ENTRYPOINT"]) == ["laennec"]
    assert accept(json.loads(own["CMD"])) == f"{role} start"
    probe = json.loads(base["HEALTHCHECK"].partition("CMD ")[2])
    assert probe[:4] == ["python", "-P", "-m", "ground.health"]
    health = re.search(r"LAENNEC_HEALTH=\S+:(\d+)", base["ENV"])
    assert health is not None
    assert probe[4].endswith(f":{health[1]}")


def test_all_that_the_wheel_is_made_of_is_let_in() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {each.rstrip("*") for each in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    let_in = {
        line[1:]
        for line in DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert let_in == packages | {"pyproject.toml", "constraints.txt", "README.md", "LICENSE"}
    assert all((ROOT / each).exists() for each in let_in)


# compose.yaml


def services() -> dict[str, dict[str, Any]]:
    values = yaml.safe_load(re.sub(r"\$\{[A-Z_]+:-([^}]+)\}", r"\1", COMPOSE.read_text()))
    found: dict[str, dict[str, Any]] = values["services"]
    return found


def compose_lint(file: Path) -> subprocess.CompletedProcess[str]:
    # What may stay: a digest that only whoever builds the image knows, and ports that are for everybody.
    return subprocess.run(
        [tool("compose-lint"), "check", str(file), "--fail-on", "high"],
        capture_output=True,
        text=True,
        check=False,
    )


def test_compose_passes_its_linter() -> None:
    done = compose_lint(COMPOSE)
    assert done.returncode == 0, done.stdout
    assert set(re.findall(r"CL-\d+", done.stdout)) <= {"CL-0019", "CL-0005"}


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        ("  read_only: true\n  init", "  privileged: true\n  init"),
        ("- type: bind", "- /var/run/docker.sock:/s\n      - type: bind"),
    ],
)
def test_the_linter_sees_a_service_that_was_opened(tmp_path: Path, what: str, instead: str) -> None:
    text = COMPOSE.read_text()
    assert what in text
    (tmp_path / "compose.yaml").write_text(text.replace(what, instead, 1))
    assert compose_lint(tmp_path / "compose.yaml").returncode != 0


@pytest.mark.parametrize("name", ["coordinator-init", "coordinator", "hospital-init", "hospital"])
def test_a_service_is_closed_and_starts_what_exists(name: str) -> None:
    service = services()[name]
    role = name.removesuffix("-init")
    assert service["read_only"] is True
    assert service["user"] == "10001:10001"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["image"].startswith(f"laennec-{role}:")
    assert service["build"]["target"] == role
    assert (COMPOSE.parent / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    what = "init" if name.endswith("-init") else "start"
    assert accept(list(map(str, service["command"]))) == f"{role} {what}"
    assert ("ports" in service) == (name == "coordinator")  # a hospital listens to nobody
    if what == "start":
        assert service["healthcheck"]["test"][1:5] == ["python", "-P", "-m", "ground.health"]


def test_hospital_and_coordinator_share_nothing() -> None:
    kept = [service["volumes"][0].partition(":")[0] for service in services().values()]
    assert kept == ["coordinator", "coordinator", "hospital", "hospital"]
    found = services()
    assert not set(found["coordinator"]["networks"]) & set(found["hospital"]["networks"])


@pytest.mark.parametrize(
    "line",
    [["hospital", "begin"], ["hospital", "start", "--nope"], ["coordinator", "init", "/x"], ["hospital"]],
)
def test_a_command_line_that_does_not_exist_is_seen(line: list[str]) -> None:
    with pytest.raises(click.ClickException):
        accept(line)
