"""The commands of a federation as people call them: init, invite, join, hospitals, revoke, people, peers."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from calls import Laennec
from fronted import Front, front
from typer.testing import CliRunner

from client.home import Home
from client.joining.membership import accepted, member_of
from ground.membership.invitation import Invitation
from laennec import screen
from laennec.cli import app
from server.home import FILE, CoordinatorHome


@pytest.fixture(autouse=True)
def anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a folder that is no home, on a screen on which no cell of a table takes two lines."""
    monkeypatch.setattr(screen.out, "size", (200, 50))
    monkeypatch.setenv("LOGNAME", "ada")
    monkeypatch.delenv("LAENNEC_HOME", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def home(laennec: Laennec, tmp_path: Path) -> Path:
    assert laennec("coordinator", "init", "alpes", "--host", "127.0.0.1").code == 0
    return tmp_path / "alpes"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Front]:
    with front(tmp_path) as made:
        yield made


def refused(finished: object, *parts: str) -> None:
    assert finished.code == 2
    assert finished.out == ""
    assert len(finished.err.splitlines()) == 1, finished.err
    for part in parts:
        assert part in finished.err


def test_a_coordinator_s_home_is_made_closed_to_others(laennec: Laennec, tmp_path: Path) -> None:
    made = laennec("coordinator", "init", "home", "--name", "alpes", "--host", "c.example.org", "--json")
    assert made.code == 0
    home = CoordinatorHome.open(tmp_path / "home")
    assert json.loads(made.out) == {
        "home": "home",
        "name": "alpes",
        "nodes": "c.example.org:9092",
        "door": "c.example.org:9443",
        "fingerprint": home.authority().fingerprint,
    }
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    for file in ("authority/authority.key", "certificates/coordinator.key", "registry.sqlite", FILE):
        assert stat.S_IMODE((home.path / file).stat().st_mode) == 0o600, file


def test_it_is_said_what_to_do_next_and_what_to_guard(laennec: Laennec) -> None:
    said = laennec(
        "coordinator", "init", "alpes", "--host", "c.example.org", "--nodes", 443, "--door", 8443
    ).out
    for part in (
        "c.example.org:443",
        "c.example.org:8443",
        "invite HOSPITAL",
        "coordinator start",
        "authority",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--host", "a b"), "--name or --host"),
        (("--host", "c.example.org", "--name", "\x1b[31m"), "--name or --host"),
        (("--host", "c.example.org", "--nodes", "0"), None),
        ((), None),
    ],
    ids=["host", "name", "port", "none"],
)
def test_a_home_for_nobody_is_not_made(
    laennec: Laennec, tmp_path: Path, arguments: tuple[str, ...], said: str | None
) -> None:
    finished = laennec("coordinator", "init", "alpes", *arguments)
    assert finished.code == 2
    assert said is None or said in finished.err
    assert not (tmp_path / "alpes" / FILE).exists()


def test_a_home_is_not_made_twice_and_no_key_is_lost(laennec: Laennec, home: Path) -> None:
    before = CoordinatorHome.open(home).authority().fingerprint
    refused(
        laennec("coordinator", "init", "alpes", "--host", "c.example.org"), "is a coordinator's home already"
    )
    assert CoordinatorHome.open(home).authority().fingerprint == before


def test_an_interrupted_beginning_goes_on_with_its_authority(laennec: Laennec, home: Path) -> None:
    before = CoordinatorHome.open(home).authority().fingerprint
    (home / FILE).unlink()
    refused(
        laennec("coordinator", "hospitals", "--home", home), "is no coordinator's home", "coordinator init"
    )
    assert laennec("coordinator", "init", "alpes", "--host", "c.example.org").code == 0
    assert CoordinatorHome.open(home).authority().fingerprint == before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nodez = 1", "unknown key nodez"),
        ("hospital-days = 0", "hospital-days"),
        ('door = "elsewhere:9443"', "names lacks elsewhere"),
        ('listen = "not a host"', "listen"),
    ],
)
def test_a_mistake_in_its_file_is_named(laennec: Laennec, home: Path, line: str, said: str) -> None:
    key = line.partition(" ")[0]
    kept = [each for each in (home / FILE).read_text().splitlines() if not each.startswith(f"{key} ")]
    (home / FILE).write_text("\n".join([line, *kept]))
    refused(laennec("coordinator", "hospitals", "--home", home), said, FILE)


