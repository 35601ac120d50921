"""A digital heart's curves as CSV, its facts as JSON; milliseconds, millilitres, kilopascals, millivolts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulation.heart.electrophysiology.ecg import LEADS
from simulation.heart.mechanics.function import UNITS
from simulation.heart.patient import DigitalHeart


def strains_csv(heart: DigitalHeart) -> bytes:
    """Lagrangian strain relative to end-diastole of each AHA segment at each phase."""
    rows = (
        (phase, _number(time), segment, *(_number(each[phase, segment - 1]) for each in _strains(heart)))
        for phase, time in enumerate(heart.times_ms)
        for segment in range(1, 18)
    )
    return _csv(("phase", "time_ms", "segment", "circumferential", "longitudinal", "radial"), rows)


def volumes_csv(heart: DigitalHeart) -> bytes:
    """Cavity volumes and pressures at each phase."""
    columns = (heart.times_ms, heart.lv_ml, heart.rv_ml, heart.pressure_kpa, heart.aortic_kpa)
    rows = ((phase, *(_number(each[phase]) for each in columns)) for phase in range(len(heart.times_ms)))
    return _csv(("phase", "time_ms", "lv_ml", "rv_ml", "lv_kpa", "aortic_kpa"), rows)


def ecg_csv(heart: DigitalHeart) -> bytes:
    """The 12-lead pseudo-electrocardiogram, millivolts."""
    rows = (
        (_number(time), *(_number(lead[sample]) for lead in heart.ecg_mv))
        for sample, time in enumerate(heart.ecg_times_ms)
    )
    return _csv(("time_ms", *LEADS), rows)


def facts(heart: DigitalHeart) -> dict[str, object]:
    """What is true of this heart, known because it was made."""
    edv, esv = float(heart.lv_ml.max()), float(heart.lv_ml.min())
    return {
        "group": heart.group,
        "scanner": heart.scanner,
        "heart_rate": round(60_000 / heart.cycle_ms, 2),
        "edv_ml": round(edv, 2),
        "esv_ml": round(esv, 2),
        "ef_percent": round(100 * (edv - esv) / edv, 2),
        "mass_g": round(heart.mass_g, 2),
        "rv_edv_ml": round(float(heart.rv_ml.max()), 2),
        "end_systole_phase": heart.end_systole,
        "end_systolic_circumferential_strain_by_segment": [
            round(float(each), 4) for each in heart.strain_circumferential[heart.end_systole]
        ],
        "infarct": heart.infarct,
        "infarcted_share_by_segment": [round(float(each), 4) for each in heart.infarcted],
        "activation_ms_by_segment": [round(float(each), 2) for each in heart.activation_ms],
        "units_of_parameters": dict(UNITS),
        "parameters": {name: round(value, 6) for name, value in sorted(heart.parameters.items())},
    }


def cohort_csv(paths: Sequence[Path]) -> bytes:
    """A row for each patient's folder, from its facts."""
    known = [json.loads((path / "facts.json").read_text()) for path in paths]
    plain = ("group", "scanner", "edv_ml", "esv_ml", "ef_percent", "mass_g", "rv_edv_ml", "heart_rate")
    drawn = ("territory", "age", "extent", "transmurality", "severity")
    rows = (
        (
            path.name,
            *(each[name] for name in plain),
            *((each["infarct"] or {}).get(name, "") for name in drawn),
        )
        for path, each in zip(paths, known, strict=True)
    )
    return _csv(("patient", *plain, *drawn), rows)


def _strains(heart: DigitalHeart) -> tuple[NDArray[np.float64], ...]:
    return heart.strain_circumferential, heart.strain_longitudinal, heart.strain_radial


def _number(value: float) -> str:
    return f"{float(value):.6g}"


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue().encode()
