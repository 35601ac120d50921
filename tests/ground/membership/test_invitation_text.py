from __future__ import annotations

import base64
import hashlib
import ssl
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.errors import UsageError
from ground.membership.invitation import BEGINNING, LONGEST, Invitation, fingerprint_of, spaced
from server.authority import Authority

PEM = Authority.new("alpes").pem.decode()
MADE = Invitation(
    federation="alpes",
    hospital="grenoble",
    door="coordinator.example.org:9443",
    authority=PEM,
    number=3,
    token="t" * 43,
    until=1795468538.0,
)


def test_an_invitation_is_one_line_that_holds_everything() -> None:
    text = MADE.to_text()
    assert "\n" not in text
    assert len(text) < 1000
    assert Invitation.from_text(text) == MADE
    assert MADE.ends == "2026-11-23 21:15 UTC"


def test_a_mail_program_may_break_the_line() -> None:
    text = MADE.to_text()
    broken = "\r\n  ".join(text[i : i + 60] for i in range(0, len(text), 60))
    assert Invitation.from_text(f"\n{broken} \n") == MADE


def test_the_fingerprint_is_that_of_the_authority() -> None:
    assert MADE.fingerprint == hashlib.sha256(ssl.PEM_cert_to_DER_cert(PEM)).hexdigest()
    assert fingerprint_of(Authority.new("alpes").pem.decode()) != MADE.fingerprint
    assert spaced(MADE.fingerprint).replace(" ", "") == MADE.fingerprint


def packed(values: bytes) -> str:
    return BEGINNING + base64.urlsafe_b64encode(zlib.compress(values)).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        BEGINNING,
        MADE.to_text()[:-20],
        MADE.to_text().replace("laennec", "lænnec"),
        MADE.to_text()[:60] + "é" + MADE.to_text()[61:],
        packed(b"{}"),
        packed(b"[" * 100_000),
        packed(b" " * 50_000_000),  # 50 kB that unpack to 50 MB
        packed(MADE.model_dump_json().encode().replace(b"grenoble", b"\\u001b[31m")),
        packed(MADE.model_dump_json().encode().replace(b'"number"', b'"more":1,"number"')),
        packed(MADE.model_dump_json().encode().replace(b"BEGIN", b"BEGUN")),
        BEGINNING + "A" * LONGEST,
    ],
    ids=range(13),
)
def test_what_is_not_a_whole_invitation_is_said_to_be_none(text: str) -> None:
    with pytest.raises(UsageError, match="not a whole invitation: copy all of the line") as error:
        Invitation.from_text(text)
    assert len(str(error.value).splitlines()) == 1


@given(st.text(max_size=200))
def test_any_text_is_an_invitation_or_wrong_use(text: str) -> None:
    with pytest.raises(UsageError):
        Invitation.from_text(BEGINNING + text)


def test_the_token_is_in_no_log_of_the_value() -> None:
    assert "t" * 43 not in repr(MADE)
