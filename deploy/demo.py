"""`laennec demo`: four digital hospitals of the sizes of the real ones, compared as a real study would be."""

from __future__ import annotations

from pathlib import Path

from client.hospital import Settings
from deploy.digital import digital_hospitals
from deploy.federation import hospitals_in
from tasks.study import Study, load

STUDY = Path(__file__).parent / "demo.toml"
# As many patients as the four hospitals of the UCI data; Switzerland's cohort keeps its complete cases.
SIZES = {"cleveland": 303, "hungary": 294, "switzerland": 123, "long-beach": 200}


def prepare(out: Path, seed: int) -> tuple[Study, list[Settings]]:
    """Make the hospitals in `out`/digital-hospitals; gives the demo's study and its nodes."""
    study = load(STUDY)
    folder = digital_hospitals(study.task, SIZES, seed, out / "digital-hospitals")
    return study.with_seed(seed), hospitals_in(study.task, folder, None, secret_noise=False)
