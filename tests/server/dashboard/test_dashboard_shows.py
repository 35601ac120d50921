"""What a person sees on the dashboard, what is done there, and that nobody else's text becomes markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import watched
from gallery import ROOT, Visitor
from markupsafe import escape

from ground.errors import FederationError
from server.dashboard import drawing
from server.dashboard.drawing import Stretch, chart, stretches
from server.dashboard.figures import figures
from server.events import Waiting, tell
from server.home import CoordinatorHome
from server.recording import recording, standing
from server.report.charts import Series, curves

SCRIPT = "<script>alert(1)</script>"


def test_a_study_under_way_is_told_in_words_and_numbers(home: CoordinatorHome, watcher: Visitor):
    study, folder = watched.launched(home)
    with watched.under_way(folder, study):
        tell(Waiting(("lille",), 40.0, 600.0, "reply", (12.0,)))
        for path in ("/", f"/studies/{study.digest}", "/live/overview", f"/live/studies/{study.digest}"):
            seen = watcher.see(path)
            assert re.search(r'<progress class="busy" value="5" max="12"', seen), path
            assert "waiting for lille, 40 s of 600 s" in seen
        page = watcher.see(f"/studies/{study.digest}")
        now = standing(folder)
    for name in watched.HOSPITALS:
        assert name in page
    assert f"{now.spent():.3f}"[:4] in page
    assert "Left out 1 time, with the reasons" in page
    assert "round 3, <bdi>lille</bdi>: no reply within 600 s" in page
    assert "round 2 of 12 in 1.50 s: 4 hospitals contributed" in page
    assert escape(study.to_toml()) in page
    assert page.count('<rect class="in"') == 5  # lille's rounds lie on both sides of the third
    assert page.count('<rect class="out"') == 1


def test_the_worst_hospital_and_every_metric_are_shown(home: CoordinatorHome, watcher: Visitor):
    study, folder = watched.launched(home)
    watched.finished(folder, study)
    page = watcher.see(f"/studies/{study.digest}")
    worst = f"{0.75 - 0.3 / 13:.3f}"
    assert re.search(rf"worst hospital</dt><dd>{worst}<small> <bdi>lille</bdi>", page)
    assert 'aria-label="accuracy over 12 rounds; now mean' in page
    assert 'aria-label="auc over 12 rounds; now mean' in watcher.see(f"/studies/{study.digest}?metric=auc")
    assert 'aria-label="accuracy over' in watcher.see(f"/studies/{study.digest}?metric=%3Cnone%3E")


@pytest.mark.parametrize(
    ("moves", "words"),
    [
        ((), "waiting for the coordinator"),
        (("running", "failed"), "failed"),
        (("running", "stopped"), "stopped"),
    ],
)
def test_a_state_is_told(home: CoordinatorHome, watcher: Visitor, moves: tuple[str, ...], words: str):
    study, _ = watched.launched(home)
    for state in moves:
        home.registry.studies.move(study.digest, state, "lille did not come" if state == "failed" else "")
    page = watcher.see(f"/studies/{study.digest}")
    assert f">{words}</span>" in page
    assert ("lille did not come" in page) == ("failed" in moves)
    assert all(name in page for name in watched.HOSPITALS)


def test_a_study_whose_process_was_ended_is_said_to_be_interrupted(home: CoordinatorHome, watcher: Visitor):
    study, folder = watched.launched(home)
    home.registry.studies.move(study.digest, "running")
    with watched.under_way(folder, study):
        pass
    text = (folder / "events.jsonl").read_text().splitlines()
    (folder / "events.jsonl").write_text("\n".join(text[:-1]) + "\n")  # without its end
    assert ">interrupted</span>" in watcher.see("/")
    assert "the coordinator takes it up again by itself" in watcher.see(f"/studies/{study.digest}")


def test_who_waits_for_a_person_s_approval_is_said(home: CoordinatorHome, watcher: Visitor):
    study, folder = watched.launched(home)
    with recording(folder, study):
        tell(Waiting(("brest",), 10800.0, 1209600.0, "approval"))
        seen = watcher.see("/")
    assert "waiting for approval" in seen
    assert "waiting for brest (approval), 3 h of 14 d" in seen


def test_why_a_study_failed_is_said(home: CoordinatorHome, watcher: Visitor):
    study, folder = watched.launched(home)
    why = "round 3: lille did not contribute, and the study needs 4 of 4 hospitals"
    with pytest.raises(FederationError), recording(folder, study):
        raise FederationError(why)
    home.registry.studies.move(study.digest, "failed", why)
    assert why in watcher.see(f"/studies/{study.digest}")


def test_hospitals_stand_with_their_membership_and_what_they_take_part_in(
    home: CoordinatorHome, watcher: Visitor
):
    study, folder = watched.launched(home)
    watched.finished(folder, study)
    home.registry.hospitals.revoke("caen", "left the network")
    seen = watcher.see("/hospitals")
    assert seen.count(">member</span>") == 3
    assert ">revoked</span>" in seen
    assert "left the network" in seen
    assert seen.count("12 of 12") == 4
    assert seen.count(" ago</span>") == 8


def test_the_log_is_that_of_all_and_can_be_of_warnings(home: CoordinatorHome, watcher: Visitor):
    study, folder = watched.launched(home)
    with watched.under_way(folder, study):
        pass
    assert "round 5 of 12" in watcher.see("/log")
    warnings = watcher.see("/log?bad=true")
    assert "without lille" in warnings
    assert "round 5 of 12" not in warnings
    assert f'href="/studies/{study.digest}"' in warnings


def test_the_report_and_its_drawings_are_shown_and_a_patient_s_picture_is_not(
    home: CoordinatorHome, watcher: Visitor
):
    study, folder = watched.launched(home)
    watched.finished(folder, study)
    drawn = curves([Series("lille <b>", {0: 0.5, 1: 0.7})], "accuracy")
    (folder / "report.html").write_text(
        f'<html><style>b{{}}</style>{drawn}<img src="data:image/png;base64,AAAA" alt="patient"></html>'
    )
    (folder / "model.safetensors").write_bytes(b"model")
    (folder / "result.json").write_text("{}")
    page = watcher.see(f"/studies/{study.digest}")
    assert page.count('class="paper"') == 1
    assert escape("lille <b>") in page
    assert "data:image" not in page
    answer = watcher.client.get(f"/studies/{study.digest}/figures/0.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.text == figures(folder)[0].svg == drawn.strip()
    assert "sandbox" in answer.headers["content-security-policy"]
    report = watcher.client.get(f"/studies/{study.digest}/report")
    assert "sandbox" in report.headers["content-security-policy"]
    assert "script-src" not in report.headers["content-security-policy"]
    assert report.headers["content-security-policy"].startswith("default-src 'none'")
    assert watcher.client.get(f"/studies/{study.digest}/files/result.json").text == "{}"
    assert watcher.client.get(f"/studies/{study.digest}/files/model.safetensors").status_code == 403
    assert "model.safetensors" not in page


def test_who_may_launch_may_take_the_model_away(home: CoordinatorHome, launcher: Visitor):
    study, folder = watched.launched(home)
    watched.finished(folder, study)
    (folder / "model.safetensors").write_bytes(b"model")
    answer = launcher.client.get(f"/studies/{study.digest}/files/model.safetensors")
    assert answer.content == b"model"
    assert "attachment" in answer.headers["content-disposition"]


def test_a_study_is_read_in_plain_words_before_it_is_launched(home: CoordinatorHome, launcher: Visitor):
    seen = launcher.send("/launch", study=watched.STUDY.replace("\n", "\r\n"), days="3")
    assert "ε 2 at δ 0.0001 for each patient" in seen
    assert "within 3 days" in seen
    assert home.registry.studies.all() == ()
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', seen)
    assert digest is not None
    after = launcher.send("/launch", study=watched.STUDY, days="3", digest=digest[1])
    assert "warm-hearts is launched: it asks 4 hospitals." in after
    [launched] = home.registry.studies.all()
    assert (launched.by, launched.approval_seconds) == ("anne", 3 * 86400.0)
    assert launched.hospitals == watched.HOSPITALS
    again = launcher.send("/launch", study=watched.STUDY, days="3", digest=digest[1])
    assert "was launched before" in again


def test_another_text_than_the_one_that_was_read_is_not_launched(home: CoordinatorHome, launcher: Visitor):
    seen = launcher.send("/launch", study=watched.STUDY, days="3")
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', seen)
    assert digest is not None
    launcher.send("/launch", study=watched.STUDY.replace("2.0", "20.0"), days="3", digest=digest[1])
    assert home.registry.studies.all() == ()


@pytest.mark.parametrize(
    ("text", "days", "why"),
    [
        ("", "3", "name"),
        ("name = 3", "3", "name"),
        (watched.STUDY.replace("heart-disease", "no-such-task"), "3", "no-such-task"),
        (
            watched.STUDY + "minimum-hospitals = 9\n",
            "3",
            "at least 9 hospitals, and 4 would take part",
        ),
        (watched.STUDY, "soon", "a whole number"),
        (watched.STUDY, "0", "a whole number"),
        (f"{SCRIPT}", "3", "alert"),
    ],
)
def test_a_study_that_cannot_run_is_not_launched(
    home: CoordinatorHome, launcher: Visitor, text: str, days: str, why: str
):
    seen = launcher.send("/launch", study=text, days=days, digest="0" * 64)
    assert 'role="alert"' in seen
    assert why in seen
    assert SCRIPT not in seen
    assert home.registry.studies.all() == ()


def test_a_study_is_stopped_and_resumed(home: CoordinatorHome, launcher: Visitor):
    study, _ = watched.launched(home)
    assert "is being stopped" in launcher.send(f"/studies/{study.digest}/stop")
    assert home.registry.studies.get(study.digest).wanted == "stop"
    assert "goes on from where it was" in launcher.send(f"/studies/{study.digest}/resume")
    assert home.registry.studies.get(study.digest).wanted == "run"
    home.registry.studies.move(study.digest, "running")
    home.registry.studies.move(study.digest, "finished")
    assert "is finished" in launcher.send(f"/studies/{study.digest}/stop")


def test_what_others_wrote_is_text_and_never_markup(tmp_path: Path):
    name = f"{SCRIPT}'\""
    home = watched.home_in(tmp_path, "a<b>&c")
    watched.joined(home, name)
    study, folder = watched.launched(home, by=SCRIPT)
    course = watched.Course.of(study)
    course.hospitals = (*watched.HOSPITALS, name)
    visitor = Visitor(home).enter(home.registry.people.add(SCRIPT, "launch"))
    with recording(folder, study):
        course.enrols()
        course.goes_on({name: SCRIPT})
        course.goes_on()
        tell(Waiting((name,), 40.0, 600.0))
        seen = 0
        for path in ("/", f"/studies/{study.digest}", "/hospitals", "/log", "/launch"):
            text = visitor.see(path)
            assert SCRIPT not in text
            assert "a<b>" not in text
            assert not re.search(r"<script(?! src=\"/static/page.js\" defer>)", text)
            assert not re.search(r"\sstyle=|javascript:", text)
            seen += text.count("&lt;script&gt;")
    assert seen > 10


def test_pages_hold_without_anything_to_show(watcher: Visitor):
    assert "No study is under way." in watcher.see("/")
    assert "It has taken part in no study yet." in watcher.see("/hospitals")
    assert "Nothing has been said yet." in watcher.see("/log")
    assert watcher.client.get("/none").status_code == 404


def test_a_chart_has_round_levels_and_gaps_where_nothing_is_known():
    made = chart([(0, 0.51), (1, None), (2, 0.84), (3, 0.85)], [("a", [(0, float("nan"))])], 10, "mean")
    assert made is not None
    assert made.ticks == ("0.9", "0.8", "0.7", "0.6", "0.5")
    [mean] = made.curves
    assert mean.path.count("M") == 2
    assert mean.last == 0.85
    assert chart([], [("a", [(0, None)])], 10, "mean") is None
    flat = chart([(0, 0.0), (1, 0.0)], [], 1, "mean")
    assert flat is not None
    assert "0" in flat.ticks


def test_many_hospitals_are_drawn_alike_and_their_mean_stands_out():
    lines = [(f"h{n}", [(0, 0.1 * n), (1, 0.2)]) for n in range(drawing.COLOURS + 1)]
    made = chart([(0, 0.3), (1, 0.4)], lines, 1, "mean")
    assert made is not None
    assert {each.style for each in made.curves} == {"many", "mean"}
    assert made.legend[0].label == "mean"


def test_rounds_that_went_alike_are_one_stretch():
    assert stretches(10, (1, 2, 3, 6), (4,), (5,)) == [
        Stretch(1, 3, "in"),
        Stretch(4, 1, "out"),
        Stretch(5, 1, "lost"),
        Stretch(6, 1, "in"),
    ]


def test_the_door_still_answers_hospitals(watcher: Visitor):
    answer = watcher.client.post("/federation/join", json={}, headers={"Origin": ROOT})
    assert answer.status_code == 400
    assert "<html" not in answer.text
