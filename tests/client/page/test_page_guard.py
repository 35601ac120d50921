"""The page opens for nobody but the person at this machine, and does nothing that was not asked on it."""

from __future__ import annotations

import pytest
import ward
from fastapi.routing import APIRoute
from ward import PORT, ROOT, Browser, TestClient

from client import approval
from client.home import Home
from client.journal import Journal
from client.page import acting, seeing
from client.page.guard import BIGGEST_FORM, HEADERS
from client.page.visits import IDLE, LONGEST, MOST, Visits

DIGEST = "0" * 64


def paths(method: str) -> list[str]:
    """Every route of the page that knows that method, with something in its gaps."""
    filled = {"digest": DIGEST, "patient": "P-X", "name": "S-X"}
    routes = [each for each in (*seeing.router.routes, *acting.router.routes) if isinstance(each, APIRoute)]
    return [each.path.format(**filled) for each in routes if method in each.methods]


def test_without_a_visit_every_page_and_picture_is_refused_and_says_nothing(home: Home):
    browser = Browser(home)
    seen = [path for path in paths("GET") if path != "/enter"]
    assert len(seen) >= 9
    for path in seen:
        answer = browser.client.get(path)
        assert answer.status_code == 403, path
        assert home.name not in answer.text


def test_without_a_visit_every_decision_is_refused(home: Home):
    browser = Browser(home)
    decisions = paths("POST")
    assert len(decisions) == 5
    for path in decisions:
        assert browser.client.post(path, headers={"Origin": ROOT}).status_code == 403


@pytest.mark.parametrize("token", ["", "guess", "ä", "A" * 43])
def test_a_wrong_link_opens_nothing(home: Home, token: str):
    browser = Browser(home)
    answer = browser.client.get("/enter", params={"token": token})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_link_works_once(home: Home):
    browser = Browser(home)
    token = browser.visits.token
    assert browser.client.get("/enter", params={"token": token}).status_code == 200
    assert (
        TestClient(browser.client.app, ROOT, client=("127.0.0.1", 1))
        .get("/enter", params={"token": token})
        .status_code
        == 403
    )


def test_the_cookie_is_for_this_page_alone_and_out_of_reach_of_scripts(home: Home):
    browser = Browser(home)
    answer = browser.client.get("/enter", params={"token": browser.visits.token})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "expires" not in cookie
    assert "max-age" not in cookie
    assert browser.visits.token not in answer.text


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"127.0.0.1.evil.example:{PORT}",
        "",
    ],
)
def test_a_name_that_was_made_to_lead_here_is_refused(browser: Browser, host: str):
    answer = browser.client.get("/", headers={"Host": host})
    assert answer.status_code == 403
    assert "brest" not in answer.text


@pytest.mark.parametrize("address", ["10.0.0.7", "192.0.2.1", "2001:db8::1", "nobody"])
def test_another_machine_is_refused(browser: Browser, address: str):
    other = TestClient(
        browser.client.app, ROOT, client=(address, 50000), cookies=dict(browser.client.cookies)
    )
    assert other.get("/").status_code == 403


def test_the_same_machine_by_its_other_names_is_served(browser: Browser):
    for host in (f"localhost:{PORT}", f"[::1]:{PORT}"):
        assert browser.client.get("/", headers={"Host": host}).status_code == 200


