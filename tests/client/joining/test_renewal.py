"""Certificates are renewed long before their end, at the hospital and at the coordinator, while both run."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fronted import Front, begun, front, shown

from client.doctor import CHECKS
from client.home import Home
from client.joining import renewal
from client.joining.asking import asking
from client.joining.door import Door, RefusedError
from client.joining.membership import member_of
from client.joining.renewal import renew, renewing
from client.journal import Journal
from client.node.keys import node_key
from ground.errors import FederationError, UsageError
from server.authority import facts_of
from server.door.moments import Moments

DAY = 86400.0
LASTS = 12.0  # seconds, of short-lived certificates


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with front(tmp_path_factory.mktemp("federation")) as made:
        yield made


@pytest.fixture
def door(opened: Front, tmp_path: Path) -> Front:
    opened.later(0)
    return replace(opened, folder=tmp_path)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"h{abs(hash(request.node.nodeid)) % 10**9}"


def wait_for(done: Callable[[], object], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until
        time.sleep(0.02)


def age(home: Path, days: float) -> None:
    """Let the certificate in this home have begun so many days earlier; the coordinator knows better."""
    member = member_of(home)
    assert member is not None
    file = home / "federation" / "member.toml"
    file.write_text(
        file.read_text().replace(f"since = {member.since}", f"since = {member.since - days * DAY}")
    )


def test_a_certificate_is_renewed_when_a_third_is_left_and_not_before(door: Front, name: str) -> None:
    home = door.member(name).path
    before = member_of(home)
    assert renew(home) is None
    assert member_of(home) == before
    age(home, 200)
    after = renew(home)
    assert after == member_of(home)
    assert after is not None
    assert before is not None
    assert after.serial != before.serial
    known = door.home.registry.hospitals.get(name)
    assert known.serial == after.serial
    assert known.key == node_key(home / "node" / "key")
    assert [line.what for line in Journal(home).lines()][-1] == "renew"


@pytest.mark.slow
def test_short_lived_certificates_are_renewed_on_both_sides_while_everything_runs(tmp_path: Path) -> None:
    home = begun(tmp_path / "coordinator", hospital_days=LASTS / DAY, own_days=LASTS / DAY)
    (tmp_path / "coordinator" / "certificates" / "coordinator.pem").unlink()  # the first was for 90 days
    home.renew()
    authority = home.authority().pem
    with front(tmp_path, home) as door:
        member, idle = door.member("brest"), door.member("lyon")
        address = home.written.door
        first = member_of(member.path)
        assert first is not None
        with (
            renewing(member.path),
            httpx.Client(verify=ssl.create_default_context(cadata=authority.decode())) as kept,
        ):
            until = time.monotonic() + LASTS + 3.0
            while time.monotonic() < until:
                home.renew()  # as the running coordinator does once in a while
                assert home.registry.hospitals.get("brest").state == "member"
                assert shown(address, authority).not_valid_after_utc.timestamp() > time.time()
                assert kept.get(f"https://{address}/federation/moment").is_success
                time.sleep(0.2)
        renewed = member_of(member.path)
        assert renewed is not None
        assert renewed.until > first.until
        assert time.time() > first.until
        # Without renewal it would have ended; and who has ended cannot renew.
        assert home.registry.hospitals.get("lyon").state == "expired"
        with pytest.raises(RefusedError, match="it has ended"):
            renew(idle.path)


def test_a_renewed_certificate_is_shown_without_a_restart(door: Front) -> None:
    """And by nothing else: the one before is shown until the files change."""
    home, authority = door.home, door.home.authority().pem
    before = shown(home.written.door, authority).serial_number
    assert shown(home.written.door, authority).serial_number == before
    home.certificates.certificate.unlink()
    assert home.renew()
    wait_for(lambda: shown(home.written.door, authority).serial_number != before)
    written = facts_of(home.certificates.certificate.read_bytes()).serial
    assert format(shown(home.written.door, authority).serial_number, "x") == written


def test_half_a_pair_is_not_taken_up(door: Front, caplog: pytest.LogCaptureFixture) -> None:
    """Who copies files over one by one breaks no connection meanwhile."""
    home, authority = door.home, door.home.authority().pem
    good = home.certificates.certificate.read_bytes()
    before = shown(home.written.door, authority).serial_number
    with caplog.at_level(logging.WARNING, logger="coordinator"):
        home.certificates.certificate.write_bytes(good[: len(good) // 2])
        wait_for(lambda: "cannot be used yet" in caplog.text)
    assert shown(home.written.door, authority).serial_number == before
    home.certificates.certificate.write_bytes(good)
    wait_for(lambda: shown(home.written.door, authority).serial_number == before)


def test_the_coordinator_s_clock_decides(door: Front, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hospital whose own clock is years ahead or behind renews when it is time, and not else."""
    home = door.member(name).path
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3 * 365 * DAY)
    assert renew(home) is None
    monkeypatch.setattr(time, "time", lambda: real() - 3 * 365 * DAY)
    late = Moments(lambda: real() + 61 * DAY)
    right = Door.clock
    monkeypatch.setattr(
        Door, "clock", lambda self: right(self).model_copy(update={"time": late.clock().time})
    )
    assert renew(home) is not None


