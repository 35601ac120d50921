"""A real home with a table of digital patients, and a coordinator that the test plays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import clinic
from flwr.app import Context, RecordDict

from client import approval
from client.app import app
from client.home import FILE, Home
from client.journal import Journal
from client.ledger import BOOK, Ledger
from tasks.messages import Phase, Reply, unpack_reply
from tasks.study import Study

# Its noise is all its own, so that a hospital which trusts no sum takes part.
STUDY = clinic.study("local").with_epsilon(1.0)
FREE = clinic.study(None)
WHOLE: list[tuple[Phase, int]] = [("enrol", 0), ("train", 1), ("train", 2), ("report", 2)]


@dataclass(frozen=True)
class Dwelling:
    """A hospital's home at `path`."""

    path: Path
    table: Path

    @property
    def home(self) -> Home:
        return Home.open(self.path)

    def write(self, *lines: str) -> None:
        """hospital.toml with these lines more."""
        (self.path / FILE).write_text("\n".join(['name = "brest"', f'sources = ["{self.table}"]', *lines]))

    def budget(self, epsilon: float) -> None:
        with Ledger(self.path / BOOK) as ledger:
            ledger.set_budget("brest", epsilon, 1e-3)

    def approve(self, study: Study = STUDY, days: int | None = None) -> approval.Paper:
        return approval.approve(self.home, study, "ada", days)

    def send(
        self,
        phase: Phase,
        number: int,
        study: Study = STUDY,
        *,
        text: str | None = None,
        digest: str | None = None,
    ) -> Reply:
        """Through the app, as a message; with another text or digest than the study's where one is given."""
        asked = clinic.instruction(study, phase, number)
        asked = replace(asked, study=text or asked.study, digest=digest or asked.digest)
        context = Context(1, 1, dict(self.home.settings().to_config()), RecordDict(), {})
        return unpack_reply(app(clinic.message(asked), context).content)

    def journal(self) -> list[tuple[str, str, str]]:
        """who, what and detail of every line but the first."""
        return [(line.who, line.what, line.detail) for line in Journal(self.path).lines()[1:]]


def dwelling(path: Path, table: Path) -> Dwelling:
    Home.begin(path, "brest")
    made = Dwelling(path, table)
    made.write()
    return made
