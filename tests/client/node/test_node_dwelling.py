from __future__ import annotations

from pathlib import Path

import pytest

from client import hospital
from client.home import Home
from client.hospital import Settings
from client.node import dwelling
from ground.errors import UsageError


def test_a_node_is_governed_by_its_home_as_it_is_at_each_message(tmp_path: Path) -> None:
    home = tmp_path / "home"
    Home.begin(home, "brest")
    config = dwelling.config_of(home)
    settings = Settings.from_config(config())
    assert (settings.name, settings.home, settings.governed) == ("brest", home, True)
    assert (settings.secret_noise, settings.discloses, settings.trusts_sum) == (True, False, False)
    (home / "hospital.toml").write_text('name = "brest"\nleast-hospitals = 7\n')
    assert Settings.from_config(config()).least_hospitals == 7


def test_patients_are_read_anew_once_the_archive_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    Home.begin(home, "brest")
    revisions = iter(["1", "1", "2", "2"])
    forgotten: list[int] = []
    monkeypatch.setattr(dwelling, "_revision", lambda _: next(revisions))
    monkeypatch.setattr(dwelling, "forget_cohorts", lambda: forgotten.append(1))
    config, seen = dwelling.config_of(home), []
    for _ in range(4):
        config()
        seen.append(len(forgotten))
    assert seen == [0, 0, 1, 1]


def test_to_forget_cohorts_empties_the_cache() -> None:
    hospital.forget_cohorts()
    assert hospital._cohort.cache_info().currsize == 0


def test_a_node_without_a_home_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no hospital's home"):
        dwelling.config_of(tmp_path)
