"""The dashboard opens for people with a token, does what was meant, and only for those who may launch."""

from __future__ import annotations

import pytest
import watched
from fastapi.routing import APIRoute
from gallery import HTML, ROOT, TestClient, Visitor

from ground.web.guard import HEADERS
from ground.web.visits import IDLE, LONGEST
from server.dashboard import acting, seeing
from server.dashboard.app import MOST, make_app
from server.dashboard.guard import BIGGEST_FORM, COOKIE
from server.home import CoordinatorHome

DIGEST = "0" * 64
WORD = {"digest": DIGEST, "number": "0", "name": "result.json"}


def paths(method: str) -> list[str]:
    """Every route of the dashboard that knows that method, with something in its gaps."""
    routes = [each for each in (*seeing.router.routes, *acting.router.routes) if isinstance(each, APIRoute)]
    return [
        each.path.replace("{number}", "0").format(**WORD) for each in routes if method in (each.methods or ())
    ]


def test_without_a_token_every_page_is_refused_and_says_nothing(home: CoordinatorHome):
    study, folder = watched.launched(home)
    watched.finished(folder, study)
    client = Visitor(home).client
    seen = [path for path in paths("GET") if path != "/login"]
    assert len(seen) >= 12
    for path in seen:
        answer = client.get(path)
        assert answer.status_code == (401 if path.startswith("/live/") else 303), path
        assert study.name not in answer.text
        assert home.name not in answer.text
        assert client.get(path, headers={"Accept": "*/*"}).status_code == 401
    assert home.name not in client.get("/login").text


def test_without_a_visit_every_decision_is_refused(home: CoordinatorHome):
    decisions = [path for path in paths("POST") if path != "/login"]
    assert len(decisions) == 4
    client = Visitor(home).client
    for path in decisions:
        assert client.post(path, data={"token": ""}, headers={"Origin": ROOT}).status_code == 403


@pytest.mark.parametrize("token", ["", "guess", "ä", "A" * 43, "\x00"])
def test_a_wrong_token_opens_nothing(home: CoordinatorHome, token: str):
    answer = Visitor(home).client.post("/login", data={"token": token}, headers={"Origin": ROOT})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_the_cookie_travels_over_tls_alone_and_is_out_of_reach_of_scripts(home: CoordinatorHome):
    token = home.registry.people.add("anne", "launch")
    answer = Visitor(home).client.post("/login", data={"token": token}, headers={"Origin": ROOT})
    cookie = answer.headers["set-cookie"].lower()
    assert COOKIE.lower().startswith("__host-")
    for part in ("httponly", "samesite=strict", "secure", "path=/"):
        assert part in cookie
    for part in ("domain", "expires", "max-age", token.lower()):
        assert part not in cookie


def test_every_answer_carries_its_policy(launcher: Visitor):
    for path in ("/", "/login", "/none", "/static/page.css", "/metrics"):
        headers = launcher.client.get(path).headers
        for name in HEADERS:
            assert name in headers, (path, name)
        assert "unsafe" not in headers["Content-Security-Policy"]


def test_who_watches_sees_and_cannot_launch_stop_or_resume(home: CoordinatorHome, watcher: Visitor):
    study, folder = watched.launched(home)
    with watched.under_way(folder, study):
        assert "warm-hearts" in watcher.see("/")
        page = watcher.see(f"/studies/{study.digest}")
        assert "Stop this study" not in page
        assert "Launch" not in watcher.see("/")
        assert watcher.see("/launch", 403)
        for path in (f"/studies/{study.digest}/stop", f"/studies/{study.digest}/resume", "/launch"):
            assert "You may watch" in watcher.send(path, study=watched.BARE, days="3")
    assert home.registry.studies.get(study.digest).wanted == "run"
    assert len(home.registry.studies.all()) == 1


def test_a_token_that_is_taken_back_closes_the_visit_at_once(home: CoordinatorHome, launcher: Visitor):
    launcher.see("/")
    home.registry.people.remove("anne")
    assert launcher.client.get("/").status_code == 303


def test_a_new_token_closes_the_visit_of_the_old_one(home: CoordinatorHome, launcher: Visitor):
    home.registry.people.add("anne", "launch")
    assert launcher.client.get("/").status_code == 303


def test_a_role_that_is_taken_back_counts_at_once(home: CoordinatorHome):
    token = home.registry.people.add("anne", "launch")
    visitor = Visitor(home).enter(token)
    with home.registry.store.writing() as connection:
        connection.execute("UPDATE person SET role = 'watch'")
    assert visitor.see("/launch", 403)


