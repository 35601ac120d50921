"""A cohort on disk: a folder for each site as a hospital would have it, and the truth beside them.

OUT/recipe.json  truth.json  truth.parquet
OUT/SITE/schema.toml  person.parquet  csf.parquet  cognition.parquet  phenotypes.parquet  behaviour.parquet
OUT/SITE/genotypes.bed  .bim  .fam
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ground.errors import UsageError
from ground.files import write_atomically
from simulation.cohort.panel import ALLELE_1, ALLELE_2, chromosome_of, positions_of
from simulation.cohort.progression import STAGES
from simulation.cohort.site import Cohort, Measured

FILES = {"person": "person.parquet", "csf": "csf.parquet", "cognition": "cognition.parquet",
         "imaging": "phenotypes.parquet", "behaviour": "behaviour.parquet"}  # fmt: skip
UNITS = {"csf": "pg/mL"}
READABLE = 0o644


def write_cohort(cohort: Cohort, out: Path, advanced: Callable[[], None] = lambda: None) -> list[Path]:
    """The folder of each site. A site appears whole or not at all; one that is there is not made again.

    `advanced` is called for every patient written. Raises UsageError where `out` holds another cohort.
    """
    said = {"recipe": json.loads(cohort.recipe.canonical()), "count": cohort.count,
            "panel": "given" if cohort.given else "drawn", "parameters": _parameters(cohort)}  # fmt: skip
    text, file = json.dumps(said, indent=2) + "\n", out / "recipe.json"
    if file.exists() and file.read_text(encoding="utf-8") != text:
        raise UsageError(f"{out}: holds another cohort: choose another --out")
    write_atomically(file, text, READABLE)
    folders, truths = [], []
    for number, name in enumerate(cohort.terms.names):
        folder, kept = out / name, out / f".{name}.truth.parquet"
        if not (folder.is_dir() and kept.is_file()):
            _site(cohort, number, folder, kept)
        folders.append(folder)
        truths.append(kept)
        for _ in range(cohort.counts[number]):
            advanced()
    _truth(cohort, out, truths)
    return folders


def _site(cohort: Cohort, number: int, folder: Path, kept: Path) -> None:
    """Make one site beside its place, then put it there."""
    from bed_reader import create_bed

    count, variants = cohort.counts[number], cohort.panel.variants
    names = [f"{folder.name}-{person + 1:06d}" for person in range(count)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        properties = {
            "fid": names,
            "iid": names,
            "chromosome": chromosome_of(variants).astype(str),
            "bp_position": positions_of(variants, cohort.terms["spacing"]),
            "sid": [f"v{place + 1}" for place in range(variants)],
            "allele_1": [ALLELE_1] * variants,
            "allele_2": [ALLELE_2] * variants,
        }
        with create_bed(beside / "genotypes.bed", count, variants, properties, num_threads=1) as bed:

            def keep(_: slice, values: npt.NDArray[np.int8]) -> None:
                for each in values:
                    bed.write(each)

            made = cohort.make(number, keep)
        _tables(made, names, beside)
        _parquet(_hidden(made, names, folder.name), kept)
        beside.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        beside.replace(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _tables(made: Measured, names: list[str], folder: Path) -> None:
    """A table a channel, of those who have it, and the schema.toml that declares them."""
    lines = ['patient = "patient"', ""]
    for channel, columns in made.tables.items():
        there = ~made.missing.get(channel, np.zeros(len(names), dtype=bool))
        whose = [name for name, has in zip(names, there, strict=True) if has]
        values: dict[str, Any] = {"patient": whose} | {name: each[there] for name, each in columns.items()}
        if channel == "person":
            values["impaired"] = made.people.impaired.astype(np.int64)
        _parquet(values, folder / FILES[channel])
        lines += [f"[channels.{channel}]", f'table = "{FILES[channel]}"']
        for name in columns:
            said = 'kind = "bernoulli"' if name == "male" else f'unit = "{UNITS.get(channel, "")}"'
            lines.append(f'columns.{name} = {{ from = "{name}", {said} }}')
        lines.append("")
    lines += ["[target]", f'table = "{FILES["person"]}"',
              'columns.impaired = { from = "impaired", kind = "bernoulli" }', ""]  # fmt: skip
    write_atomically(folder / "schema.toml", "\n".join(lines), READABLE)


def _hidden(made: Measured, names: list[str], site: str) -> dict[str, Any]:
    """What nobody measures, by patient."""
    those = made.people
    return {
        "patient": names,
        "site": [site] * len(names),
        "ancestry": those.ancestry,
        "genetic_score": made.score,
        "shift_years": those.shift,
        "disease_years": those.time,
        "stage": [STAGES[each] for each in those.stage],
    }


def _truth(cohort: Cohort, out: Path, parts: list[Path]) -> None:
    """truth.parquet, of patients; truth.json, of effects."""
    import polars

    polars.concat([polars.read_parquet(each) for each in parts]).write_parquet(out / "truth.parquet")
    truth, causal = cohort.effects, cohort.effects.causal
    said = {
        "parameters": _parameters(cohort),
        "sites": {
            name: {**site, "patients": count, "offsets": offsets.tolist()}
            for name, site, count, offsets in zip(
                cohort.terms.names, cohort.terms.sites, cohort.counts, truth.offsets, strict=True
            )
        },
        "causal": [
            {"variant": f"v{place + 1}", "weight": truth.weights[:, number].tolist()}
            for number, place in enumerate(causal)
        ],
        "patterns": {name: getattr(truth, name).tolist() for name in ("mode", "aging", "sex", "atrophy")},
        "frequencies-of-causal": cohort.panel.frequencies()[:, causal].tolist(),
    }
    write_atomically(out / "truth.json", json.dumps(said) + "\n", READABLE)


def _parameters(cohort: Cohort) -> dict[str, float]:
    """All numbers of the recipe, whether it says them or not."""
    said = dict(cohort.terms.whole)
    for name, site in zip(cohort.terms.names, cohort.terms.sites, strict=True):
        said |= {f"{name}.{key}": value for key, value in site.items()}
    return said


def _parquet(columns: dict[str, Any], file: Path) -> None:
    import polars

    polars.DataFrame(columns).write_parquet(file)
