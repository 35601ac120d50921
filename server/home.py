"""The coordinator's home: the one folder in which everything lies that is the coordinator's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated

import tomli_w
from pydantic import Field, ValidationError

from ground.errors import UsageError
from ground.files import write_atomically
from ground.membership.invitation import Address, Invitation, Name
from ground.strict import Table, explain, read
from server.authority.authority import Authority, certificate_in
from server.authority.certificates import Certificates
from server.authority.leaf import Leaf
from server.registry.store import Registry

FILE = "coordinator.toml"
NODES, DOOR = 9092, 9443  # the ports, where nothing else is said
HERE = ("127.0.0.1", "localhost")  # this machine's own processes speak with SuperLink over TLS too
Days = Annotated[float, Field(gt=0, le=3650, strict=False)]
HostName = Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z0-9:.-]+$")]


class Written(Table):
    """coordinator.toml, as a person writes it.

    Attributes:
        name: the federation's name, as hospitals see it.
        nodes: "host:port" to which the hospitals' nodes connect (SuperLink).
        door: "host:port" of the front door, HTTPS: joining, renewal, introductions, dashboard.
        names: host names and addresses in the coordinator's certificate; those of nodes and door among them.
        listen: the address of this machine at which both listen; 0.0.0.0 is any.
        hospital_days: how long a hospital's certificate is valid; it is renewed when a third is left.
        own_days: how long the coordinator's own is valid; likewise.
        invitation_days: how long an invitation is open, where `invite` is not told otherwise.

    """

    name: Name
    nodes: Address
    door: Address
    names: Annotated[tuple[HostName, ...], Field(strict=False, min_length=1, max_length=32)]
    listen: HostName = "0.0.0.0"  # noqa: S104 - hospitals connect from elsewhere
    hospital_days: Days = 90.0
    own_days: Days = 90.0
    invitation_days: Days = 7.0


@dataclass(frozen=True)
class CoordinatorHome:
    """One coordinator's home folder; `written` is what its coordinator.toml says."""

    path: Path
    written: Written

    @staticmethod
    def begin(
        path: Path, name: str, names: Sequence[str], *, nodes: int = NODES, door: int = DOOR
    ) -> CoordinatorHome:
        """Make a home: folder (0700), settings, authority, the coordinator's certificate, registry.

        The first of `names` is the host to which hospitals connect, at these ports. Raises UsageError where
        there is a home already, or a name is none.
        """
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path}: is a file: give a folder")
        if (path / FILE).exists():
            raise UsageError(f"{path}: is a coordinator's home already: use it, or give another folder")
        if not names:
            raise UsageError("--host: give the host name or address under which hospitals reach this machine")
        try:
            host = f"[{names[0]}]" if ":" in names[0] else names[0]
            written = Written(
                name=name, nodes=f"{host}:{nodes}", door=f"{host}:{door}", names=tuple(dict.fromkeys(names))
            )
        except ValidationError as error:
            raise UsageError(f"--name or --host: {explain(error, Written)}") from error
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        made = CoordinatorHome(path.absolute(), written)
        # What was interrupted goes on with what is there; coordinator.toml comes last.
        Authority.begin(made.path / "authority", f"Laennec federation {name}")
        Registry.begin(made.path / "registry.sqlite")
        made.renew()
        for folder in (made.studies, made.superlink):
            folder.mkdir(mode=0o700, exist_ok=True)
        write_atomically(path / FILE, _text(written))
        return made

    @staticmethod
    def open(path: Path) -> CoordinatorHome:
        """The home at `path`; raises UsageError, with the way out, where there is none or it is wrong."""
        file = path / FILE
        try:
            text = file.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            raise UsageError(
                f"{path}: is no coordinator's home (no {FILE}): go there, give --home HOME, or make one with "
                "`laennec coordinator init HOME --name NAME --host NAME`"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{file}: cannot be read: check its owner and its rights") from error
        try:
            written = read(text, Written)
        except ValueError as error:
            raise UsageError(f"{file}: {error}") from error
        missing = {_host(written.nodes), _host(written.door)} - set(written.names)
        if missing:
            raise UsageError(
                f"{file}: names lacks {', '.join(sorted(missing))}, where hospitals connect: add it"
            )
        return CoordinatorHome(path.absolute(), written)

    @property
    def name(self) -> str:
        """The federation's name."""
        return self.written.name

    @cached_property
    def registry(self) -> Registry:
        """Hospitals, invitations, people, studies."""
        return Registry.open(self.path / "registry.sqlite")

    def authority(self) -> Authority:
        """The federation's authority, with its key; raises StateError where it is damaged."""
        return Authority.open(self.path / "authority")

    @property
    def authority_pem(self) -> Path:
        """The authority's certificate, which everybody may have."""
        return certificate_in(self.path / "authority")

    @property
    def certificates(self) -> Certificates:
        """The files that SuperLink and the front door serve TLS with."""
        return self._leaf.files

    def renew(self) -> bool:
        """Renew the coordinator's own certificate where it is due; whether it was.

        To be called once in a while: what runs takes it up by itself (`server.authority.reloading`).
        """
        names = dict.fromkeys((*self.written.names, *HERE))
        return self._leaf.renew(self.authority, tuple(names), timedelta(days=self.written.own_days))

    def invite(self, hospital: str, days: float | None = None, *, replaces: bool = False) -> Invitation:
        """An invitation for that hospital, the only place where its token is.

        Raises UsageError where it is a member already (unless `replaces`), or its name or the days are none.
        """
        days = self.written.invitation_days if days is None else days
        if not 0 < days <= 365:
            raise UsageError("--days: an invitation is open for more than 0 and at most 365 days")
        pem = self.authority_pem.read_text(encoding="ascii")
        blank = {"federation": self.name, "door": self.written.door, "authority": pem, "hospital": hospital}
        try:
            Invitation.model_validate(blank | {"number": 1, "token": "-" * 43, "until": 0.0})
        except ValidationError as error:
            raise UsageError("HOSPITAL: give a name of 1 to 64 printable characters") from error
        number, token, until = self.registry.invitations.make(hospital, days * 86400, replaces=replaces)
        return Invitation.model_validate(blank | {"number": number, "token": token, "until": until})

    @property
    def _leaf(self) -> Leaf:
        return Leaf(self.path / "certificates", self.authority_pem)

    @property
    def studies(self) -> Path:
        """A folder for each study, by its digest."""
        return self.path / "studies"

    @property
    def superlink(self) -> Path:
        """SuperLink's database, secret and log."""
        return self.path / "superlink"

    @property
    def status(self) -> Path:
        """What the running coordinator says of itself, as JSON."""
        return self.path / "status.json"

    @property
    def lock(self) -> Path:
        """Held by the running coordinator: one a home."""
        return self.path / ".lock"

    @property
    def log(self) -> Path:
        """What the coordinator says, a JSON object a line."""
        return self.path / "log"


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _text(written: Written) -> str:
    """The file of a new home: what is set, and as comments what may be."""
    values = {"name": written.name, "nodes": written.nodes, "door": written.door, "names": written.names}
    return f"{tomli_w.dumps(values)}{_MAY_BE_SET}"


_MAY_BE_SET = """
# listen = "0.0.0.0"        # the address of this machine at which nodes and door listen
# hospital-days = 90        # how long a hospital's certificate is valid; renewed when a third is left
# own-days = 90             # how long the coordinator's own is
# invitation-days = 7       # how long an invitation is open
"""