def test_a_program_reads_with_its_token_and_decides_nothing(home: CoordinatorHome):
    study, folder = watched.launched(home)
    watched.finished(folder, study)
    token = home.registry.people.add("grafana", "watch")
    launch = home.registry.people.add("anne", "launch")
    client = TestClient(make_app(home), ROOT)
    bearer = {"Authorization": f"Bearer {token}"}
    assert "laennec_study_round" in client.get("/metrics", headers=bearer).text
    standing = client.get(f"/studies/{study.digest}/standing.json", headers=bearer).json()
    assert (standing["state"], standing["round"]) == ("done", 12)
    for wrong in (f"Bearer {token}x", f"Basic {token}", "Bearer ", token):
        assert client.get("/metrics", headers={"Authorization": wrong}).status_code == 401
    stop = f"/studies/{study.digest}/stop"
    bearer = {"Authorization": f"Bearer {launch}", "Origin": ROOT}
    assert client.post(stop, data={"token": ""}, headers=bearer).status_code == 403
    assert "set-cookie" not in client.get("/metrics", headers=bearer).headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9443"},
        {"Origin": ROOT, "Sec-Fetch-Site": "cross-site"},
        {"Origin": ROOT, "Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_site_decides_nothing(home: CoordinatorHome, launcher: Visitor, headers: dict[str, str]):
    study, _ = watched.launched(home)
    fields = {"token": launcher.token()}
    answer = launcher.client.post(f"/studies/{study.digest}/stop", data=fields, headers=headers)
    assert answer.status_code == 403
    login = launcher.client.post("/login", data={"token": "x"}, headers=headers)
    assert login.status_code == 403
    assert home.registry.studies.get(study.digest).wanted == "run"


@pytest.mark.parametrize("token", ["", "guess"])
def test_a_form_without_the_visit_s_token_decides_nothing(
    home: CoordinatorHome, launcher: Visitor, token: str
):
    study, _ = watched.launched(home)
    answer = launcher.client.post(
        f"/studies/{study.digest}/stop", data={"token": token}, headers={"Origin": ROOT}
    )
    assert answer.status_code == 403
    assert home.registry.studies.get(study.digest).wanted == "run"


def test_a_form_that_is_none_of_ours_is_refused(launcher: Visitor):
    for content, kind in (
        (b"token=x&token=y", "application/x-www-form-urlencoded"),
        (b"x" * (BIGGEST_FORM + 1), "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
    ):
        headers = {"Origin": ROOT, "Content-Type": kind}
        assert launcher.client.post("/leave", content=content, headers=headers).status_code == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_requests_are_unknown(launcher: Visitor, method: str):
    assert launcher.client.request(method, "/").status_code == 405


def test_who_leaves_is_outside(launcher: Visitor):
    assert "Your token" in launcher.send("/leave")
    assert launcher.client.get("/").status_code == 303


@pytest.mark.parametrize(("path", "seconds", "over"), [("/", IDLE, True), ("/", IDLE - 60, False)])
def test_a_visit_ends_by_itself(home: CoordinatorHome, path: str, seconds: float, over: bool):
    clock = [0.0]
    app = make_app(home)
    app.state.dashboard.visits._now = lambda: clock[0]
    client = TestClient(app, ROOT, follow_redirects=False, headers=HTML)
    token = home.registry.people.add("anne", "watch")
    client.post("/login", data={"token": token}, headers={"Origin": ROOT})
    clock[0] += seconds
    assert (client.get(path).status_code == 303) == over
    clock[0] += IDLE / 2
    assert client.get("/live/overview").status_code == (401 if over else 200)
    clock[0] += IDLE / 2 + 1  # the page that keeps itself up to date is nobody who looks
    assert client.get("/").status_code == 303
    assert LONGEST > IDLE
    assert MOST > 1


def test_what_goes_wrong_unexpectedly_says_nothing(
    home: CoordinatorHome,
    launcher: Visitor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    def breaks(*_: object) -> None:
        raise RuntimeError("patient 17")

    monkeypatch.setattr("server.dashboard.gathering.studies", breaks)
    text = launcher.see("/", 500)
    assert "patient 17" not in text + caplog.text
    assert "RuntimeError" in caplog.text
    assert home.name not in text


def test_paths_that_lead_elsewhere_lead_nowhere(home: CoordinatorHome, launcher: Visitor):
    study, folder = watched.launched(home)
    watched.finished(folder, study)
    for path in (
        "/static/..%2fguard.py",
        f"/studies/{study.digest}/files/..%2f..%2f..%2fregistry.sqlite",
        f"/studies/{study.digest}/files/events.jsonl",
        f"/studies/{study.digest}/files/result.json",  # not there yet
        f"/studies/{'0' * 63}x",
        f"/studies/{DIGEST}",
        f"/studies/{DIGEST}/report",
        f"/studies/{study.digest}/figures/0.svg",
    ):
        assert launcher.client.get(path).status_code == 404, path
