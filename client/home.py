"""A hospital's home: the one folder in which everything lies that is the hospital's own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tomli_w
from pydantic import Field, ValidationError

from client.limits import Limits
from ground.errors import UsageError
from ground.files import write_atomically
from ground.strict import Table, explain, read

if TYPE_CHECKING:
    from client.hospital import Settings
    from client.joining.membership import Member

FILE = "hospital.toml"
IDENTITY = "identity"
SYSTEM = "system"  # in the place of a certificate: the authorities that this machine trusts
# Nothing that a terminal would take for a command.
Name = Annotated[str, Field(max_length=64, pattern=r"^[^\s\x00-\x1f]([^\x00-\x1f]*[^\s\x00-\x1f])?$")]
Address = Annotated[str, Field(pattern=r"^([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5}$")]
Key = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Written(Table):
    """hospital.toml, as a person writes it.

    Attributes:
        name: the hospital's name; also of its account in the ε book.
        coordinator: "host:port" of the coordinator's node address.
        certificate: the coordinator's root certificate (PEM); a relative path begins at the home. "system"
            for the authorities that this machine trusts.
        least_hospitals: the fewest hospitals in a secure sum that this one adds to.
        colluders: how many other hospitals may help a lying coordinator without harm.
        sums_metrics: whether exact metrics enter secure sums.
        sources: data outside the archive, in the form that the task reads.
        peers: name → public identity of the hospitals with whom it may sum; others are refused.
        limits: what studies may use.

    """

    name: Name
    coordinator: Address | None = None
    certificate: str | None = None
    least_hospitals: Annotated[int, Field(ge=2)] = 3
    colluders: Annotated[int, Field(ge=0)] = 1
    sums_metrics: bool = False
    sources: Annotated[tuple[str, ...], Field(strict=False)] = ()
    peers: dict[str, Key] = Field(default_factory=dict)
    limits: Limits = Limits()


@dataclass(frozen=True)
class Home:
    """One hospital's home folder; `written` is what its hospital.toml says."""

    path: Path
    written: Written

    @staticmethod
    def begin(path: Path, name: str) -> Home:
        """Make a home: folder (0700), settings, identity, and the journal's first line.

        Raises UsageError where there is one already, or where the name is none.
        """
        from client.journal import Journal
        from client.journal.lines import private_of
        from ground.signing import new_private, public_of

        if path.exists() and not path.is_dir():
            raise UsageError(f"{path}: is a file: give a folder")
        if (path / FILE).exists():
            raise UsageError(f"{path}: is a hospital's home already: use it, or give another folder")
        try:
            written = Written(name=name)
        except ValidationError as error:
            raise UsageError(f"--name: {explain(error, Written)}") from error
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        if not (path / IDENTITY).exists():  # a beginning that was interrupted goes on with its identity
            write_atomically(path / IDENTITY, new_private())
        if not Journal(path).lines():
            public = public_of(private_of(path)).hex()
            Journal(path).write("person", "init", detail=f"{name}, identity {public}")
        write_atomically(path / FILE, _text(written))
        return Home(path.absolute(), written)

    @staticmethod
    def open(path: Path) -> Home:
        """The home at `path`; raises UsageError, with the way out, where there is none or it is wrong."""
        file = path / FILE
        try:
            text = file.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            raise UsageError(
                f"{path}: is no hospital's home (no {FILE}): go there, give --home HOME, or make one with "
                "`laennec hospital init HOME --name NAME`"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{file}: cannot be read: check its owner and its rights") from error
        try:
            return Home(path.absolute(), read(text, Written))
        except ValueError as error:
            raise UsageError(f"{file}: {error}") from error

    @property
    def name(self) -> str:
        """The hospital's name."""
        return self.written.name

    @property
    def limits(self) -> Limits:
        """What studies may use."""
        return self.written.limits

    @cached_property
    def member(self) -> Member | None:
        """The federation that this hospital joined; None of none, or where hospital.toml goes first."""
        from client.joining.membership import member_of

        return None if self.written.coordinator is not None else member_of(self.path)

    @property
    def coordinator(self) -> str | None:
        """host:port of the coordinator's node address."""
        return self.written.coordinator or (None if self.member is None else self.member.nodes)

    @cached_property
    def peers(self) -> dict[str, str]:
        """Name -> identity of those with whom it may sum: hospital.toml's, and those who were accepted."""
        from client.joining.membership import accepted

        return {**accepted(self.path), **self.written.peers}

    @property
    def certificate(self) -> Path | None:
        """The coordinator's root certificate; None where none is set, or the system's authorities are."""
        said = self.written.certificate
        if said is None and self.member is not None:
            from client.joining.membership import authority_file

            return authority_file(self.path)
        return None if said in (None, SYSTEM) else self.path / said

    @property
    def is_proven(self) -> bool:
        """Whether it is said what a coordinator must show: without it any machine could pass for it."""
        return self.written.certificate is not None or self.member is not None

    def authority(self) -> Path | None:
        """What vouches for the coordinator: a PEM file; None for the system's authorities, spelled out.

        Raises UsageError where none is set, or the file is not there.
        """
        if not self.is_proven:
            raise UsageError(
                f"{self.path / FILE}: names no certificate, so that nobody could tell the coordinator from "
                "another machine: put the coordinator's root certificate into the home and write "
                f'certificate = "FILE.pem", or certificate = "{SYSTEM}" to trust every authority that this '
                "machine trusts"
            )
        if self.certificate is not None and not self.certificate.is_file():
            raise UsageError(f"{self.certificate}: no such file: ask the coordinator for its certificate")
        return self.certificate

    @cached_property
    def public(self) -> bytes:
        """The public identity, 32 bytes: what others check this hospital's signatures with."""
        from client.journal.lines import private_of
        from ground.signing import public_of

        return public_of(private_of(self.path))

    def settings(self, task: str | None = None) -> Settings:
        """What a node is told: its patients come from the archive, as that task reads them."""
        from client.hospital import Settings

        written = self.written
        return Settings(
            name=written.name,
            sources=self._own_sources() if task is None else self.sources(task),
            home=self.path,
            governed=True,
            sums_metrics=written.sums_metrics,
            peers=tuple(sorted(self.peers.items())),
            least_hospitals=written.least_hospitals,
            colluders=written.colluders,
        )

    def sources(self, task: str) -> tuple[str, ...]:
        """The paths that the task reads: what hospital.toml names, and what the archive has for it.

        Raises UsageError where there is nothing.
        """
        own = self._own_sources()
        if not (self.path / "archive").is_dir():
            if not own:
                raise UsageError(
                    f"{self.path}: no patients: bring some in with `laennec hospital import DIR`"
                )
            return own
        from client.archive import sources, view_of
        from tasks.registry import find

        # With data of its own beside it, an archive may well have nothing for this task.
        archived = view_of(self.path, find(task)).sources if own else sources(self.path, find(task))
        return (*own, *archived)

    def _own_sources(self) -> tuple[str, ...]:
        return tuple(str((self.path / each).absolute()) for each in self.written.sources)


def _text(written: Written) -> str:
    """The file of a new home: what is set, and as comments what may be."""
    set_values = tomli_w.dumps({"name": written.name})
    return f"{set_values}{_MAY_BE_SET}"


_MAY_BE_SET = """
# coordinator = "coordinator.example.org:9092"   # as the coordinator gave it
# certificate = "coordinator.pem"                # its root certificate, in this folder
# least-hospitals = 3                            # the fewest hospitals in a sum that this one adds to
# colluders = 1                                  # how many others may help a lying coordinator without harm
# sums-metrics = false                           # whether exact metrics enter secure sums
# sources = []                                   # data outside the archive, in the form that the task reads

[limits]
# threads = 2                                    # processors that studies may keep busy
# memory-megabytes = 8000                        # memory of the node
# hours = "19:00-07:00"                          # when patients may be read; this machine's time zone
# upload-megabytes = 200                         # the most that one reply may hold

[peers]                                          # with whom it sums; others in a roster are refused
# lyon = "8f3a52c1d07be964f1a03c58e2794db6905cf7138ea2d46b7c1f0e93a5d86247"   # what `init` printed there
"""
