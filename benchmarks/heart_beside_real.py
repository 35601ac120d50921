"""Simulated short-axis pictures beside real ones: same window, same grey scale.

python benchmarks/heart_beside_real.py --data FOLDER [--out docs/figures/hearts.png] [--seed 1]

FOLDER holds sunnybrook-slices, dicom-biv-me and ep-dataset-pig; what is missing there is left out. Every
picture is a square of 128 voxels of 1.4 mm, shown from the 1st to the 99.5th percentile of its own greys. The
top rows are simulated, the bottom rows real. Contrasts against blood are printed for both, and what the
signal equations say of an infarct.
"""

from __future__ import annotations

import argparse
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation, binary_erosion, zoom

SIZE, SPACING = 128, 1.4
COLUMNS, MARGIN = 8, 14
STRATA = ("normal", "dilated", "hypertrophic", "infarct")
SUNNYBROOK_SPACING = 1.4  # mm, assumed: these slices carry no spacing


@dataclass(frozen=True)
class Picture:
    """A picture in grey levels, its caption, and where its LV cavity is, if known."""

    grey: NDArray[np.float64]
    caption: str
    cavity: NDArray[np.bool_] | None = None


def crop(
    grey: NDArray[np.generic], spacing: float, centre: tuple[float, float] | None = None
) -> NDArray[np.float64]:
    """The square of SIZE voxels of SPACING mm round a centre (row, column; the middle by default)."""
    factor = spacing / SPACING
    scaled = zoom(grey.astype(np.float64), factor, order=1, grid_mode=True, mode="nearest")
    row, column = centre or ((grey.shape[0] - 1) / 2, (grey.shape[1] - 1) / 2)
    top, left = (round(place * factor - SIZE / 2) for place in (row, column))
    top = min(max(top, 0), max(scaled.shape[0] - SIZE, 0))
    left = min(max(left, 0), max(scaled.shape[1] - SIZE, 0))
    part = scaled[top : top + SIZE, left : left + SIZE]
    missing = [(0, SIZE - extent) for extent in part.shape]
    return np.pad(part, missing)


