"""A study in plain words, for a person who is to decide on it; command line and page show the same."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from client.booking import terms_of
from client.home import Home
from client.ledger import BOOK, Ledger, Quote, down, head_of, up
from ground.errors import LaennecError
from ground.words import counted
from privacy.plan import PrivacyPlan
from tasks.contract import Column, Task
from tasks.registry import find
from tasks.study import Study


@dataclass(frozen=True)
class PlainWords:
    """What a study would do here.

    Attributes:
        name: the study's.
        digest: its digest, which is what is approved.
        task: its task.
        learned: what is learned, in one sentence.
        reads: what is read of each patient, one sentence each.
        sources: the folders and files that are read.
        patients: how many patients it would read; None where that cannot be said.
        set_aside: how many of them lack what the task needs, and are left out.
        quarantined: how many the archive holds back.
        rounds: how often the model comes here.
        epsilon: what the whole study may cost a patient; None for no protection at all.
        delta: the probability with which that may fail.
        budget: this hospital's budget; None where it set no limit.
        counted: the δ at which the budget counts; None where there is no limit.
        left: ε left of it; None where there is no limit.
        together: ε after this study, with all that went before.
        fits: how many of its rounds fit the budget; None where there is no limit.
        sees: what the coordinator gets to see, one sentence each.
        digital: what it does with digital patients; empty where it has none.
        strategy: how updates are combined.
        problems: why it could not run here as it is, one sentence each; none is good.

    """

    name: str
    digest: str
    task: str
    learned: str
    reads: tuple[str, ...]
    sources: tuple[str, ...]
    patients: int | None
    set_aside: int
    quarantined: int
    rounds: int
    epsilon: float | None
    delta: float | None
    budget: float | None
    counted: float | None
    left: float | None
    together: float | None
    fits: int | None
    sees: tuple[str, ...]
    digital: str
    strategy: str
    problems: tuple[str, ...] = field(default=())

    def rows(self) -> list[tuple[str, list[str]]]:
        """Heading and sentences, in the order in which a person asks."""
        rows = [
            ("What is learned", [self.learned]),
            ("From each patient", list(self.reads)),
            ("Which patients", self._patients()),
            (
                "How often",
                [f"{counted(self.rounds, 'round')}; the model comes here in each and an update leaves"],
            ),
            ("What it costs", self._cost()),
            ("The coordinator sees", list(self.sees)),
            ("Digital patients", [self.digital or "none"]),
            (
                "What you approve",
                [f"{self.name}, digest {self.digest}", "one changed value is another study"],
            ),
        ]
        if self.problems:  # first of all: whoever reads no further must have read this
            rows.insert(0, ("What is in the way", list(self.problems)))
        return [(heading, [_printable(each) for each in said]) for heading, said in rows]

    def _patients(self) -> list[str]:
        lines = ["how many cannot be said" if self.patients is None else f"{self.patients} would be read"]
        if self.set_aside:
            lines.append(f"{self.set_aside} lack what the task needs and are left out")
        if self.quarantined:
            lines.append(f"{self.quarantined} are in quarantine and are not read")
        return [*lines, *dict.fromkeys(f"from {_place(source)}" for source in self.sources)]

    def _cost(self) -> list[str]:
        if self.epsilon is None or self.delta is None:
            asked = "no privacy is asked for: nothing bounds what can be learned about a patient (ε = ∞)"
        else:
            asked = (
                f"at most ε {self.epsilon:g} for each patient, which may fail with probability {self.delta:g}"
            )
        if self.budget is None or self.left is None or self.fits is None or self.counted is None:
            no_limit = (
                "you set no limit to what studies may cost: `laennec hospital budget --set EPSILON` does"
            )
            return [asked, no_limit]
        said = f"counted as your budget is, at δ {self.counted:g}: {down(self.left)} of {self.budget:g} left"
        after = math.inf if self.together is None else self.together
        if self.fits == self.rounds:
            return [asked, f"{said}, after it {down(self.budget - after)} would be; it fits"]
        spent = f"with it {up(after)} would be spent" if math.isfinite(after) else "it has no bound"
        return [_too_much(self.fits, self.rounds), asked, f"{said}; {spent}"]


def plain_words(home: Home, study: Study) -> PlainWords:
    """What this study would do at this hospital: reads the data that it would read, and counts."""
    return _Reading(home, study).words()


def overrun(home: Home, study: Study) -> str:
    """That the study does not fit what is left of the budget, in one sentence; "" where it does, or for none.

    Reads no patient.
    """
    quote = _Reading(home, study).quote()
    return "" if quote is None or quote.fits >= study.rounds else _too_much(quote.fits, study.rounds)


def _too_much(fits: int, rounds: int) -> str:
    part = (
        f"only {fits} of its {counted(rounds, 'round')} would fit"
        if fits
        else "not one of its rounds would fit"
    )
    return f"it does NOT fit the budget: {part}"


@dataclass(frozen=True)
class _Reading:
    home: Home
    study: Study

    @cached_property
    def task(self) -> Task | None:
        """The installed task; None where there is none of that name and version."""
        try:
            return find(self.study.task, self.study.task_version, self.study.options)
        except LaennecError as error:
            self.problems.append(str(error))
            return None

    @cached_property
    def problems(self) -> list[str]:
        return []

    def words(self) -> PlainWords:
        study, task = self.study, self.task
        patients, set_aside, sources = self._patients()
        quote = self.quote()
        if quote is not None and quote.fits < study.rounds:
            self.problems.append(f"{_too_much(quote.fits, study.rounds)}: it would be refused at its start")
        return PlainWords(
            name=study.name,
            digest=study.digest,
            task=study.task,
            learned="unknown: its task is not installed here" if task is None else task.summary,
            reads=() if task is None else tuple(map(_said, task.schema)),
            sources=sources,
            patients=patients,
            set_aside=set_aside,
            quarantined=_quarantined(self.home),
            rounds=study.rounds,
            epsilon=None if study.privacy is None else study.privacy.epsilon,
            delta=None if study.privacy is None else study.privacy.delta,
            budget=None if quote is None else quote.budget.epsilon,
            counted=None if quote is None else quote.budget.delta,
            left=None if quote is None else quote.left,
            together=None if quote is None or math.isinf(quote.together) else quote.together,
            fits=None if quote is None else quote.fits,
            sees=self._sees(),
            digital=_digital(study),
            strategy=study.training.strategy,
            problems=tuple(self.problems),
        )

    def _patients(self) -> tuple[int | None, int, tuple[str, ...]]:
        """How many would be read, how many are set aside, and where they lie."""
        from client.hospital import cohort

        if self.task is None:
            return None, 0, ()
        sources: tuple[str, ...] = ()
        try:
            sources = self.home.sources(self.study.task)
            found = cohort(self.task.name, sources, self.study.labels)
        except LaennecError as error:
            self.problems.append(f"its patients cannot be read: {error}")
            return None if sources else 0, 0, sources
        without = found.quarantined + _unfit(self.home, self.task)
        return len(found.training) + len(found.test), without, sources

    def quote(self) -> Quote | None:
        """What it costs, from the ε book, by the accountant that will decide; None where no limit was set."""
        book = self.home.path / BOOK
        if not (book.exists() or head_of(book).exists()):
            return None
        plan = self._plan()
        if plan is None and self.study.privacy is not None:
            return None
        cost, per_round = terms_of(self.study, plan)
        with Ledger(book) as ledger:
            if ledger.budget(self.home.name) is None:
                others = [name for name in ledger.accounts() if ledger.budget(name) is not None]
                if others:
                    self.problems.append(
                        f"the book has a budget for {', '.join(others)} and none for {self.home.name}"
                    )
                return None
            rounds = self.study.rounds
            return ledger.quote(self.home.name, self.study.digest, cost, rounds=rounds, per_round=per_round)

    def _plan(self) -> PrivacyPlan | None:
        try:
            return self.study.plan()
        except LaennecError as error:
            self.problems.append(str(error))
            return None

    def _sees(self) -> tuple[str, ...]:
        """What leaves this hospital, and in which form."""
        study, written = self.study, self.home.written
        seen = [_updates(study, written.least_hospitals)]
        if study.privacy is not None:
            counted = "how many patients of each stratum" if study.fills else "how many patients"
            seen.append(
                f"{counted} there are, with noise{', in all hospitals together' if study.secure else ''}"
            )
            if study.privacy.noise == "distributed" and not study.secure:
                self.problems.append(
                    "its noise is complete only in a sum that others compute: it would be refused; it needs "
                    'secure-aggregation = true, or noise = "local"'
                )
        elif study.fills:
            seen.append("how many patients of each stratum there are, exactly")
        if study.secure and written.sums_metrics:
            seen.append("how well the model does on your test patients, summed with the other hospitals'")
        else:
            seen.append("no metric of the model on your patients")
        return tuple(seen)


def _updates(study: Study, least: int) -> str:
    if study.privacy is None:
        return "each of your updates as it is, without noise and without a mask"
    if study.secure:
        return (
            f"only sums over at least {least} hospitals, with noise: your own updates leave masked, and "
            "nobody can take the mask off alone"
        )
    if study.privacy.noise == "local":
        return "each of your updates, with all of its noise already added here"
    return "each of your updates, with a share of the noise"


def _digital(study: Study) -> str:
    digital = study.synthetic
    if digital is None:
        return ""
    strata = f" of the strata {', '.join(digital.strata)}" if digital.strata else ""
    said = f"{digital.patients} simulated ones{strata}, which are nobody's data"
    if digital.start_steps:
        said += f"; the model begins with {digital.start_steps} steps on them"
    if digital.fill:
        said += f"; counting your strata for them costs ε {digital.epsilon:g} of the whole"
    return said


def _said(column: Column) -> str:
    unit = f", {column.unit}" if column.unit else ""
    return (
        f"{column.name}{unit}" if column.meaning == column.name else f"{column.name}: {column.meaning}{unit}"
    )


def _place(source: str) -> str:
    """A source as a person knows it: what the archive prepares lies deep in it."""
    parts = Path(source).parts
    return str(Path(*parts[: parts.index("views")])) if parts[-5:-4] == ("archive",) else source


def _printable(text: str) -> str:
    """Nothing that a study brings along may move the cursor, or hide what stands beside it."""
    return "".join(each if each.isprintable() else "�" for each in text)


def _unfit(home: Home, task: Task) -> int:
    """How many patients of the archive lack what the task reads."""
    if not (home.path / "archive").is_dir():
        return 0
    from client.archive import view_of

    return len(view_of(home.path, task).left_out)


def _quarantined(home: Home) -> int:
    """How many patients the archive holds back."""
    if not (home.path / "archive").is_dir():
        return 0
    from client.archive import Archive

    with Archive(home.path) as archive:
        return len(archive.quarantine())
