"""Which studies a person at this hospital approved. Nothing else runs.

An approval is of one digest: a study that differs by one character is another study. It is a small file,
signed with the hospital's identity and dated; it may expire, and it can be revoked. It counts only together
with its line in the journal, so that a file put back after it was revoked approves nothing. Modules:
`papers` (the signed file), `decisions` (approve, revoke, check), `waiting` (what coordinators sent),
`plain` (a study in plain words).
"""

from client.approval.decisions import Standing, approvals, approve, check, check_terms, revoke
from client.approval.papers import Paper
from client.approval.plain import PlainWords, overrun, plain_words
from client.approval.waiting import decline, find_study, offer, waiting

__all__ = [
    "Paper",
    "PlainWords",
    "Standing",
    "approvals",
    "approve",
    "check",
    "check_terms",
    "decline",
    "find_study",
    "offer",
    "overrun",
    "plain_words",
    "revoke",
    "waiting",
]
