"""The key by which other hospitals know this one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from client.hospital import Settings
from client.identity import FILE, identity_of
from ground.errors import StateError, UsageError
from privacy.secagg import Identity


def test_an_identity_is_made_once_and_kept_in_the_home_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings("brest", ("brest.csv",), tmp_path)
    first = identity_of(settings)
    assert identity_of(settings).public == first.public
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert identity_of(replace(settings, home=tmp_path / "other")).public != first.public


def test_an_identity_that_is_given_is_the_one_that_is_used(tmp_path: Path) -> None:
    given = Identity.generate()
    settings = Settings("brest", ("brest.csv",), tmp_path, identity=given.to_bytes().hex())
    assert identity_of(settings).public == given.public
    assert not (tmp_path / FILE).exists()
    assert given.to_bytes().hex() not in repr(settings)


def test_an_identity_that_is_damaged_or_has_nowhere_to_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"short")
    with pytest.raises(StateError, match="identity: is not an identity: restore it from a backup"):
        identity_of(Settings("brest", ("brest.csv",), tmp_path))
    with pytest.raises(UsageError, match="hospital brest has no home to keep its identity in"):
        identity_of(Settings("brest", ("brest.csv",)))