GOOD = {"Origin": ROOT}


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({}, GOOD),
        ({"token": ""}, GOOD),
        ({"token": "guess"}, GOOD),
        ({"token": "right"}, {}),
        ({"token": "right"}, {"Origin": "null"}),
        ({"token": "right"}, {"Origin": "http://evil.example"}),
        ({"token": "right"}, {"Origin": "http://127.0.0.1:1"}),
        ({"token": "right"}, {"Origin": f"https://127.0.0.1:{PORT}"}),
        ({"token": "right"}, GOOD | {"Sec-Fetch-Site": "cross-site"}),
        ({"token": "right"}, GOOD | {"Sec-Fetch-Site": "same-site"}),
        ({"token": "right"}, GOOD | {"Content-Type": "text/plain"}),
        ({"token": "right"}, GOOD | {"Content-Type": "multipart/form-data; boundary=x"}),
        ({"token": "right", "more": "x" * BIGGEST_FORM}, GOOD),
    ],
)
def test_a_form_that_was_not_sent_from_the_page_decides_nothing(
    browser: Browser, home: Home, fields: dict[str, str], headers: dict[str, str]
):
    study = ward.offered(home)
    if fields.get("token") == "right":
        fields = fields | {"token": browser.token()}
    before = Journal(home.path).lines()
    answer = browser.client.post(
        f"/studies/{study.digest}/approve", data={"by": "mallory", **fields}, headers=headers
    )
    assert answer.status_code in (400, 403)
    assert approval.approvals(home) == []
    assert Journal(home.path).lines() == before


def test_the_form_of_another_visit_decides_nothing(browser: Browser, home: Home):
    study = ward.offered(home)
    other = Browser(home, browser.visits).enter()
    answer = browser.client.post(
        f"/studies/{study.digest}/approve", data={"by": "mallory", "token": other.token()}, headers=GOOD
    )
    assert answer.status_code == 403
    assert approval.approvals(home) == []


def test_looking_decides_nothing(browser: Browser, home: Home):
    study = ward.offered(home)
    for verb in ("approve", "refuse", "revoke"):
        answer = browser.client.get(
            f"/studies/{study.digest}/{verb}", params={"by": "x", "token": browser.token()}
        )
        assert answer.status_code in (404, 405)
    assert [each.digest for each in approval.waiting(home)] == [study.digest]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_no_other_kind_of_request_is_known(browser: Browser, method: str):
    assert browser.client.request(method, "/").status_code == 405


@pytest.mark.parametrize(
    "path", ["/", "/nowhere", "/static/page.css", "/static/none.css", "/enter", "/studies/x"]
)
def test_every_answer_forbids_scripts_frames_and_other_places(browser: Browser, path: str):
    headers = browser.client.get(path).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_an_error_that_nobody_expected_is_one_line_without_a_trace(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(*_: object) -> None:
        raise ValueError("Jane Doe, born 1950")

    monkeypatch.setattr("client.page.records.latest", fail)
    answer = browser.client.get("/")
    assert answer.status_code == 500
    assert "Traceback" not in answer.text
    assert "Jane" not in answer.text
    assert "Jane" not in caplog.text
    assert "ValueError" in caplog.text
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_a_visit_ends_when_nothing_was_asked_for_a_while():
    now = [0.0]
    visits = Visits(now=lambda: now[0])
    visit = visits.enter(visits.token)
    assert visit is not None
    now[0] = IDLE - 1
    assert visits.find(visit.cookie, active=False) is visit  # the page asks by itself: nobody is there
    now[0] = IDLE + 1
    assert visits.find(visit.cookie) is None


def test_no_visit_lasts_for_ever():
    now = [0.0]
    visits = Visits(now=lambda: now[0])
    visit = visits.enter(visits.token)
    assert visit is not None
    while now[0] < LONGEST - IDLE:
        now[0] += IDLE / 2
        assert visits.find(visit.cookie) is visit
    now[0] = LONGEST
    assert visits.find(visit.cookie) is None


def test_visits_do_not_pile_up():
    visits = Visits()
    entered = [visits.enter(visits.token) for _ in range(MOST + 1)]
    alive = [each for each in entered if each is not None and visits.find(each.cookie)]
    assert len(alive) == MOST


def test_a_visit_that_was_ended_is_over(browser: Browser):
    cookies = dict(browser.client.cookies)
    browser.client.post("/leave", data={"token": browser.token()}, headers=GOOD)
    browser.client.cookies.update(cookies)
    assert browser.client.get("/").status_code == 403
