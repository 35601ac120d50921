"""The page in a real browser: it obeys its own policy, and serves keyboard, phone, night and no scripts."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ward

from client import approval
from client.archive import Archive
from client.home import Home
from client.journal import Journal
from client.page.server import link_of

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
MISSING = "no browser: `apt-get install chromium` and `pip install -e '.[browser]'`, as .ci/run does"
PAGES = ("/", "/studies", "/budget", "/quarantine", "/journal", "/node", "/checks")
DESK, PHONE = {"width": 1200, "height": 900}, {"width": 320, "height": 640}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ward_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A hospital with something on every page."""
    folder = tmp_path_factory.mktemp("ward")
    home = ward.home_in(folder)
    ward.spend(home, ward.parse(ward.OTHER))
    ward.set_aside(home, folder / "films")
    for number in range(3):
        Journal(home.path).write("node", "round", "ab" * 32, f"round {number}")
    return home


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Chromium without a window."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sync_playwright = None
    if CHROMIUM is None or sync_playwright is None:
        pytest.skip(MISSING)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def root(chromium: Any, ward_home: Home) -> Iterator[str]:  # noqa: ARG001 - not without a browser
    """The page, served; its address."""
    laennec = str(Path(sys.executable).parent / "laennec")
    command = [laennec, "hospital", "page", "--home", str(ward_home.path), "--no-open"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while (
            (link := link_of(ward_home.path)) is None and process.poll() is None and time.monotonic() < until
        ):
            time.sleep(0.1)
        assert link is not None
        yield link.partition("/enter")[0]
    finally:
        process.terminate()
        process.wait(30)


class Seen:
    """What one tab shows, and everything that it asked for or complained of."""

    def __init__(self, chromium: Any, home: Home, root: str, **settings: Any) -> None:
        self.context = chromium.new_context(**({"viewport": DESK} | settings))
        self.context.set_default_timeout(30_000)
        self.tab = self.context.new_page()
        self.root, self.complaints, self.asked = root, [], []
        self.tab.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("dialog", lambda dialog: (self.complaints.append("dialog"), dialog.dismiss()))
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.goto((home.path / "page" / "open.html").as_uri())
        self.tab.wait_for_url(f"{root}/")

    def go(self, path: str) -> Any:
        assert self.tab.goto(f"{self.root}{path}").status == 200
        return self.tab


@pytest.fixture
def seen(chromium: Any, ward_home: Home, root: str, request: pytest.FixtureRequest) -> Iterator[Seen]:
    """A tab that was led to the page by the file that the command opens."""
    made = Seen(chromium, ward_home, root, **getattr(request, "param", {}))
    yield made
    made.context.close()


def test_the_file_that_is_opened_leads_to_the_page_and_nothing_is_asked_of_anybody_else(seen: Seen):
    assert seen.tab.get_by_role("heading", level=1).inner_text() == "Overview"
    for path in PAGES:
        seen.go(path)
    assert seen.complaints == []
    assert all(each.startswith((f"{seen.root}/", "file://")) for each in seen.asked)


def test_a_study_is_approved_with_the_keyboard_alone(seen: Seen, ward_home: Home):
    study = ward.offered(ward_home)
    tab = seen.go("/")
    tab.get_by_role("link", name="Read and decide about warm-hearts").focus()
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"**/studies/{study.digest}")
    name = tab.get_by_role("form", name="Approve").get_by_label("Your name")
    name.focus()
    tab.keyboard.type("the data manager")
    tab.keyboard.press("Tab")
    tab.keyboard.press("ControlOrMeta+A")
    tab.keyboard.type("30")
    tab.keyboard.press("Enter")
    tab.get_by_role("status").filter(has_text="is approved until").wait_for()
    assert approval.check(ward_home, study).by == "the data manager"
    assert seen.complaints == []


