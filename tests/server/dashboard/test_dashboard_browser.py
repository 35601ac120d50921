"""The dashboard in a real browser, over TLS: live, by keyboard, on a phone at night, without scripts."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import watched
from uvicorn import Server

from ground.network import free_port
from server.door.serving import config
from server.events import Waiting, tell
from server.home import CoordinatorHome

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
MISSING = "no browser: `apt-get install chromium` and `pip install -e '.[browser]'`, as .ci/run does"
DESK, PHONE = {"width": 1200, "height": 900}, {"width": 320, "height": 640}
BAD = "<img src=x onerror=alert(1)><script>alert(1)</script>"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CoordinatorHome]:
    """A coordinator with a study that is done and one under way, its door served."""
    home = watched.home_in(tmp_path_factory.mktemp("network"))
    done, folder = watched.launched(home, watched.BARE, by=BAD)
    watched.finished(folder, done)
    home.registry.studies.move(done.digest, "finished")
    port = free_port()
    server = Server(config(home, port=port))
    server.capture_signals = ExitStack  # type: ignore[method-assign, assignment]
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert watched.soon(lambda: server.started, 60)
        home.__dict__["root"] = f"https://localhost:{port}"
        yield home
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="module")
def running(network: CoordinatorHome) -> Iterator[tuple[watched.Course, Path]]:
    """The study under way."""
    study, folder = watched.launched(network)
    network.registry.studies.move(study.digest, "running")
    with watched.under_way(folder, study) as (course, _):
        yield course, folder


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


class Seen:
    """What one tab shows, and everything that it asked for or complained of."""

    def __init__(self, chromium: Any, home: CoordinatorHome, **settings: Any) -> None:
        self.context = chromium.new_context(ignore_https_errors=True, **({"viewport": DESK} | settings))
        self.context.set_default_timeout(30_000)
        self.tab = self.context.new_page()
        self.root, self.complaints, self.asked = home.__dict__["root"], [], []
        self.tab.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("dialog", lambda dialog: (self.complaints.append("dialog"), dialog.dismiss()))
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.goto(f"{self.root}/")
        self.tab.wait_for_url(f"{self.root}/login")
        field = self.tab.get_by_label("Your token")
        field.focus()
        self.tab.keyboard.type(home.registry.people.add("anne", "launch"))
        self.tab.keyboard.press("Enter")
        self.tab.wait_for_url(f"{self.root}/")

    def go(self, path: str) -> Any:
        assert self.tab.goto(f"{self.root}{path}").status == 200
        return self.tab


@pytest.fixture
def seen(
    chromium: Any,
    network: CoordinatorHome,
    running: tuple[watched.Course, Path],  # noqa: ARG001 - something to look at
    request: pytest.FixtureRequest,
) -> Iterator[Seen]:
    """A tab of somebody who came in with the keyboard alone."""
    made = Seen(chromium, network, **getattr(request, "param", {}))
    yield made
    made.context.close()


def pages(network: CoordinatorHome) -> list[str]:
    studies = [f"/studies/{each.digest}" for each in network.registry.studies.all()]
    return ["/", "/hospitals", "/log", "/launch", *studies]


def test_it_obeys_its_own_policy_and_asks_nobody_else(seen: Seen, network: CoordinatorHome):
    for path in pages(network):
        seen.go(path)
    assert seen.complaints == []
    assert all(each.startswith(f"{seen.root}/") for each in seen.asked)
    assert seen.go("/").evaluate("document.cookie") == ""


def test_a_round_is_seen_as_it_ends_and_a_wait_as_it_lasts(seen: Seen, running: tuple[watched.Course, Path]):
    course, _ = running
    tab = seen.go(f"/studies/{course.study.digest}")
    before = course.progress.round - 1
    bar = tab.get_by_role("progressbar")
    assert bar.get_attribute("value") == str(before)
    tell(Waiting(("brest",), 40.0, 600.0, "reply", (12.0,)))
    tab.get_by_text("waiting for brest, 40 s of 600 s").first.wait_for()
    course.goes_on()
    tab.locator(f"progress[value='{before + 1}']").wait_for()
    assert tab.locator(".waits").count() == 0
    tab.get_by_text(f"round {before + 1} of 12 in").wait_for()
    assert seen.complaints == []


@pytest.mark.parametrize("seen", [{"java_script_enabled": False}], indirect=True)
def test_without_scripts_it_shows_the_same_and_is_loaded_anew_by_itself(
    seen: Seen, running: tuple[watched.Course, Path], network: CoordinatorHome
):
    course, _ = running
    tab = seen.go(f"/studies/{course.study.digest}")
    assert tab.get_by_role("progressbar").get_attribute("value") == str(course.progress.round - 1)
    assert 'http-equiv="refresh"' in tab.content()
    text = watched.BARE.replace("bare", "other")
    tab = seen.go("/launch")
    tab.get_by_label("The study's text").fill(text)
    tab.get_by_role("button", name="Read it").click()
    tab.get_by_role("button", name="Launch this study").click()
    tab.get_by_role("status").filter(has_text="other-hearts is launched").wait_for()
    [launched] = [each for each in network.registry.studies.all() if each.name == "other-hearts"]
    tab.get_by_role("button", name="Stop this study").click()
    tab.get_by_role("status").filter(has_text="is being stopped").wait_for()
    assert network.registry.studies.get(launched.digest).wanted == "stop"


def test_text_that_is_a_script_does_not_run(seen: Seen, network: CoordinatorHome):
    tab = seen.go(f"/studies/{network.registry.studies.all()[0].digest}")
    assert tab.get_by_text(BAD).first.is_visible()
    assert seen.complaints == []


@pytest.mark.parametrize(
    "seen",
    [{"color_scheme": scheme, "viewport": size} for scheme, size in (("light", DESK), ("dark", PHONE))],
    indirect=True,
)
def test_it_can_be_read_by_everybody(seen: Seen, network: CoordinatorHome):
    """No violation that axe knows (WCAG 2.2 A and AA: labels, contrast, names), and no sideways scrolling."""
    from axe_playwright_python.sync_playwright import Axe

    tell(Waiting(("brest",), 40.0, 600.0, "reply", (12.0,)))
    for path in pages(network):
        tab = seen.go(path)
        for summary in tab.locator("summary").all():
            summary.click()
        found = Axe().run(tab).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == [], path
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


def test_another_page_in_the_same_browser_decides_nothing(
    seen: Seen, network: CoordinatorHome, running: tuple[watched.Course, Path]
):
    digest = running[0].study.digest
    evil = seen.context.new_page()
    evil.set_content(
        f'<form method="post" action="{seen.root}/studies/{digest}/stop"><button>Win a prize</button></form>'
    )
    evil.get_by_role("button").click()
    evil.wait_for_url(f"{seen.root}/**")
    assert "not made on this page" in evil.content()
    assert network.registry.studies.get(digest).wanted == "run"
