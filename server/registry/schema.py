"""The tables of the registry, as the steps that led to them: each is taken once, in order, and never changed.

The number of steps that a file has taken stands in its `user_version`. Times are seconds since 1970.
"""

from __future__ import annotations

FEDERATION = """
CREATE TABLE invitation (
    number INTEGER PRIMARY KEY,
    hospital TEXT NOT NULL,
    hash BLOB NOT NULL,                 -- SHA-256 of the token
    made REAL NOT NULL,
    until REAL NOT NULL,
    used REAL,                          -- when
    serial TEXT,                        -- of the certificate that it led to
    withdrawn REAL
) STRICT;
CREATE TABLE certificate (
    serial TEXT PRIMARY KEY,            -- hexadecimal
    hospital TEXT NOT NULL,
    identity TEXT NOT NULL,             -- hexadecimal
    key TEXT NOT NULL,                  -- of the node, PEM
    pem TEXT NOT NULL,
    since REAL NOT NULL,
    until REAL NOT NULL,
    revoked REAL,
    why TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX certificate_hospital ON certificate (hospital);
CREATE TABLE person (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('launch', 'watch')),
    hash BLOB NOT NULL UNIQUE,          -- SHA-256 of the token
    since REAL NOT NULL
) STRICT;
"""
STUDIES = """
CREATE TABLE study (
    digest TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    text TEXT NOT NULL,                 -- TOML, canonical
    launched REAL NOT NULL,
    by TEXT NOT NULL,
    hospitals TEXT NOT NULL,            -- names, as a JSON list
    approval_seconds REAL NOT NULL,
    wanted TEXT NOT NULL CHECK (wanted IN ('run', 'stop')),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'stopped', 'failed', 'finished')),
    why TEXT NOT NULL DEFAULT '',
    changed REAL NOT NULL
) STRICT;
"""
STEPS: tuple[str, ...] = (FEDERATION, STUDIES)
