"""The hospital's page of docs/hospital.md: a staged hospital, and what its page looks like.

python benchmarks/hospital_page.py [--out docs/figures/hospital-page.png] [--keep HOME]

Nobody in the picture is a person: digital patients (heart disease, hearts as DICOM), one with a slice
missing, one with letters written into the pictures, a study that runs and two that wait, and an ε book of two
months. Everything is put there by the functions that a hospital uses; the node's status and two lines of the
journal alone are written by hand. Left: the overview on a desk. Right: a study and the quarantine on a phone,
at night. Needs Chromium and playwright.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from playwright.sync_api import Page, sync_playwright
from pydicom import dcmread

from client import approval
from client.archive import import_folder
from client.home import Home
from client.journal import Journal
from client.ledger import BOOK, Ledger
from client.node.places import Places
from ground.files import locked, replace_file
from privacy.accountant import Event
from tasks.registry import find
from tasks.study import Study, parse

EXAMPLES = Path(__file__).parent.parent / "examples"
DAY = 86400.0
DESK, PHONE = {"width": 1080, "height": 900}, {"width": 420, "height": 900}
MARGIN, COLOURS = 24, 128


def main() -> None:
    """Stage, look, and put the pictures side by side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("docs/figures/hospital-page.png"))
    parser.add_argument("--keep", type=Path, help="stage the hospital there and leave it")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        home = staged(chosen.keep or folder / "home", folder)
        stack.enter_context(node_at_work(home))
        desk, phone = pictures(stack.enter_context(page_of(home)), folder, home)
        beside(desk, phone, chosen.out)
    print(f"{chosen.out}: {chosen.out.stat().st_size / 1000:.0f} kB")


def staged(path: Path, scratch: Path) -> Home:
    """A hospital with something on every page."""
    home = Home.begin(path, "brest")
    (path / "hospital.toml").write_text(
        'name = "brest"\n[limits]\nthreads = 2\nmemory-megabytes = 8000\nhours = "00:00-23:59"\n'
    )
    task = find("heart-disease")
    task.export(task.recipes("cleveland", 120, 3), "brest", scratch / "tables")
    hearts(scratch / "hearts")
    for source in ("tables", "hearts"):
        report = import_folder(path, scratch / source, task if source == "tables" else None)
        what = f"{report.stored} files" if report.stored else f"{report.rows} rows"
        Journal(path).write("person", "import", detail=f"{what} imported")
    runs = parse((EXAMPLES / "heart-disease-secure.toml").read_text())
    spent(home, runs)
    approval.approve(home, runs, "the data manager", 180)
    other = runs.model_copy(update={"name": "valves-and-vessels"}).with_epsilon(0.5)
    approval.offer(home, other.to_toml())
    approval.offer(home, (EXAMPLES / "infarct.toml").read_text())
    Journal(path).write("node", "begin", runs.digest, "round 0")
    Journal(path).write("node", "round", runs.digest, "round 31")
    return home


def hearts(folder: Path) -> None:
    """Digital hearts as DICOM: one as it was made, one with a slice missing, one with letters in it."""
    command = [str(Path(sys.executable).parent / "laennec"), "patients", "infarct", "--count", "3", "--dicom"]
    command += ["--slices", "6", "--phases", "2", "--out", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    whole, gap, burned = sorted(folder.glob("patient-*"))
    for file in gap.glob("dicom/slice-03-*"):
        file.unlink()
    for file in burned.glob("dicom/*.dcm"):
        dataset = dcmread(file)
        picture = Image.fromarray(dataset.pixel_array.astype("int32"), "I")
        ImageDraw.Draw(picture).text((4, 4), "DIGITAL PATIENT 3", fill=int(dataset.pixel_array.max()))
        dataset.PixelData = np.asarray(picture).astype("<u2").tobytes()
        dataset.save_as(file)
    for patient in (whole, gap, burned):
        for file in [each for each in patient.iterdir() if each.is_file()]:
            file.unlink()


def spent(home: Home, runs: Study) -> None:
    """Two studies in two months, the second one still running."""
    now = [time.time() - 60 * DAY]
    earlier = runs.with_seed(7)
    with Ledger(home.path / BOOK, now=lambda: now[0]) as book:
        for study, rounds, days in ((earlier, 50, 0.2), (runs, 31, 1.5)):
            for number in range(1, rounds + 1):
                book.reserve(home.name, study.digest, number, Event(1.0, 30.0))
                book.settle(home.name, study.digest, number)
                now[0] += days * DAY
        book.set_budget(home.name, 2.0, 1e-4)  # last: with a limit each reservation is composed anew


@contextmanager
def node_at_work(home: Home) -> Iterator[None]:
    """As if the node were answering a round."""
    places = Places(home.path / "node")
    places.make()
    said = {
        "pid": os.getpid(),
        "state": "working",
        "since": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - 5 * 3600)),
        "coordinator": "coordinator.example.org:9092",
        "study": parse((EXAMPLES / "heart-disease-secure.toml").read_text()).digest,
        "phase": "train",
        "round": 32,
    }
    with locked(places.lock, 0.0, "busy"):
        replace_file(places.status, json.dumps(said))
        yield


@contextmanager
def page_of(home: Home) -> Iterator[str]:
    """The page, served as a hospital serves it; its link."""
    command = [str(Path(sys.executable).parent / "laennec"), "hospital", "page", "--no-open"]
    served = subprocess.Popen([*command, "--home", str(home.path)], stdout=subprocess.DEVNULL)
    link = home.path / "page" / "link"
    try:
        while not link.exists() and served.poll() is None:
            time.sleep(0.1)
        yield link.read_text().strip()
    finally:
        served.terminate()
        served.wait(20)


def pictures(link: str, folder: Path, home: Home) -> tuple[Path, list[Path]]:
    """The overview on a desk; a study and the quarantine on a phone."""
    desk, phone = folder / "desk.png", [folder / "study.png", folder / "quarantine.png"]
    root = link.partition("/enter")[0]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"))
        context = browser.new_context(viewport=DESK, color_scheme="light")
        seen = context.new_page()
        seen.goto(link)
        seen.wait_for_url(f"{root}/")
        seen.screenshot(path=desk, full_page=True)
        cookies = context.cookies()
        night = browser.new_context(viewport=PHONE, color_scheme="dark")
        night.add_cookies(cookies)  # type: ignore[arg-type]
        small = night.new_page()
        shoot(small, f"{root}/studies/{approval.waiting(home)[0].digest}", phone[0])
        shoot(small, f"{root}/quarantine", phone[1])
        browser.close()
    return desk, phone


def shoot(page: Page, address: str, file: Path) -> None:
    """That page, once its pictures are there."""
    page.goto(address, wait_until="networkidle")
    page.screenshot(path=file, full_page=True)


def beside(desk: Path, phone: list[Path], out: Path) -> None:
    """One picture of all, cut at the height of the first, with few enough colours to be small."""
    images: list[Any] = [Image.open(each).convert("RGB") for each in (desk, *phone)]
    height = images[0].height
    width = sum(each.width for each in images) + MARGIN * (len(images) - 1)
    sheet = Image.new("RGB", (width, height), "white")
    left = 0
    for each in images:
        sheet.paste(each.crop((0, 0, each.width, min(height, each.height))), (left, 0))
        left += each.width + MARGIN
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(COLOURS, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":
    main()