def window(grey: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Greys 0 to 255 from the 1st to the 99.5th percentile."""
    low, high = np.percentile(grey, [1, 99.5])
    share = np.clip((grey - low) / max(high - low, 1e-9), 0, 1)
    return np.asarray(255 * share, dtype=np.uint8)


def ours(seed: int) -> list[Picture]:
    """Two slices at end-diastole of hearts of every group and scanner."""
    from simulation.heart.patient import simulate
    from simulation.heart.strata import SIMULATOR, VERSION
    from simulation.recipe import Recipe

    pictures: list[Picture] = []
    for number in range(COLUMNS):
        group, scanner = STRATA[number % len(STRATA)], "abc"[number % 3]
        recipe = Recipe(SIMULATOR, VERSION, f"group={group},scanner={scanner}", seed + number)
        heart = simulate(recipe)
        cavity = (heart.labels[:, 0] == 3).sum((1, 2))
        widest = int(cavity.argmax())
        lower = min(widest + 3, int(np.flatnonzero(cavity > 60).max()))
        for place in (widest, lower):
            picture = Picture(
                crop(heart.images[place, 0], SPACING), f"{group} {scanner}", heart.labels[place, 0] == 3
            )
            pictures.append(picture)
    return pictures[::2] + pictures[1::2]


def sunnybrook(folder: Path) -> list[Picture]:
    """Slices spread over the patients, centred on the cavity."""
    path = folder / "sunnybrook-slices" / "sunnybrook805.npz"
    if not path.exists():
        return []
    data = np.load(path)
    images, masks, names = data["images"], data["masks"] > 0, data["subject"]
    pictures = []
    for name in np.unique(names)[:: max(1, len(np.unique(names)) // 11)][:11]:
        chosen = np.flatnonzero(names == name)
        best = chosen[masks[chosen].sum((1, 2)).argmax()]
        row, column = np.argwhere(masks[best]).mean(0)
        greys = crop(images[best], SUNNYBROOK_SPACING, (row, column))
        cavity = crop(masks[best], SUNNYBROOK_SPACING, (row, column)) > 0.5
        pictures.append(Picture(greys, str(name), cavity))
    return pictures


def dicoms(
    archive: Path, caption: str, members: tuple[str, ...], middle: tuple[float, float]
) -> list[Picture]:
    """The first picture of each series whose path holds one of `members`; `middle` as shares of the rows."""
    import pydicom

    if not archive.exists():
        return []
    pictures = []
    with tarfile.open(archive) as tar:
        files = sorted((m for m in tar.getmembers() if m.isfile()), key=lambda m: m.name)
        for member in members:
            found = next((file for file in files if member in file.name), None)
            content = tar.extractfile(found) if found else None
            if content is None:
                continue
            slice_ = pydicom.dcmread(io.BytesIO(content.read()))
            grey = slice_.pixel_array
            centre = (middle[0] * grey.shape[0], middle[1] * grey.shape[1])
            pictures.append(Picture(crop(grey, float(slice_.PixelSpacing[0]), centre), caption))
    return pictures


def real(folder: Path) -> list[Picture]:
    """Two rows of real hearts."""
    volunteer = dicoms(
        folder / "dicom-biv-me" / "patient1-cine-dicom.tar.xz",
        "volunteer",
        ("Se2/", "Se3/", "Se4/"),
        (0.45, 0.53),
    )
    pig = dicoms(
        folder / "ep-dataset-pig" / "E774S5-shortAxis.tar.xz", "pig", ("I0201", "I0241"), (0.48, 0.52)
    )
    return sunnybrook(folder) + volunteer + pig


def contrasts(pictures: list[Picture], title: str) -> None:
    """Print the medians of myocardium, dark lung and the brightest greys against blood."""
    rows = []
    for picture in pictures:
        if picture.cavity is None or picture.cavity.sum() < 200:
            continue
        blood = np.median(picture.grey[binary_erosion(picture.cavity, iterations=3)])
        wide, narrow = (binary_dilation(picture.cavity, iterations=count) for count in (6, 2))
        myocardium = np.percentile(picture.grey[wide & ~narrow], 30)
        dark, bright = np.percentile(picture.grey, [10, 99.5])
        rows.append((myocardium / blood, dark / blood, bright / blood))
    if rows:
        middle = np.median(rows, axis=0)
        print(
            f"{title:10} {len(rows):3} pictures, against blood: "
            f"myocardium {middle[0]:.2f}, darkest tenth {middle[1]:.2f}, brightest {middle[2]:.2f}"
        )


def infarcts() -> None:
    """Print the signals of an acute infarct in the cine and of a scar in late enhancement."""
    from simulation.heart.imaging.look import LATE_CYCLE, LATE_TE
    from simulation.heart.imaging.scanner import SCANNERS
    from simulation.heart.imaging.signal import cine_signals, late_signals

    for name, scan in SCANNERS.items():
        muscle, oedema = cine_signals(("myocardium", "oedema"), scan.field, scan.flip, scan.tr, scan.te)
        blood, scar, fat = late_signals(("lv_blood", "scar", "fat"), scan.field, LATE_CYCLE, LATE_TE)
        print(
            f"scanner {name}: cine, oedema against muscle {oedema / muscle:.2f}; "
            f"late enhancement, against blood: scar {scar / blood:.2f}, fat {fat / blood:.2f}"
        )


def sheet(pictures: list[Picture]) -> Image.Image:
    """All pictures in rows of COLUMNS with captions."""
    rows = -(-len(pictures) // COLUMNS)
    page = Image.new("L", (COLUMNS * SIZE, rows * (SIZE + MARGIN)), 255)
    pen = ImageDraw.Draw(page)
    for number, picture in enumerate(pictures):
        left, top = number % COLUMNS * SIZE, number // COLUMNS * (SIZE + MARGIN)
        pen.text((left + 2, top + 1), picture.caption, fill=0)
        page.paste(Image.fromarray(window(picture.grey)), (left, top + MARGIN))
    return page


def main() -> None:
    """Make the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the real data sets")
    parser.add_argument("--out", type=Path, default=Path("docs/figures/hearts.png"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    simulated, measured = ours(options.seed), real(options.data)
    contrasts(simulated, "simulated")
    contrasts(measured, "real")
    infarcts()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    sheet(simulated + measured).save(options.out, optimize=True)
    print(f"{options.out}: {options.out.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
