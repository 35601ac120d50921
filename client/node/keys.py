"""The key by which the coordinator knows this node: P-384, as `flower-supernode` reads it."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from ground.errors import StateError
from ground.files import write_atomically


def node_key(file: Path) -> bytes:
    """The public half, as PEM; the private one is in `file`, in OpenSSH's format, made at first use.

    Beside it, in FILE.pub, stands what an administrator of the coordinator registers. Raises StateError where
    the file holds something else.
    """
    if not file.is_file():
        made = ec.generate_private_key(ec.SECP384R1())
        write_atomically(file, made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        public = made.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        write_atomically(file.with_name(f"{file.name}.pub"), public + b"\n", 0o644)
    try:
        key = load_ssh_private_key(file.read_bytes(), None)
    except ValueError as error:
        raise StateError(f"{file}: is not a node's key: restore it, or delete it and join anew") from error
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
