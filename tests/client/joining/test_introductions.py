"""The coordinator introduces hospitals to each other; a person compares, and only then do they sum."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fronted import Front, front

from client.home import FILE, Home
from client.joining import peers as joined
from client.joining.door import Door
from client.joining.membership import accepted
from client.journal import Journal
from ground.errors import FederationError, StateError, UsageError
from ground.membership.messages import Peer, Peers
from server.authority import Authority


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Front]:
    with front(tmp_path) as made:
        yield made


def states(home: Home) -> dict[str, str]:
    return {each.name: each.state for each in joined.introductions(Home.open(home.path))}


def only(home: Home) -> joined.Introduction:
    [each] = joined.introductions(Home.open(home.path))
    return each


def test_members_are_introduced_and_summed_with_once_a_person_accepted_them(door: Front) -> None:
    brest, lyon = door.member("brest"), door.member("lyon")
    each = only(brest)
    assert (each.name, each.identity, each.state) == ("lyon", lyon.public.hex(), "new")
    assert Home.open(brest.path).settings().peers == ()  # an introduction alone changes nothing
    joined.accept(brest, each, "ada")
    assert Home.open(brest.path).settings().peers == (("lyon", lyon.public.hex()),)
    assert states(brest) == {"lyon": "accepted"}
    assert states(lyon) == {"brest": "new"}  # each decides for itself
    line = Journal(brest.path).lines()[-1]
    assert (line.who, line.what) == ("person", "accept")
    assert "by ada" in line.detail
    assert lyon.public.hex() in line.detail


def test_who_is_accepted_no_more_is_summed_with_no_more(door: Front) -> None:
    brest, _ = door.member("brest"), door.member("lyon")
    joined.accept(brest, only(brest), "ada")
    joined.remove(brest, "lyon", "ada")
    assert Home.open(brest.path).settings().peers == ()
    with pytest.raises(UsageError, match="lyon: was not accepted here"):
        joined.remove(brest, "lyon", "ada")


def test_another_identity_under_an_accepted_name_is_never_taken_over(door: Front) -> None:
    """What a lying coordinator would try: the accepted key stays, and the change is shown."""
    brest, lyon = door.member("brest"), door.member("lyon")
    joined.accept(brest, only(brest), "ada")
    door.home.registry.hospitals.revoke("lyon")
    false = Front(door.home, door.folder / "false").member("lyon")
    each = only(brest)
    assert each.state == "changed"
    assert (each.identity, each.accepted) == (false.public.hex(), lyon.public.hex())
    assert Home.open(brest.path).settings().peers == (("lyon", lyon.public.hex()),)
    joined.accept(brest, each, "ada")  # once a person has heard from lyon why
    assert Home.open(brest.path).settings().peers == (("lyon", false.public.hex()),)


def test_who_was_revoked_is_introduced_no_more(door: Front) -> None:
    brest, _, _ = door.member("brest"), door.member("lyon"), door.member("nancy")
    joined.accept(brest, joined.introductions(brest)[0], "ada")
    door.home.registry.hospitals.revoke("lyon")
    assert states(brest) == {"lyon": "gone", "nancy": "new"}
    with pytest.raises(UsageError, match="the coordinator names no such hospital"):
        joined.accept(brest, joined.introductions(Home.open(brest.path))[0], "ada")


def forged(door: Front, how: str) -> Peer:
    """An introduction that the authority did not sign, or signed for something else."""
    key, lasts = ec.generate_private_key(ec.SECP384R1()).public_key(), timedelta(days=1)
    right = door.home.authority()
    name, identity = "lyon", "ab" * 32
    made = {
        "another authority": lambda: Authority.new("alpes").for_hospital(name, identity, key, lasts),
        "another name": lambda: right.for_hospital("nancy", identity, key, lasts),
        "another identity": lambda: right.for_hospital(name, "cd" * 32, key, lasts),
        "a server's": lambda: right.for_coordinator([name], key, lasts),
        "none": lambda: b"none",
    }
    return Peer(name=name, identity=identity, certificate=made[how]().decode())


@pytest.mark.parametrize(
    "how", ["another authority", "another name", "another identity", "a server's", "none"]
)
def test_an_introduction_without_its_certificate_is_refused(
    door: Front, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    brest = door.member("brest")
    monkeypatch.setattr(Door, "peers", lambda *_: Peers(peers=(forged(door, how),)))
    with pytest.raises(FederationError, match="introduces a hospital without a certificate"):
        joined.introductions(brest)


def test_nobody_else_is_told_who_the_members_are(door: Front) -> None:
    brest, lyon = door.member("brest"), door.member("lyon")
    door.home.registry.hospitals.revoke("brest")
    with pytest.raises(FederationError, match="refuses"):
        joined.introductions(brest)
    with Door(door.home.written.door, door.home.authority().pem.decode()) as stranger:
        for path in ("moment", "join", "renew", "peers"):
            for ask in (stranger._client.get, stranger._client.post):
                said = ask(f"/federation/{path}").text
                assert "lyon" not in said
                assert lyon.public.hex() not in said


def test_hospital_toml_goes_first_and_is_not_changed(door: Front) -> None:
    brest, lyon = door.member("brest"), door.member("lyon")
    file = brest.path / FILE
    own = "ef" * 32
    file.write_text(f'name = "brest"\n[peers]\nlyon = "{own}"\n')
    home = Home.open(brest.path)
    assert states(home) == {"lyon": "changed"}
    with pytest.raises(UsageError, match=r"stands in hospital.toml under \[peers\]: change it there"):
        joined.accept(home, only(home), "ada")
    assert home.settings().peers == (("lyon", own),)
    assert lyon.public.hex() not in file.read_text()


def test_a_damaged_list_is_one_line_and_nobody_is_summed_with(door: Front) -> None:
    brest, _ = door.member("brest"), door.member("lyon")
    joined.accept(brest, only(brest), "ada")
    (brest.path / "federation" / "peers.toml").write_text('[peers]\nlyon = "short"\n')
    with pytest.raises(StateError, match="delete it, and accept the other hospitals again"):
        accepted(brest.path)
    with pytest.raises(StateError):
        Home.open(brest.path).settings()


def test_a_hospital_in_no_federation_is_told_how_to_join(door: Front) -> None:
    with pytest.raises(UsageError, match="is in no federation: `laennec hospital join INVITATION`"):
        joined.introductions(door.hospital("brest"))


def test_a_hospital_alone_is_introduced_to_nobody(door: Front) -> None:
    assert joined.introductions(door.member("brest")) == ()
