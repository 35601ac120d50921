"""The dashboard of README.md: a small federation, two studies on digital patients, and what is seen of them.

python benchmarks/dashboard.py [--out docs/figures/dashboard.png] [--keep HOME]

Six hospitals of digital patients (heart disease) join over TLS. One study runs to its end. Another one, with
secure aggregation, is held in its twenty-fourth round while the pictures are taken: that wait alone is
staged; the hospital was dropped from three rounds before. Left: the study that runs, on a desk. Right: the
studies, and that one, on a phone at night. Needs Chromium and playwright.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright
from uvicorn import Server

from client.home import Home
from client.joining.joining import join
from deploy.engines.faults import Drop
from deploy.federation import Machine, hospitals_in
from deploy.run import run
from ground.network import free_port
from server.door.serving import config
from server.events import Advanced, Event, Waiting, tell
from server.home import CoordinatorHome
from server.recording import recording
from tasks.registry import find
from tasks.study import Study, parse

SIZES = {"amiens": 140, "brest": 90, "caen": 120, "dijon": 60, "lille": 200, "tours": 75}
STRATA = ("cleveland", "hungary", "long-beach", "cleveland", "hungary", "switzerland")
BEFORE = """name = "heart-disease-pilot"
task = "heart-disease"
rounds = 30
[training]
learning-rate = 2.0
[privacy]
epsilon = 2.0
delta = 1e-4
"""
NOW = (
    BEFORE.replace("pilot", "secure").replace("30", "40")
    + "secure-aggregation = true\nminimum-hospitals = 4\n"
)
HELD, SLOW, DROPS = 23, "tours", (9, 10, 17)
DESK, PHONE = {"width": 1120, "height": 900}, {"width": 400, "height": 900}
MARGIN, COLOURS = 24, 256
CHROMIUM = shutil.which("chromium")


def main() -> None:
    """Stage, look, and put the pictures side by side."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/figures/dashboard.png"))
    parser.add_argument("--keep", type=Path, help="stage the coordinator there and leave it")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        home = CoordinatorHome.begin(
            chosen.keep or folder / "home", "ouest-coeur", ["localhost"], nodes=free_port(), door=free_port()
        )
        stack.enter_context(served(home))
        members(home, folder / "hospitals")
        patients = digital(folder / "tables")
        finished(home, patients)
        browser = stack.enter_context(sync_playwright()).chromium.launch(executable_path=CHROMIUM)
        cookies = entered(browser, home)
        study = stack.enter_context(under_way(home, patients))
        seen = pictures(browser, cookies, home, study, folder)
        beside(seen, chosen.out)
    print(f"{chosen.out}: {chosen.out.stat().st_size / 1000:.0f} kB")


@contextmanager
def served(home: CoordinatorHome) -> Iterator[None]:
    """The door, with TLS, as `laennec coordinator start` serves it."""
    server = Server(config(home))
    server.capture_signals = lambda: ExitStack()  # type: ignore[method-assign, assignment, return-value]
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(0.1)
        yield
    finally:
        server.should_exit = True
        thread.join()


def members(home: CoordinatorHome, folder: Path) -> None:
    """Every hospital joins by an invitation."""
    for name in SIZES:
        join(Home.begin(folder / name, name), home.invite(name))


def digital(folder: Path) -> Path:
    """A table of digital patients for each hospital."""
    task = find("heart-disease")
    for place, (name, size) in enumerate(SIZES.items()):
        task.export(task.recipes(STRATA[place], size, place), name, folder)
    return folder


def launched(home: CoordinatorHome, text: str) -> tuple[Study, Path]:
    """A study that somebody launched, and its folder."""
    study = parse(text)
    home.registry.studies.launch(study, tuple(SIZES), 14 * 86400.0, "a cardiologist")
    home.registry.studies.move(study.digest, "running")
    return study, home.studies / study.digest


def finished(home: CoordinatorHome, patients: Path) -> None:
    """A study from its first round to its report."""
    study, folder = launched(home, BEFORE)
    with recording(folder, study):
        run(
            study,
            hospitals_in(study.task, patients, None, secret_noise=True),
            Machine(secret_noise=True),
            folder,
        )
    home.registry.studies.move(study.digest, "finished")


@contextmanager
def under_way(home: CoordinatorHome, patients: Path) -> Iterator[Study]:
    """Inside, a study is in its round and waits for a hospital."""
    study, folder = launched(home, NOW)
    reached, go_on = threading.Event(), threading.Event()

    def hold(event: Event) -> None:
        done = isinstance(event, Advanced) and len(event.progress.history) == HELD
        if done and event.progress.phase == "train" and not reached.is_set():
            reached.set()
            waited = 37.0
            while not go_on.wait(1.0):
                waited += 1.0
                tell(Waiting((SLOW,), waited, 600.0, "reply", (waited - 25.0,)))

    def drive() -> None:
        machine = Machine(secret_noise=True, drops=tuple(Drop(SLOW, number) for number in DROPS))
        hospitals = hospitals_in(study.task, patients, None, secret_noise=True)
        with recording(folder, study):
            run(study, hospitals, machine, folder, hold)

    thread = threading.Thread(target=drive)
    thread.start()
    try:
        while not reached.wait(0.2) and thread.is_alive():
            pass
        yield study
    finally:
        go_on.set()
        thread.join()


def pictures(browser: Any, cookies: Any, home: CoordinatorHome, study: Study, folder: Path) -> list[Path]:
    """The study on a desk, as far as who contributed; the overview and the study on a phone at night."""
    files = [folder / name for name in ("desk.png", "overview.png", "phone.png")]
    desk = {"viewport": DESK, "color_scheme": "light"}
    night = {"viewport": PHONE, "color_scheme": "dark"}
    address = f"/studies/{study.digest}"
    for look, path, file in ((desk, address, files[0]), (night, "/", files[1]), (night, address, files[2])):
        context = browser.new_context(ignore_https_errors=True, **look)
        context.add_cookies(cookies)
        page = context.new_page()
        page.goto(f"https://{home.written.door}{path}")
        page.locator(".waits").first.wait_for()
        last = page.get_by_role("region", name="Who contributed when")
        bottom = last.bounding_box() if look is desk else None
        size = None if bottom is None else {"x": 0, "y": 0, "width": DESK["width"]}
        if size is not None and bottom is not None:
            size["height"] = int(bottom["y"] + bottom["height"]) + MARGIN
        page.screenshot(path=file, full_page=True, clip=size)
        context.close()
    return files


def entered(browser: Any, home: CoordinatorHome) -> Any:
    """The cookies of somebody who showed a token."""
    token = home.registry.people.add("a cardiologist", "launch")
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.goto(f"https://{home.written.door}/")
    page.get_by_label("Your token").fill(token)
    page.get_by_role("button", name="Enter").click()
    page.wait_for_url(f"https://{home.written.door}/")
    return context.cookies()


def beside(seen: list[Path], out: Path) -> None:
    """One picture of all, cut at the height of the first, with few enough colours to be small."""
    desk, overview, phone = (Image.open(each).convert("RGB") for each in seen)
    sheet = Image.new("RGB", (desk.width + MARGIN + phone.width, desk.height), "white")
    sheet.paste(desk, (0, 0))
    sheet.paste(overview, (desk.width + MARGIN, 0))
    below = overview.height + MARGIN
    sheet.paste(phone.crop((0, 0, phone.width, desk.height - below)), (desk.width + MARGIN, below))
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(COLOURS, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":
    main()
