"""How fast uncompressed DICOM goes into a hospital's archive, what bounds it, and how much memory it takes.

    .venv/bin/python benchmarks/archive.py [--files 10000] [--folder DIR]

Makes cine series of digital patients (256 × 256 pixels of 16 bits, 100 files each) in a temporary folder of
DIR, then imports 1,000 and all of them in processes of their own, and times each step alone over 500 files.
Processor time says what a step costs whatever else the machine is doing; wall time is what one waits for.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from rich.console import Console
from rich.table import Table
from scipy import ndimage

EACH = 100  # files a patient: ten slices at ten phases
SOME = 500  # files over which a step is timed alone


def main() -> None:
    """Make the files, import them, print both tables."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--files", type=int, default=10_000)
    arguments.add_argument("--folder", type=Path, default=None)
    given = arguments.parse_args()
    console = Console(width=100)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        for patient in range(given.files // EACH):
            make(folder / "all" / f"{patient:04d}", f"P{patient}")
        console.print(imports(folder))
        console.print(steps(folder))


def imports(folder: Path) -> Table:
    """Whole imports, each in a process of its own."""
    table = Table(title="Import of uncompressed DICOM, 256 × 256 × 16 bits", title_justify="left")
    for heading in ("files", "reading", "files/s", "processor ms/file", "peak MB", "peak MB of a reader"):
        table.add_column(heading, justify="right")
    some = folder / "some"
    some.mkdir()
    for patient in sorted((folder / "all").iterdir())[:10]:
        patient_link = some / patient.name
        patient_link.mkdir()
        for file in patient.iterdir():
            os.link(file, patient_link / file.name)
    for number, (source, workers) in enumerate(
        [(some, 0), (folder / "all", 0), (some, None), (folder / "all", None)]
    ):
        command = [sys.executable, __file__, str(source), str(folder / f"home{number}"), str(workers)]
        ran = subprocess.run(command, check=True, capture_output=True, text=True, env=_environment())
        seen = json.loads(ran.stdout)
        table.add_row(
            f"{seen['files']:,}",
            "in one process" if workers == 0 else "in its own processes",
            f"{seen['files'] / seen['wall']:.0f}",
            f"{1000 * seen['processor'] / seen['files']:.1f}",
            f"{seen['peak']:.0f}",
            "–" if workers == 0 else f"{seen['peak_reader']:.0f}",
        )
    again = subprocess.run(command, check=True, capture_output=True, text=True, env=_environment())
    seen = json.loads(again.stdout)
    table.add_row(
        f"{seen['files']:,}",
        "known before",
        f"{seen['files'] / seen['wall']:.0f}",
        *("–", f"{seen['peak']:.0f}", "–"),
    )
    return table


def one_import(source: str, home: str, workers: str) -> None:
    """What runs in the other process."""
    from client.archive import import_folder

    begun = time.monotonic()
    report = import_folder(Path(home), Path(source), workers=None if workers == "None" else int(workers))
    wall = time.monotonic() - begun
    mine, theirs = (resource.getrusage(each) for each in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    spent = sum(each.ru_utime + each.ru_stime for each in (mine, theirs))
    print(
        json.dumps(
            {
                "files": report.stored + report.known,
                "wall": wall,
                "processor": spent,
                "peak": mine.ru_maxrss / 1024,
                "peak_reader": theirs.ru_maxrss / 1024,
            }
        )
    )


def steps(folder: Path) -> Table:
    """Each step alone, in this process."""
    from client.archive.reading import _clean, _written, quiet, read_dicom
    from client.deidentify import Pseudonyms, deidentify

    files = sorted((folder / "all").rglob("*.dcm"))[:SOME]
    pseudonyms = Pseudonyms.of(folder)
    raw = [each.read_bytes() for each in files]
    table = Table(title=f"Each step alone, over {len(files)} files", title_justify="left")
    for heading in ("step", "files/s", "processor ms/file"):
        table.add_column(heading, justify="right" if heading != "step" else "left")

    def row(step: str, work: Callable[[], object]) -> None:
        begun, spent = time.monotonic(), time.process_time()
        work()
        wall, spent = time.monotonic() - begun, time.process_time() - spent
        table.add_row(step, f"{len(files) / wall:,.0f}", f"{1000 * spent / len(files):.2f}")

    with quiet():
        read_dicom(files[0], pseudonyms)  # so that nothing is loaded while a step is timed
        row("read the bytes", lambda: [each.read_bytes() for each in files])
        datasets: list[FileDataset] = []
        row("parse (pydicom)", lambda: datasets.extend(dcmread(io.BytesIO(each)) for each in raw))
        cleaned: list[FileDataset] = []
        row(
            "de-identify, look for writing",
            lambda: cleaned.extend(deidentify(each, pseudonyms).dataset for each in datasets),
        )
        contents: list[bytes] = []
        row("put together again (pydicom)", lambda: contents.extend(_written(each) for each in cleaned))
        row(
            "all of these, geometry, digests",
            lambda: [_clean(dcmread(io.BytesIO(each)), pseudonyms) for each in raw],
        )
    with _scratch(folder) as out:
        row("write", lambda: _write(out, contents))
        row("fsync, a batch of 128 at once", lambda: _sync(out, len(contents), 8))
    with _scratch(folder) as out:
        row(
            "write, fsync one by one",
            lambda: [_write(out, [each], n, sync=True) for n, each in enumerate(contents)],
        )
    return table


def make(folder: Path, patient: str) -> None:
    """One patient's cine, with the identifiers that a scanner writes."""
    folder.mkdir(parents=True)
    picture = _picture(len(patient))
    for number in range(EACH):
        slice_, phase = divmod(number, 10)
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        made.SOPClassUID, made.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        made.PatientID, made.PatientName, made.PatientBirthDate = patient, f"Doe^{patient}", "19500101"
        made.StudyInstanceUID = generate_uid(entropy_srcs=[patient, "study"])
        made.SeriesInstanceUID = generate_uid(entropy_srcs=[patient, "series"])
        made.FrameOfReferenceUID = generate_uid(entropy_srcs=[patient, "frame"])
        made.StudyDate = made.SeriesDate = made.AcquisitionDate = "20200102"
        made.StudyTime = made.SeriesTime = made.AcquisitionTime = "101112.130000"
        made.Modality, made.Manufacturer, made.InstitutionName = "MR", "Maker", "Saint Nowhere"
        made.ReferringPhysicianName, made.StationName = "Roe^John", "MR1"
        made.SeriesDescription, made.StudyDescription = "cine short axis", "heart"
        made.SeriesNumber, made.InstanceNumber = 5, number + 1
        made.ImageType, made.TriggerTime = ["ORIGINAL", "PRIMARY", "M"], phase * 40.0
        made.ImagePositionPatient = [-100.0, -100.0, slice_ * 8.0]
        made.ImageOrientationPatient, made.PixelSpacing = [1, 0, 0, 0, 1, 0], [1.4, 1.4]
        made.SliceThickness, made.RepetitionTime, made.EchoTime, made.FlipAngle = 8, 3.1, 1.5, 50
        made.Rows = made.Columns = 256
        made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
        made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
        block = made.private_block(0x0019, "MAKER 01", create=True)
        for element in range(40):
            block.add_new(element, "LO", f"private value {element}")
        made.PixelData = np.roll(picture, number, axis=0).tobytes()
        made.save_as(folder / f"{number:05d}.dcm", enforce_file_format=True)


def _picture(seed: int) -> npt.NDArray[np.uint16]:
    """Soft shapes in a little noise, as bright as a scanner's."""
    generator = np.random.default_rng(seed)
    soft = ndimage.gaussian_filter(generator.random((256, 256)), 6)
    grey = 700 * (soft - soft.min()) / np.ptp(soft) + np.abs(generator.normal(0, 12, (256, 256)))
    return np.asarray(grey, dtype=np.uint16)


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        yield Path(name)


def _write(folder: Path, contents: list[bytes], first: int = 0, *, sync: bool = False) -> None:
    for number, content in enumerate(contents, start=first):
        with (folder / str(number)).open("wb") as stream:
            stream.write(content)
            if sync:
                stream.flush()
                os.fsync(stream.fileno())


def _sync(folder: Path, count: int, threads: int) -> None:
    def one(number: int) -> None:
        handle = os.open(folder / str(number), os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)

    with ThreadPoolExecutor(threads) as pool:
        for begin in range(0, count, 128):
            list(pool.map(one, range(begin, min(begin + 128, count))))


if __name__ == "__main__":
    if len(sys.argv) == 4 and not sys.argv[1].startswith("-"):
        one_import(*sys.argv[1:])
    else:
        main()
