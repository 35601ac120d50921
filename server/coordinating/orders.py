"""What people ask of the coordinator, whether it runs or not: the registry notes it, the daemon does it."""

from __future__ import annotations

from collections.abc import Sequence

from ground.errors import PrivacyError, StudyError, UsageError
from server.home import CoordinatorHome
from server.registry.studies import Launched
from tasks.gap import check
from tasks.registry import find
from tasks.study import Study

DAY = 86400.0
APPROVAL_DAYS = 14.0  # for which persons at the hospitals are waited for, where nothing else is said
LONGEST_DAYS = 365.0


def launch(
    home: CoordinatorHome,
    study: Study,
    *,
    by: str,
    hospitals: Sequence[str] = (),
    approval_days: float = APPROVAL_DAYS,
) -> Launched:
    """Check a study and write it down; the running coordinator begins it within a second.

    `hospitals` names whom to ask, by default all members. Raises UsageError where it cannot be run: a task
    that is not installed here, hospitals that are no members, fewer of them than it asks for.
    """
    if not 0 <= approval_days <= LONGEST_DAYS:
        raise UsageError(f"--approval-days: give 0 to {LONGEST_DAYS:.0f}")
    asked = asked_by(home, study, hospitals)
    return home.registry.studies.launch(study, asked, approval_days * DAY, by)


def asked_by(home: CoordinatorHome, study: Study, hospitals: Sequence[str] = ()) -> list[str]:
    """Whom a study would ask, by name; raises UsageError where it cannot be run, as `launch` says."""
    check(find(study.task, study.task_version, study.options), study)
    try:
        study.plan()
    except PrivacyError as error:
        raise StudyError(f"study {study.name}: {error}") from error
    members = [each.name for each in home.registry.hospitals.members()]
    strangers = sorted(set(hospitals) - set(members))
    if strangers:
        raise UsageError(
            f"{', '.join(strangers)}: no member here: `laennec coordinator hospitals` lists who is"
        )
    asked = sorted(set(hospitals)) or members
    least = 1 if study.privacy is None else study.privacy.minimum_hospitals
    if len(asked) < least:
        raise UsageError(
            f"study {study.name} asks for at least {least} hospitals, and {len(asked)} would take part: "
            "invite more first (`laennec coordinator invite`)"
        )
    return asked


def stop(home: CoordinatorHome, which: str) -> Launched:
    """Let a study pause after the step that it is in; nothing of it is lost."""
    studies = home.registry.studies
    return studies.want(studies.find(which).digest, "stop")


def resume(home: CoordinatorHome, which: str) -> Launched:
    """Let a study that was stopped, or that failed, go on from where it was."""
    studies = home.registry.studies
    return studies.want(studies.find(which).digest, "run")