def test_an_invitation_is_printed_once_or_written_for_its_owner_alone(laennec: Laennec, home: Path) -> None:
    shown = laennec("coordinator", "invite", "brest", "--home", home)
    assert shown.code == 0
    [line] = [each for each in shown.out.splitlines() if each.startswith("laennec-invitation:")]
    assert Invitation.from_text(line).hospital == "brest"
    written = laennec("coordinator", "invite", "lyon", "--home", home, "--out", "lyon.txt", "--days", 2)
    assert "laennec-invitation:" not in written.out
    assert stat.S_IMODE(Path("lyon.txt").stat().st_mode) == 0o600
    assert Invitation.from_text(Path("lyon.txt").read_text()).hospital == "lyon"
    listed = json.loads(laennec("coordinator", "hospitals", "--home", home, "--json").out)
    assert [each["name"] for each in listed["invited"]] == ["brest", "lyon"]
    assert listed["hospitals"] == []


def test_an_invitation_as_json_and_its_end(laennec: Laennec, home: Path) -> None:
    made = json.loads(laennec("coordinator", "invite", "brest", "--home", home, "--json").out)
    assert Invitation.from_text(made["invitation"]).fingerprint == made["fingerprint"]
    assert laennec("coordinator", "invite", "brest", "--home", home, "--withdraw").code == 0
    refused(
        laennec("coordinator", "invite", "brest", "--home", home, "--withdraw"), "no invitation that is open"
    )


@pytest.mark.parametrize(
    "arguments", [("x" * 65,), ("a\nb",), ("brest", "--days", "0"), ("brest", "--days", "9999")]
)
def test_nobody_is_invited_under_no_name_or_for_no_time(
    laennec: Laennec, home: Path, arguments: tuple[str, ...]
) -> None:
    refused(laennec("coordinator", "invite", *arguments, "--home", home))


def test_people_come_and_go(laennec: Laennec, home: Path) -> None:
    added = laennec("coordinator", "people", "--home", home, "--add", "ada", "--role", "launch")
    token = added.out.split()[-1]
    people = CoordinatorHome.open(home).registry.people
    assert people.role_of(token) == "launch"
    watching = json.loads(laennec("coordinator", "people", "--home", home, "--add", "ben", "--json").out)
    assert people.role_of(watching["token"]) == "watch"
    listed = laennec("coordinator", "people", "--home", home, "--json").out
    assert [(each["name"], each["role"]) for each in json.loads(listed)["people"]] == [
        ("ada", "launch"),
        ("ben", "watch"),
    ]
    assert token not in listed
    removed = laennec("coordinator", "people", "--home", home, "--remove", "ada")
    assert "ada" not in removed.out
    assert "ben" in removed.out
    assert people.role_of(token) is None
    refused(laennec("coordinator", "people", "--home", home, "--remove", "ada"), "ada: no such person")
    refused(laennec("coordinator", "people", "--home", home, "--add", "a", "--remove", "b"), "one at a time")