# Who may renew.


def test_a_revoked_hospital_is_not_renewed(door: Front, name: str) -> None:
    home = door.member(name).path
    age(home, 200)
    door.home.registry.hospitals.revoke(name)
    with pytest.raises(RefusedError, match="was revoked or replaced"):
        renew(home)


def test_nobody_renews_or_asks_in_another_s_name(door: Front, name: str) -> None:
    mine, hers = door.member(name).path, door.member(f"{name}-2").path
    with asking(mine) as me, asking(hers) as she:
        clock = me.door.clock()
        mixed = me.request("renew", clock).model_copy(update={"serial": she.member.serial})
        for forged in (
            mixed,
            me.request("peers", clock),  # asks for something else
            me.request("renew", clock).model_copy(update={"serial": "abcdef"}),
            me.request("renew", clock).model_copy(update={"signature": "00"}),
        ):
            with pytest.raises(RefusedError, match="does not count here"):
                me.door.renew(forged)
        assert me.door.renew(me.request("renew", clock)).hospital == name


def test_a_proof_is_not_from_yesterday(door: Front, name: str) -> None:
    moments = Moments(lambda: time.time() - 301)
    with asking(door.member(name).path) as me:
        for moment in (moments.clock(), me.door.clock().model_copy(update={"moment": f"1.{'0' * 64}"})):
            with pytest.raises(RefusedError, match="this request is too old"):
                me.door.renew(me.request("renew", moment))


def test_a_moment_lasts_five_minutes_and_is_of_its_own_door() -> None:
    now = [1000.0]
    moments, other = Moments(lambda: now[0]), Moments(lambda: now[0])
    given = moments.clock().moment
    for later, recent in ((0, True), (299, True), (301, False), (-301, False)):
        now[0] = 1000.0 + later
        assert moments.is_recent(given) == recent
    now[0] = 1000.0
    assert not other.is_recent(given)
    assert not moments.is_recent(given.replace("1000", "1001"))
    assert not moments.is_recent("x.y")
    assert not moments.is_recent("")


# What the thread in the node does.


def test_the_node_says_once_why_it_cannot_renew_and_goes_on(
    door: Front, name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = door.member(name).path
    tried: list[int] = []

    def fails(_: Path) -> None:
        tried.append(1)
        raise FederationError("the coordinator cannot be reached")

    monkeypatch.setattr(renewal, "renew", fails)
    monkeypatch.setattr(renewal, "pause", lambda *_: 0.01)
    monkeypatch.setattr(renewal, "LEAST_PAUSE", 0.01)
    with caplog.at_level(logging.WARNING, logger="node"), renewing(home):
        wait_for(lambda: len(tried) > 3)
    assert caplog.text.count("the membership is not sure: the coordinator cannot be reached") == 1


def test_a_hospital_in_no_federation_has_nothing_to_renew(door: Front, name: str) -> None:
    home = door.hospital(name)
    with renewing(home.path):
        pass
    with pytest.raises(UsageError, match="is in no federation"):
        renew(home.path)


def test_the_doctor_says_where_the_membership_stands(door: Front, name: str) -> None:
    found = CHECKS["membership"](Home.open(door.hospital(f"{name}-2").path))
    assert (found.good, found.text) == (True, "of no federation")
    home = door.member(name).path
    assert CHECKS["membership"](Home.open(home)).good
    member = member_of(home)
    assert member is not None
    file = home / "federation" / "member.toml"
    for days, said in ((20, "was not renewed"), (-1, "ended on")):
        until = time.time() + days * DAY
        file.write_text(file.read_text().replace(f"until = {member_of(home).until}", f"until = {until}"))
        age(home, 70)
        found = CHECKS["membership"](Home.open(home))
        assert not found.good
        assert found.todo
        assert said in found.text


def test_a_node_that_was_shut_out_says_why(door: Front, name: str, caplog: pytest.LogCaptureFixture) -> None:
    home = door.member(name).path
    with caplog.at_level(logging.WARNING, logger="node"), renewing(home) as cut_off:
        time.sleep(0.3)
        cut_off()  # as the supervisor does when the SuperNode ended
        time.sleep(0.3)
        assert caplog.text == ""
        door.home.registry.hospitals.revoke(name)
        cut_off()
        wait_for(lambda: "was revoked or replaced" in caplog.text)
