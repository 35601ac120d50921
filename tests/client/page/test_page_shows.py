"""What a person sees, what she does not see, and that nobody else's text becomes markup."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
import ward
from markupsafe import escape
from ward import Browser

from client import approval
from client.archive import Archive
from client.home import Home
from client.journal import Journal
from client.page import budgets, records
from client.page.films import films
from client.page.pictures import SIDES

SCRIPT = "<script>alert(1)</script>"


def test_a_study_is_told_in_plain_words(browser: Browser, home: Home):
    study = ward.offered(home)
    ward.spend(home, ward.parse(ward.OTHER))
    assert "Read and decide" in browser.see("/")
    seen = browser.see(f"/studies/{study.digest}")
    rows = approval.plain_words(home, study).rows()
    assert len(rows) > 6
    for heading, sentences in rows:
        assert heading in seen
        assert all(escape(sentence) in seen for sentence in sentences)
    for words in ("for this study", study.digest, "Approve this study", "Refuse this study"):
        assert words in seen


def test_a_study_without_privacy_is_named_so(browser: Browser, home: Home):
    study = ward.offered(home, ward.OTHER)
    assert "no privacy" in browser.see("/studies")
    assert "ε = ∞" in browser.see(f"/studies/{study.digest}")


def test_the_budget_is_a_bar_with_its_history(browser: Browser, home: Home):
    study = ward.offered(home)
    ward.spend(home, study)
    bar = budgets.bars(home)[0]
    assert 0 < bar.spent < 3
    assert bar.left == pytest.approx(3 - bar.spent)
    assert [spending.rounds for spending in bar.studies] == [4]
    assert [p.epsilon for p in bar.points] == sorted(p.epsilon for p in bar.points)
    seen = browser.see("/budget")
    assert f'class="spent" width="{100 * bar.spent / 3:.2f}"' in seen
    assert f'd="{bar.line()}"' in seen
    approval.approve(home, study, "anne")
    assert "warm-hearts" in browser.see("/budget")


def test_a_budget_that_was_overrun_fills_its_bar_and_no_more(browser: Browser, home: Home):
    ward.spend(home, ward.parse(ward.STUDY))
    with budgets.Ledger(home.path / budgets.BOOK) as book:
        book.set_budget(home.name, 0.01, 1e-4)
    assert 'class="spent" width="100.00"' in browser.see("/budget")


def test_a_long_history_is_drawn_in_few_steps(home: Home):
    ward.spend(home, ward.parse(ward.STUDY), rounds=40, budget=None)
    points = budgets.bars(home)[0].points
    assert len(points) == budgets.MOST_POINTS
    assert points[0].epsilon > 0
    assert points[-1].epsilon == pytest.approx(budgets.bars(home)[0].spent)


def test_the_journal_is_paged_newest_first_and_says_that_it_is_whole(browser: Browser, home: Home):
    for number in range(records.PAGE + 3):
        Journal(home.path).write("node", "round", "ab" * 32, f"round {number}")
    first, second = browser.see("/journal"), browser.see("/journal?page=2")
    assert f"{records.PAGE + 4} lines, each as it was written" in first
    assert f"round {records.PAGE + 2}<" in first
    assert "made this home" not in first
    assert "made this home" in second
    assert "made this home" in browser.see("/journal?page=999")
    assert browser.client.get("/journal?page=-1").status_code == 404


def test_a_journal_that_was_changed_is_said_to_be(browser: Browser, home: Home):
    Journal(home.path).write("person", "approve", "ab" * 32, "by anne")
    Journal(home.path).write("person", "revoke", "ab" * 32, "by anne")
    file = home.path / "journal.jsonl"
    browser.see("/journal")
    file.write_text(file.read_text().replace("by anne", "by yann", 1))
    seen = browser.see("/journal")
    assert re.search(r"line 2 \S+ .*changed", seen)
    assert "each as it was written" not in seen
    assert "Traceback" not in seen


def test_a_damaged_book_does_not_hide_the_rest(browser: Browser, home: Home):
    ward.offered(home)
    ward.spend(home, ward.parse(ward.STUDY))
    (home.path / "ledger.sqlite").write_bytes(b"nothing")
    seen = browser.see("/")
    assert 'role="alert"' in seen
    assert "warm-hearts" in seen
    answer = browser.client.get("/budget")
    assert answer.status_code == 500
    assert "ledger.sqlite" in answer.text
    assert "Traceback" not in answer.text


def test_what_runs_is_shown_with_its_round(browser: Browser, home: Home):
    study = ward.offered(home)
    approval.approve(home, study, "anne")
    assert "No study is running" in browser.see("/node")
    Journal(home.path).write("node", "round", study.digest, "round 5")
    for path in ("/", "/node", "/live/running"):
        assert re.search(r'<progress value="5" max="12"', browser.see(path))
    Journal(home.path).write("node", "end", study.digest, "round 12")
    assert "No study is running" in browser.see("/live/running")


def test_limits_and_the_doctors_lines_are_there(browser: Browser, home: Home):
    file = home.path / "hospital.toml"
    file.write_text('name = "brest"\n[limits]\nhours = "19:00-07:00"\nthreads = 1\n')
    assert "19:00-07:00" in browser.see("/node")
    seen = browser.see("/checks")
    assert "need something done" in seen
    assert "the home is its owner" in seen


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    place, found = 8, []
    while place < len(png):
        size = struct.unpack(">I", png[place : place + 4])[0]
        found.append((png[place + 4 : place + 8], png[place + 8 : place + 8 + size]))
        place += size + 12
    return found


def test_pictures_hold_pixels_and_nothing_else(browser: Browser, home: Home, tmp_path: Path):
    ward.set_aside(home, tmp_path / "films")
    paths = re.findall(r'src="(/quarantine/[^"]+\.png[^"]*)"', browser.see("/quarantine"))
    assert len(paths) == 3
    for path in paths:
        answer = browser.client.get(path)
        assert answer.headers["content-type"] == "image/png"
        parts = chunks(answer.content)
        assert {kind for kind, _ in parts} == {b"IHDR", b"IDAT", b"IEND"}
        width, height, depth, colour = struct.unpack(">IIBB", parts[0][1][:10])
        assert 1 < max(width, height) <= SIDES["large"]
        assert (depth, colour) == (8, 0)


def test_a_picture_that_may_hold_a_name_waits_for_a_click(browser: Browser, home: Home, tmp_path: Path):
    ward.set_aside(home, tmp_path / "films")
    seen = browser.see("/quarantine")
    assert ward.NAME not in seen
    articles = re.findall(r"<article.*?</article>", seen, flags=re.S)
    burned = next(each for each in articles if "burned" in each)
    gap = next(each for each in articles if "burned" not in each)
    assert "<details" not in gap
    outside = re.sub(r"<details.*?</details>", "", burned, flags=re.S)
    assert "<img" not in outside
    coarse = re.findall(r'<summary><img src="([^"]+)"', burned)
    assert coarse
    for path in coarse:
        width, height = struct.unpack(">II", chunks(browser.client.get(path).content)[0][1][:8])
        assert max(width, height) <= SIDES["coarse"]


def test_only_who_is_set_aside_is_pictured(browser: Browser, home: Home, tmp_path: Path):
    ward.slices(tmp_path / "films" / "well", "19", (1, 2, 3))
    ward.set_aside(home, tmp_path / "films")
    with Archive(home.path) as archive:
        [patient] = archive.patients()
        name = films(archive, patient)[0].name
    assert browser.client.get(f"/quarantine/{patient}/{name}.png").status_code == 404
    for path in ("/quarantine/..%2f..%2fidentity/x.png", "/static/..%2fguard.py", "/static/%2e%2e/guard.py"):
        assert browser.client.get(path).status_code == 404


def test_a_name_of_a_study_that_is_markup_is_no_study(home: Home):
    with pytest.raises(Exception, match="name"):
        approval.offer(home, ward.STUDY.replace("warm-hearts", SCRIPT))


def test_what_others_wrote_is_text_and_never_markup(tmp_path: Path):
    home = ward.home_in(tmp_path, f"{SCRIPT}'\"")
    browser = Browser(home).enter()
    study = ward.offered(home)
    strata = ward.offered(home, f"{ward.OTHER}[synthetic]\nstrata = [{SCRIPT!r}]\nfill = false\n")
    Journal(home.path).write("coordinator", "refuse", study.digest, f"train 1: {SCRIPT}")
    with budgets.Ledger(home.path / budgets.BOOK) as book:
        book.set_budget(f'"{SCRIPT}', 3.0, 1e-4)
    browser.send(f"/studies/{study.digest}/approve", by=f'"><img src=x onerror=alert(1)>{SCRIPT}', days="3")
    seen = 0
    for path in (
        "/",
        "/studies",
        "/journal",
        "/budget",
        f"/studies/{study.digest}",
        f"/studies/{strata.digest}",
    ):
        text = browser.see(path)
        assert SCRIPT not in text
        assert "<img src=x" not in text
        assert not re.search(r"<script(?! src=\"/static/page.js\" defer>)", text)
        assert not re.search(r"\son\w+=|\sstyle=|javascript:", re.sub(r"&\w+;|&#\d+;[^<]*", "", text))
        seen += text.count("&lt;script&gt;")
    assert seen > 8


def test_a_name_that_is_markup_is_escaped_even_where_the_parser_let_it_pass(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
):
    bad = ward.parse(ward.STUDY).model_copy(update={"name": SCRIPT})
    monkeypatch.setattr(approval, "waiting", lambda _: [bad])
    for path in ("/", "/studies"):
        text = browser.see(path)
        assert SCRIPT not in text
        assert "&lt;script&gt;" in text
