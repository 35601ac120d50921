"""The privacy card: what a privacy claim must state (NIST SP 800-226), and what it does not cover."""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import Any

from privacy.plan import NEIGHBOURS, UNIT, PrivacyPlan
from server.round import Progress

TOOLS = ("laennec", "torch", "opacus", "dp-accounting", "flwr", "cryptography")
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
    "rounding: noise is floating-point Gaussian, not exactly the ideal one (Mironov, CCS 2012)",
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
    towards = plan.epsilon_against_a_participant(len(progress.roster))
    warnings = [] if secret_noise else [SEEDED]
    if plan.noise == "distributed":
        warnings.insert(0, TRUSTED_SUM)
    return {
        "protected": True,
        "statement": _statement(plan, spent, len(progress.roster)),
        "epsilon": spent,
        "epsilon_asked": plan.epsilon,
        "epsilon_towards_another_hospital": towards if math.isfinite(towards) else None,
        "delta": plan.delta,
        "unit": UNIT,
        "neighbours": NEIGHBOURS,
        "model": "trusted sum" if plan.noise == "distributed" else "local to each hospital",
        "noise": plan.noise,
        "secure_aggregation": False,
        "clip": plan.clip,
        "sampling_rate": plan.sampling_rate,
        "noise_multiplier": plan.noise_multiplier,
        "count_noise_multiplier": plan.count_noise_multiplier,
        "releases": plan.steps + 1,
        "accountant": "privacy loss distribution (dp-accounting), pessimistic discretisation",
        "epsilon_by_rdp": _finite(progress.accountant.epsilon_rdp(plan.delta)),
        "randomness": "ChaCha20, key from the operating system"
        if secret_noise
        else "ChaCha20, key from the seed",
        "covered": list(COVERED),
        "not_covered": list(NOT_COVERED),
        "warnings": warnings,
        "versions": versions,
    }


def _statement(plan: PrivacyPlan, spent: float, hospitals: int) -> str:
    """One sentence for a person."""
    where = (
        f"the noise is shared by {hospitals} hospitals and complete only in their sum"
        if plan.noise == "distributed"
        else "each hospital adds all of the noise itself"
    )
    return (
        f"Differential privacy for each patient (add or remove one): epsilon {spent:.3g} "
        f"at delta {plan.delta:g} for the whole study; {where}."
    )


def _finite(value: float) -> float | None:
    """JSON has no infinity: null where RDP gives no bound."""
    return value if math.isfinite(value) else None
