"""A hospital with something on every page, and a browser's manners without a browser."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom import FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from client import approval
from client.archive import import_folder
from client.home import Home
from client.ledger import BOOK, Ledger
from client.page.app import make_app
from client.page.visits import Visits
from privacy.accountant import Event
from tasks.study import Study, parse

with warnings.catch_warnings():
    # It would rather have another library than httpx, which Flower brings.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

PORT = 8750
ROOT = f"http://127.0.0.1:{PORT}"
NAME = "VERYSECRET^NAME"
STUDY = 'name = "warm-hearts"\ntask = "heart-disease"\nrounds = 12\n[privacy]\nepsilon = 2.0\ndelta = 1e-4\n'
STUDY += "secure-aggregation = true\n"
OTHER = 'name = "bare-hearts"\ntask = "heart-disease"\nrounds = 3\n'


def home_in(folder: Path, name: str = "brest") -> Home:
    return Home.begin(folder / "home", name)


def offered(home: Home, text: str = STUDY) -> Study:
    assert approval.offer(home, text)
    return parse(text)


def spend(home: Home, study: Study, rounds: int = 4, budget: float | None = 3.0) -> None:
    with Ledger(home.path / BOOK) as book:
        if budget is not None:
            book.set_budget(home.name, budget, 1e-4)
        for number in range(1, rounds + 1):
            book.reserve(home.name, study.digest, number, Event(1.0, 20.0))
            book.settle(home.name, study.digest, number)


def slices(folder: Path, patient: str, places: tuple[int, ...], burned: bool = False) -> None:
    """A tiny series of that patient, with those slices."""
    folder.mkdir(parents=True, exist_ok=True)
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    for place in places:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        each = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        each.SOPClassUID, each.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        each.PatientID, each.PatientName, each.Modality = patient, NAME, "MR"
        each.StudyInstanceUID, each.SeriesInstanceUID, each.FrameOfReferenceUID = study, series, frame
        each.BurnedInAnnotation = "YES" if burned else "NO"
        each.ImageType = ["ORIGINAL", "PRIMARY"]
        each.Rows, each.Columns, each.PixelSpacing, each.SliceThickness = 40, 48, [1.5, 1.5], 8.0
        each.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        each.ImagePositionPatient = [0, 0, 8.0 * place]
        each.InstanceNumber = place
        each.SamplesPerPixel, each.PhotometricInterpretation, each.PixelRepresentation = 1, "MONOCHROME2", 0
        each.BitsAllocated = each.BitsStored = 16
        each.HighBit = 15
        shade = np.add.outer(np.arange(40), np.arange(48)) * 20 + 10 * place
        each.PixelData = shade.astype("<u2").tobytes()
        each.save_as(folder / f"{place}.dcm", enforce_file_format=True)


def set_aside(home: Home, folder: Path) -> None:
    """Two patients in quarantine: one lacks a slice, one has writing in her pictures."""
    slices(folder / "gap", "17", (1, 2, 4, 5))
    slices(folder / "burned", "18", (1, 2, 3), burned=True)
    import_folder(home.path, folder)


@dataclass
class Browser:
    """One browser at the page of one home, which follows its link."""

    home: Home
    visits: Visits = field(default_factory=Visits)

    def __post_init__(self) -> None:
        app = make_app(self.home, self.visits, PORT)
        self.client = TestClient(app, ROOT, client=("127.0.0.1", 50000), follow_redirects=False)

    def enter(self) -> Browser:
        assert self.client.get("/enter", params={"token": self.visits.token}).status_code == 200
        return self

    def see(self, path: str) -> str:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def token(self) -> str:
        found = re.search(r'name="token" value="([^"]+)"', self.see("/journal"))
        assert found is not None
        return found[1]

    def send(self, path: str, **fields: str) -> str:
        """Send a form as the page's own forms do; the page that follows."""
        answer = self.client.post(
            path,
            data={"token": self.token(), **fields},
            headers={"Origin": ROOT, "Sec-Fetch-Site": "same-origin"},
        )
        assert answer.status_code == 303, answer.text
        return self.see(answer.headers["location"])