@pytest.mark.parametrize("seen", [{"java_script_enabled": False}], indirect=True)
def test_without_scripts_a_study_is_refused_and_a_patient_released(seen: Seen, ward_home: Home):
    text = ward.OTHER.replace("bare-hearts", "other-hearts")
    study = ward.offered(ward_home, text)
    tab = seen.go(f"/studies/{study.digest}")
    tab.get_by_role("form", name="Refuse").get_by_label("Your name").fill("anne")
    tab.get_by_role("button", name="Refuse this study").click()
    tab.get_by_role("status").filter(has_text="is refused").wait_for()
    assert study.digest not in {each.digest for each in approval.waiting(ward_home)}
    with Archive(ward_home.path) as archive:
        held = [each.patient for each in archive.quarantine()]
    article = seen.go("/quarantine").get_by_role("article", name=f"Patient {held[0]}")
    article.get_by_label("Your name").fill("anne")
    article.get_by_role("button", name="Release").click()
    tab.get_by_role("status").filter(has_text="is released").wait_for()
    with Archive(ward_home.path) as archive:
        assert held[0] in archive.patients()


def test_a_picture_that_may_hold_a_name_is_fetched_when_it_is_asked_for(
    seen: Seen, ward_home: Home, tmp_path: Path
):
    ward.slices(tmp_path / "films", "21", (1, 2, 3), burned=True)
    ward.import_folder(ward_home.path, tmp_path / "films")
    tab = seen.go("/quarantine")
    picture = tab.locator("details").last
    sharp = picture.locator(":scope > img")
    address = sharp.get_attribute("src")
    tab.wait_for_load_state("networkidle")
    assert not sharp.is_visible()
    assert f"{seen.root}{address}" not in seen.asked
    picture.locator("summary").focus()
    tab.keyboard.press("Enter")
    sharp.wait_for(state="visible")
    tab.wait_for_load_state("networkidle")
    assert f"{seen.root}{address}" in seen.asked
    assert sharp.evaluate("each => each.naturalWidth") > 12


def test_what_runs_moves_on_by_itself(seen: Seen, ward_home: Home):
    study = ward.offered(ward_home, ward.OTHER.replace("bare-hearts", "live-hearts"))
    approval.approve(ward_home, study, "anne")
    Journal(ward_home.path).write("node", "round", study.digest, "round 1")
    tab = seen.go("/node")
    tab.get_by_text("round 1 of 3").wait_for()
    Journal(ward_home.path).write("node", "round", study.digest, "round 2")
    tab.get_by_text("round 2 of 3").wait_for()
    assert seen.complaints == []


def test_text_that_is_a_script_does_not_run(seen: Seen, ward_home: Home):
    bad = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    Journal(ward_home.path).write("coordinator", "refuse", "ab" * 32, bad)
    assert seen.go("/journal").get_by_text(bad).first.is_visible()
    assert seen.complaints == []


def test_an_inline_script_would_be_refused(seen: Seen):
    seen.tab.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=/none onerror=\"window.ran = 1\">')"
    )
    seen.tab.wait_for_timeout(300)
    assert seen.tab.evaluate("window.ran") is None
    assert any("Content Security Policy" in each for each in seen.complaints)


@pytest.mark.parametrize(
    "seen",
    [{"color_scheme": scheme, "viewport": size} for scheme, size in (("light", DESK), ("dark", PHONE))],
    indirect=True,
)
def test_it_can_be_read_by_everybody(seen: Seen, ward_home: Home):
    """No violation that axe knows (WCAG 2.2 A and AA: labels, contrast, names), and no sideways scrolling."""
    from axe_playwright_python.sync_playwright import Axe

    study = ward.parse(
        ward.STUDY.replace("rounds = 12", f"rounds = {12 + int(seen.tab.viewport_size['width'] > 400)}")
    )
    approval.offer(ward_home, study.to_toml())
    for path in (*PAGES, f"/studies/{study.digest}"):
        tab = seen.go(path)
        for summary in tab.locator("summary").all():
            summary.click()
        found = Axe().run(tab).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == [], path
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


def test_another_page_in_the_same_browser_decides_nothing(seen: Seen, ward_home: Home):
    study = ward.offered(ward_home, ward.OTHER.replace("bare-hearts", "taken-hearts"))
    evil = seen.context.new_page()
    evil.set_content(
        f'<form method="post" action="{seen.root}/studies/{study.digest}/approve">'
        '<input name="by" value="mallory"><button>Win a prize</button></form>'
    )
    evil.get_by_role("button").click()
    evil.wait_for_url(f"{seen.root}/**")
    assert "not made on this page" in evil.content() or "Open the link" in evil.content()
    assert all(each.digest != study.digest for each in approval.approvals(ward_home))
