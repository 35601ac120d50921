"""Which file of the node lies where, below HOME/node, which is its owner's alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """The files of one node; `folder` is HOME/node."""

    folder: Path

    @property
    def lock(self) -> Path:
        """Held by the supervisor: one node a home."""
        return self.folder / ".lock"

    @property
    def log(self) -> Path:
        """What the node says, without any patient's value."""
        return self.folder / "log"

    @property
    def status(self) -> Path:
        """What the node is doing, as JSON."""
        return self.folder / "status.json"

    @property
    def work(self) -> Path:
        """What the executor is doing, as JSON."""
        return self.folder / "work.json"

    @property
    def contact(self) -> Path:
        """Touched whenever the coordinator answered."""
        return self.folder / "contact"

    @property
    def number(self) -> Path:
        """The number under which the coordinator knows this node since it connected last."""
        return self.folder / "number"

    @property
    def secret(self) -> Path:
        """Shared by SuperNode and executor: nobody else on this machine is given tasks."""
        return self.folder / "secret"

    @property
    def address(self) -> Path:
        """Where the SuperNode listens for its executor."""
        return self.folder / "address"

    @property
    def key(self) -> Path:
        """The private key that the coordinator knows this node by."""
        return self.folder / "key"

    def make(self) -> None:
        """The folder, closed to others."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
