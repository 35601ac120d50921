from __future__ import annotations

import stat
from pathlib import Path

import pytest
from flwr.supercore.primitives.asymmetric import bytes_to_public_key, uses_nist_ec_curve

from client.node.keys import node_key
from ground.errors import StateError


def test_a_nodes_key_is_made_once_and_is_as_flower_wants_it(tmp_path: Path) -> None:
    file = tmp_path / "node" / "key"
    public = node_key(file)
    assert node_key(file) == public
    assert uses_nist_ec_curve(bytes_to_public_key(public))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (tmp_path / "node" / "key.pub").read_text().startswith("ecdsa-sha2-nistp384 ")


def test_a_damaged_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"nothing")
    with pytest.raises(StateError, match=r"key: is not a node's key"):
        node_key(tmp_path / "key")
