"""The privacy card: what a privacy claim must state (NIST SP 800-226), and what it does not cover."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from privacy.accountant import Accountant
from privacy.plan import NEIGHBOURS, UNIT, PrivacyPlan
from server.progress import Progress
from server.report.audit import sentences

TOOLS = ("laennec", "torch", "opacus", "dp-accounting", "flwr", "cryptography")
STRATA = "the number of patients of each stratum, from which digital ones were planned"
COVERED = (
    "every gradient that left a hospital, over all rounds of this study",
    "the number of patients by which updates are divided",
    "the trained model, whoever reads it and whatever is done with it",
)
NOT_COVERED = (
    "metrics on test patients, and the numbers of patients in the result: exact, for the machine's owner",
    "the choice of settings (rounds, learning rate, clip), where it was made on these patients",
    "the split into patients to learn from and to test on, which is taken as given",
    "other studies over the same patients, and this one run again: their costs come on top",
    "a patient who is in the data of several hospitals: costs add up over them",
    "timing and memory of the training process",
)
ROUNDED = "rounding: noise is floating-point Gaussian, not exactly the ideal one (Mironov, CCS 2012)"
WHOLE = (
    "rounding: noise is Gaussian in whole steps, made of shares; by how much it may differ from the ideal "
    "one is within delta, of which it has 1 %"
)
COLLUDERS = (
    "a coordinator that more hospitals help than the hospitals said they reckon with: the sum hides a "
    "hospital from the coordinator and {others}"
)
TRUSTED_SUM = (
    "the sum over hospitals is trusted: without secure aggregation whoever adds up sees each hospital's "
    "update with only its share of the noise"
)
SEEDED = (
    "noise was drawn from the study's seed, so that the run can be repeated: whoever knows the seed can take "
    "it out; the claim holds for a run with --secret-noise"
)


def privacy_card(progress: Progress, *, secret_noise: bool) -> dict[str, Any]:
    """The card of a study, finished or not, ready for JSON."""
    plan = progress.study.plan()
    versions = {tool: version(tool) for tool in TOOLS}
    if plan is None:
        return {
            "protected": False,
            "statement": "No differential privacy: anything about a patient may be learned from the updates.",
            "epsilon": None,
            "delta": None,
            "unit": UNIT,
            "neighbours": NEIGHBOURS,
            "noise": "none",
            "secure_aggregation": False,
            "covered": [],
            "not_covered": ["everything"],
            "warnings": [],
            "versions": versions,
        }
    spent = progress.accountant.epsilon(plan.delta)
    whole = progress.study.secure and plan.noise == "distributed"
    towards = _towards_a_participant(progress, plan)
    warnings = [] if secret_noise else [SEEDED]
    if plan.noise == "distributed" and not progress.study.secure:
        warnings.insert(0, TRUSTED_SUM)
    not_covered = [*NOT_COVERED, WHOLE if whole else ROUNDED]
    if progress.study.secure:
        helpers = _helpers(progress)
        not_covered.append(COLLUDERS.format(others="one other" if helpers == 1 else f"{helpers} others"))
    return {
        "protected": True,
        "statement": _statement(progress, plan, spent),
        "epsilon": spent,
        "epsilon_asked": plan.epsilon,
        "epsilon_towards_another_hospital": towards if math.isfinite(towards) else None,
        "delta": _delta(progress, plan),
        "unit": UNIT,
        "neighbours": NEIGHBOURS,
        "model": _model(progress, plan),
        "noise": plan.noise,
        "secure_aggregation": progress.study.secure,
        **_terms_of_the_sum(progress, plan),
        "clip": plan.clip,
        "sampling_rate": plan.sampling_rate,
        "noise_multiplier": plan.noise_multiplier,
        "count_noise_multiplier": plan.count_noise_multiplier,
        "releases": sum(event.times for event in progress.accountant.events),
        "noise_multiplier_in_the_sums": _least_noise(progress),
        "accountant": "privacy loss distribution (dp-accounting), pessimistic discretisation",
        "epsilon_by_rdp": _finite(progress.accountant.epsilon_rdp(plan.delta)),
        "randomness": "ChaCha20, key from the operating system"
        if secret_noise
        else "ChaCha20, key from the seed",
        "covered": [*COVERED, *([STRATA] if progress.study.fills else [])],
        "not_covered": not_covered,
        "warnings": warnings,
        "versions": versions,
    }


def with_audit(card: dict[str, Any], audit: dict[str, Any]) -> dict[str, Any]:
    """The card with what an audit found, the worst first, and what it cannot show."""
    return {**card, "audit": sentences(audit)}


def _least_noise(progress: Progress) -> float | None:
    """The least noise that was really in a sum of gradients, in units of the clip; null before the first."""
    steps = progress.accountant.events[1:]  # the count of patients comes first
    return min((event.noise_multiplier for event in steps), default=None)


def _statement(progress: Progress, plan: PrivacyPlan, spent: float) -> str:
    """One sentence for a person."""
    where = "each hospital adds all of the noise itself"
    if plan.noise == "distributed":
        where = f"the noise is shared by {len(progress.roster)} hospitals and complete only in their sum"
    if progress.secure is not None:
        fewest = progress.secure.roster.fewest
        where = f"each hospital adds a share of the noise, complete in any sum of {fewest}"
        where = where if plan.noise == "distributed" else "each hospital adds all of the noise itself"
        where += ", and updates meet only in a masked sum"
    return (
        f"Differential privacy for each patient (add or remove one): epsilon {spent:.3g} "
        f"at delta {_delta(progress, plan):g} for the whole study; {where}."
    )


def _terms_of_the_sum(progress: Progress, plan: PrivacyPlan) -> dict[str, float]:
    """How many hospitals a secure sum has at least, and what that is worth at the worst; nothing without one.

    At the worst the coordinator lies, as many hospitals help it as the one that fears most has said, and the
    sum that they get has the fewest hospitals, the helpers' own shares of the noise among them.
    """
    if progress.secure is None:
        return {}
    roster = progress.secure.roster
    terms: dict[str, float] = {
        "fewest_hospitals_in_a_sum": roster.fewest,
        "shares_that_restore_a_mask": roster.threshold,
        "helpers_of_a_lying_coordinator": _helpers(progress),
    }
    if plan.noise == "local":
        return terms
    worst = plan.epsilon_against_a_participant(roster.fewest, _helpers(progress))
    return {**terms, "epsilon_towards_a_lying_coordinator_and_its_helpers": worst}


def _helpers(progress: Progress) -> int:
    """How many hospitals may help a lying coordinator: the most that any announced, and one at the least."""
    if progress.secure is None:
        return 1
    return max((1, *(each.colluders for each in progress.secure.roster.announcements)))


def _model(progress: Progress, plan: PrivacyPlan) -> str:
    """Whom the claim asks to be trusted."""
    if plan.noise == "local":
        return "local to each hospital"
    return "secure sum" if progress.study.secure else "trusted sum"


def _delta(progress: Progress, plan: PrivacyPlan) -> float:
    """The study's δ, of which a secure sum's plan leaves a part for rounding."""
    return plan.delta if progress.study.privacy is None else progress.study.privacy.delta


def _towards_a_participant(progress: Progress, plan: PrivacyPlan) -> float:
    """ε towards another hospital of the study, which can subtract its own share of distributed noise."""
    if progress.secure is None or plan.noise == "local":
        return plan.epsilon_against_a_participant(len(progress.roster))
    fewest = progress.secure.roster.fewest
    spent = Accountant()
    for place, event in enumerate(progress.accountant.events):
        planned = plan.step_event(1) if place else plan.count_event()  # the count comes first
        left = event.noise_multiplier**2 - planned.noise_multiplier**2 / fewest
        spent = spent.spend(replace(event, noise_multiplier=max(0.0, left) ** 0.5))
    return spent.epsilon(plan.delta)


def _finite(value: float) -> float | None:
    """JSON has no infinity: null where RDP gives no bound."""
    return value if math.isfinite(value) else None
