"""Data whose truth is known: three channels of four variables drawn from a sparse linear latent model.

x_c = W_c z + ε_c with z ~ N(0, I) of the true dimensions, rows of W_c orthonormal directions, and noise of
the deviation that gives the signal-to-noise ratio asked for, as in section 4.1 of Antelmi et al. 2019. The
task's own channels where a study names none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tomli_w
import torch

from ground.files import write_atomically
from tasks.channels.joint import Floats, Joint, Variable
from tasks.channels.patients import ChannelPatients
from tasks.channels.schema import FILE
from tasks.study import Study

CHANNELS, FEATURES, TRUE_DIMENSIONS, FITTED = 3, 4, 2, 5
JOINT = Joint(
    tuple(
        (f"channel-{number}", tuple(Variable(f"x{each}") for each in range(1, FEATURES + 1)))
        for number in range(1, CHANNELS + 1)
    )
)


def drawn(patients: int, seed: int, snr: float = 10.0, dimensions: int = TRUE_DIMENSIONS) -> ChannelPatients:
    """That many patients of one truth; each variable is then of mean 0 and variance near 1.

    The ratio is of variances, signal to noise, of each variable on average over a channel.
    """
    draws = np.random.default_rng([seed, 8])
    latent = draws.normal(size=(patients, dimensions))
    parts = []
    for _ in range(CHANNELS):
        directions, _ = np.linalg.qr(draws.normal(size=(FEATURES, dimensions)))
        signal = latent @ directions.T * np.sqrt(FEATURES / dimensions)
        noisy = signal + draws.normal(size=signal.shape) / np.sqrt(snr)
        parts.append(noisy / np.sqrt(1.0 + 1.0 / snr))
    return ChannelPatients(
        torch.from_numpy(np.concatenate(parts, axis=1)).float(), torch.full((patients,), float("nan"))
    )


def study(seed: int) -> Study:
    """How the truth is learned: by the paper's own bound, with enough steps for dimensions to fall away."""
    options = {
        "dimensions": FITTED,
        "joint": 0.0,
        "channels": {name: {each.name: {} for each in variables} for name, variables in JOINT.channels},
    }
    training = {"optimiser": "adam", "schedule": "cosine", "local-steps": 20, "learning-rate": 0.02}
    return Study.model_validate(
        {
            "name": "truth",
            "task": "heterogeneous",
            "rounds": 75,
            "seed": seed,
            "training": training,
            "options": options,
        }
    )


def write(rows: Floats, folder: Path) -> None:
    """Patients as a hospital's folder: a table and a schema.toml."""
    names = [f"{channel}-{variable.name}" for channel, variable in JOINT.variables]
    lines = [",".join(names), *(",".join(f"{value:.8g}" for value in row) for row in rows)]
    write_atomically(folder / "patients.csv", "\n".join(lines) + "\n")
    channels = {
        channel: {
            "table": "patients.csv",
            "columns": {each.name: {"from": f"{channel}-{each.name}"} for each in variables},
        }
        for channel, variables in JOINT.channels
    }
    write_atomically(folder / FILE, tomli_w.dumps({"channels": channels}))
