"""What a hospital keeps of its membership, in HOME/federation: nothing of it is secret.

member.toml     the coordinator's addresses, and to when the certificate is valid
authority.pem   what vouches for the coordinator
certificate.pem of this hospital's node key
peers.toml      the hospitals that a person here has accepted, by their identities
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tomli_w
from pydantic import Field

from ground.errors import StateError
from ground.files import write_atomically
from ground.membership.invitation import Address, Name
from ground.membership.messages import Identity, Serial
from ground.strict import Table, read

FOLDER = "federation"


class Member(Table):
    """member.toml.

    Attributes:
        federation: its name.
        nodes: host:port to which the node connects.
        door: host:port of the coordinator's front door.
        serial: of the certificate, in hexadecimal.
        since, until: when it is valid, in seconds since 1970.

    """

    federation: Name
    nodes: Address
    door: Address
    serial: Serial
    since: Annotated[float, Field(strict=False)]
    until: Annotated[float, Field(strict=False)]


class Accepted(Table):
    """peers.toml."""

    peers: dict[str, Identity] = Field(default_factory=dict)


def member_of(home: Path) -> Member | None:
    """The membership of the hospital in `home`; None where it never joined.

    Raises StateError where the file is damaged.
    """
    file = home / FOLDER / "member.toml"
    try:
        return read(file.read_text(encoding="utf-8"), Member)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StateError(f"{file}: damaged: restore it from a backup, or join again") from error


def write_member(home: Path, member: Member, certificate: str, authority: str) -> None:
    """Keep it; member.toml comes last: without it there is no membership."""
    folder = folder_of(home)
    write_atomically(authority_file(home), authority)
    write_atomically(folder / "certificate.pem", certificate)
    write_atomically(folder / "member.toml", tomli_w.dumps(member.model_dump()))


def authority_file(home: Path) -> Path:
    """What vouches for the coordinator."""
    return home / FOLDER / "authority.pem"


def accepted(home: Path) -> dict[str, str]:
    """Name -> public identity of the hospitals that a person here has accepted.

    Raises StateError where the file is damaged.
    """
    file = home / FOLDER / "peers.toml"
    try:
        return dict(read(file.read_text(encoding="utf-8"), Accepted).peers)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StateError(f"{file}: damaged: delete it, and accept the other hospitals again") from error


def write_accepted(home: Path, peers: dict[str, str]) -> None:
    """Replace the list."""
    write_atomically(folder_of(home) / "peers.toml", tomli_w.dumps({"peers": dict(sorted(peers.items()))}))


def folder_of(home: Path) -> Path:
    """HOME/federation, made where it is not there."""
    folder = home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
