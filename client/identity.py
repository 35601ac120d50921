"""The key by which other hospitals know this one: made once, kept in its home, never sent."""

from __future__ import annotations

from client.hospital import Settings
from ground.errors import StateError, UsageError
from ground.files import write_atomically
from privacy.secagg import Identity

FILE = "identity"


def identity_of(settings: Settings) -> Identity:
    """The identity that the settings give (a simulation's), or the one in the hospital's home.

    Made at first use; raises StateError where its file is damaged, UsageError where there is no home.
    """
    if settings.identity:
        return Identity.from_bytes(bytes.fromhex(settings.identity))
    if settings.home is None:
        raise UsageError(f"hospital {settings.name} has no home to keep its identity in: give it one")
    file = settings.home / FILE
    if not file.is_file():
        made = Identity.generate()
        write_atomically(file, made.to_bytes())
        return made
    try:
        return Identity.from_bytes(file.read_bytes())
    except ValueError as error:
        raise StateError(
            f"{file}: is not an identity: restore it from a backup, or delete it and introduce the new one"
        ) from error
