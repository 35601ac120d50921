"""Which file of a study lies where, below HOME/studies/DIGEST; and where the SuperLink is."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from server.home import CoordinatorHome
from server.link import SuperLink


@dataclass(frozen=True)
class Places:
    """The files of one study; `folder` holds its results too, once it is finished."""

    folder: Path

    @property
    def state(self) -> Path:
        """The checkpoint, and whatever a round keeps until it is over."""
        return self.folder / "state"

    @property
    def run(self) -> Path:
        """The number of the run that speaks for this study at the SuperLink."""
        return self.folder / "run"

    @property
    def log(self) -> Path:
        """What its process says, a JSON object a line."""
        return self.folder / "log"

    @property
    def result(self) -> Path:
        """Written last: where it is, all results are."""
        return self.folder / "result.json"

    def tidy(self) -> None:
        """Take away what a finished study no longer needs; its results stay."""
        if self.state.is_dir():
            beside = self.state.with_name(f".{self.state.name}")
            shutil.rmtree(beside, ignore_errors=True)
            self.state.rename(beside)  # after a kill it is there whole, or not under its name
            shutil.rmtree(beside, ignore_errors=True)
        self.run.unlink(missing_ok=True)

    def make(self) -> None:
        """The folder, closed to others."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)


def places_of(home: CoordinatorHome, digest: str) -> Places:
    """Where the files of that study lie."""
    return Places(home.studies / digest)


def link_of(home: CoordinatorHome) -> SuperLink:
    """The SuperLink of this home: to be started by one process, to be spoken with by any."""
    port = int(home.written.nodes.rpartition(":")[2])
    return SuperLink(home.superlink, home.certificates, port, home.written.listen)