def test_from_an_invitation_to_a_revocation(laennec: Laennec, door: Front, tmp_path: Path) -> None:
    """What two administrators type, in their order."""
    coordinator = door.home.path
    for name in ("brest", "lyon"):
        assert laennec("hospital", "init", name).code == 0
        invited = laennec("coordinator", "invite", name, "--home", coordinator, "--out", f"{name}.txt")
        assert invited.code == 0
        joined = laennec("hospital", "join", f"{name}.txt", "--home", name)
        assert joined.code == 0, joined.err
        assert "is a member of alpes" in joined.out
        fingerprint = door.home.authority().fingerprint
        assert fingerprint in joined.err.replace(" ", "").replace("\n", "")
        assert fingerprint in invited.out.replace(" ", "").replace("\n", "")
    lyon = Home.open(tmp_path / "lyon").public.hex()
    told = " ".join((lyon[:32].upper(), lyon[32:]))
    finished = laennec(
        "hospital", "peers", "--home", "brest", "--accept", "lyon", "--identity", told, "--json"
    )
    assert json.loads(finished.out)["peers"][0]["state"] == "accepted"
    assert accepted(tmp_path / "brest") == {"lyon": lyon}
    listed = laennec("coordinator", "hospitals", "--home", coordinator).out
    assert lyon[:8] in listed  # on a narrow screen an identity takes several lines
    ended = laennec("coordinator", "revoke", "lyon", "--home", coordinator, "--why", "left", "--json")
    assert json.loads(ended.out) == {"hospital": "lyon", "state": "revoked", "why": "left"}
    assert "revoked: left" in laennec("coordinator", "hospitals", "--home", coordinator).out
    after = laennec("hospital", "peers", "--home", "lyon")
    assert after.code == 1
    assert "does not count here" in after.err
    assert "the coordinator names it no more" in laennec("hospital", "peers", "--home", "brest").out
    assert laennec("hospital", "peers", "--home", "brest", "--remove", "lyon").code == 0
    assert accepted(tmp_path / "brest") == {}


def test_an_identity_that_is_another_than_was_told_is_not_accepted(
    laennec: Laennec, door: Front, tmp_path: Path
) -> None:
    for name in ("brest", "lyon"):
        door.member(name)
    finished = laennec("hospital", "peers", "--home", "brest", "--accept", "lyon", "--identity", "ab" * 32)
    refused(finished, "names another identity than the hospital told you")
    assert accepted(tmp_path / "brest") == {}
    refused(
        laennec("hospital", "peers", "--home", "brest", "--identity", "ab"), "give one --accept NAME with it"
    )
    refused(laennec("hospital", "peers", "--home", "brest", "--accept", "nobody", "--yes"), "there are lyon")


@pytest.mark.parametrize(("answer", "kept"), [("n\n", False), ("y\n", True), ("", False)])
def test_a_person_is_asked_whether_the_identities_were_compared(
    door: Front, tmp_path: Path, answer: str, kept: bool
) -> None:
    door.member("brest")
    lyon = door.member("lyon").public.hex()
    arguments = ["hospital", "peers", "--home", "brest", "--accept", "lyon"]
    finished = CliRunner().invoke(app, arguments, input=answer)
    assert (finished.exit_code == 0) == kept
    assert lyon in finished.output.replace(" ", "").replace("\n", "")
    assert accepted(tmp_path / "brest") == ({"lyon": lyon} if kept else {})


@pytest.mark.parametrize("given", ["nothing-here.txt", "laennec-invitation:abc", "x" * 300])
def test_what_is_no_invitation_is_said_in_one_line(laennec: Laennec, tmp_path: Path, given: str) -> None:
    Home.begin(tmp_path / "brest", "brest")
    refused(laennec("hospital", "join", given, "--home", "brest"))


def test_an_invitation_comes_through_standard_input_too(door: Front, tmp_path: Path) -> None:
    door.hospital("brest")
    text = door.invited("brest").to_text()
    finished = CliRunner().invoke(app, ["hospital", "join", "-", "--home", "brest", "--json"], input=text)
    assert finished.exit_code == 0, finished.output
    assert member_of(tmp_path / "brest") is not None


@pytest.mark.parametrize("command", ["hospitals", "invite", "revoke", "people"])
def test_outside_of_a_home_it_is_said_how_to_make_one(laennec: Laennec, command: str) -> None:
    arguments = ["brest"] if command in ("invite", "revoke") else []
    refused(
        laennec("coordinator", command, *arguments), "is no coordinator's home", "laennec coordinator init"
    )


def test_a_hospital_without_a_federation_is_told_to_join_one(laennec: Laennec, tmp_path: Path) -> None:
    Home.begin(tmp_path / "brest", "brest")
    for command in (("start",), ("peers",)):
        refused(laennec("hospital", *command, "--home", "brest"), "laennec hospital join INVITATION")
