from __future__ import annotations

import stat
from pathlib import Path

import pytest

from client.home import FILE, Home
from client.hospital import Settings
from client.journal import Journal
from ground.errors import UsageError


def test_a_home_is_made_with_settings_identity_and_journal(tmp_path: Path) -> None:
    home = Home.begin(tmp_path / "a" / "home", "CHU de Brest")
    assert Home.open(home.path) == home
    assert home.name == "CHU de Brest"
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in home.path.iterdir()} == {0o600}
    [line] = Journal(home.path).lines()
    assert (line.who, line.what) == ("person", "init")
    assert home.public.hex() in line.detail


def test_a_home_is_never_made_over_another(tmp_path: Path) -> None:
    public = Home.begin(tmp_path / "home", "brest").public
    with pytest.raises(UsageError, match="is a hospital's home already"):
        Home.begin(tmp_path / "home", "lyon")
    assert Home.open(tmp_path / "home").public == public
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file: give a folder"):
        Home.begin(tmp_path / "file", "brest")


def test_a_beginning_that_was_interrupted_goes_on_with_its_identity(tmp_path: Path) -> None:
    public = Home.begin(tmp_path, "brest").public
    (tmp_path / FILE).unlink()
    assert Home.begin(tmp_path, "brest").public == public
    assert Journal(tmp_path).verify() == 1


@pytest.mark.parametrize("name", ["", " ", " brest", "b" * 65, "a\nb"])
def test_a_name_that_is_none_is_refused_before_anything_is_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="--name: "):
        Home.begin(tmp_path / "home", name)
    assert not (tmp_path / "home").exists()


def test_where_there_is_no_home_the_way_out_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no hospital's home .* make one with `laennec hospital init"):
        Home.open(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "not valid TOML"),
        ("", "missing key name"),
        ('name = "a"\ncoordinater = "x:1"', "unknown key coordinater: did you mean coordinator?"),
        ('name = "a"\n[limits]\nhour = "1"', "unknown key limits.hour: did you mean hours?"),
        ('name = "a"\n[limits]\nhours = "25:00-07:00"', "hours are two times of day"),
        (
            'name = "a"\nleast-hospitals = 1',
            "least-hospitals = 1: input should be greater than or equal to 2",
        ),
        ('name = "a"\nleast_hospitals = 3', "unknown key 'least_hospitals': did you mean least-hospitals?"),
        ('name = "a"\ncoordinator = "here"', "coordinator = 'here'"),
        ('name = "a"\nsums-metrics = 1', "sums-metrics = 1: input should be a valid boolean"),
        ('name = "a"\n[peers]\nlyon = "ab"', "peers.lyon = 'ab'"),
    ],
)
def test_what_is_wrong_in_hospital_toml_is_said_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UsageError) as caught:
        Home.open(tmp_path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / FILE}: ")
    assert "\n" not in str(caught.value)


def test_what_a_new_home_may_set_is_what_can_be_set(tmp_path: Path) -> None:
    """The commented lines of a new hospital.toml are read where somebody takes their # away."""
    home = Home.begin(tmp_path / "home", "brest")
    text = (home.path / FILE).read_text().replace("\n# ", "\n")
    (home.path / FILE).write_text(text)
    opened = Home.open(home.path)
    assert opened.written.coordinator == "coordinator.example.org:9092"
    assert opened.limits.hours == "19:00-07:00"
    assert opened.certificate == home.path / "coordinator.pem"
    assert list(opened.written.peers) == ["lyon"]


def test_who_vouches_for_the_coordinator_is_never_assumed(tmp_path: Path) -> None:
    home = Home.begin(tmp_path / "home", "brest")
    with pytest.raises(UsageError, match="names no certificate"):
        home.authority()
    for said, expected in (("system", None), ("root.pem", home.path / "root.pem")):
        (home.path / FILE).write_text(f'name = "brest"\ncertificate = "{said}"\n')
        opened = Home.open(home.path)
        (home.path / "root.pem").touch()
        assert opened.authority() == expected
    (home.path / "root.pem").unlink()
    with pytest.raises(UsageError, match=r"root\.pem: no such file: ask the coordinator"):
        opened.authority()


def test_a_node_s_settings_are_those_of_its_home(tmp_path: Path) -> None:
    home = Home.begin(tmp_path / "home", "brest")
    (home.path / FILE).write_text(
        f'name = "brest"\nleast-hospitals = 4\nsources = ["a.csv"]\n[peers]\nlyon = "{"ab" * 32}"\n'
    )
    settings = Home.open(home.path).settings()
    assert settings == Settings(
        name="brest",
        sources=(str(home.path.absolute() / "a.csv"),),
        home=home.path,
        governed=True,
        peers=(("lyon", "ab" * 32),),
        least_hospitals=4,
    )
    assert Settings.from_config(settings.to_config()) == settings
    assert (settings.discloses, settings.trusts_sum, settings.secret_noise) == (False, False, True)
