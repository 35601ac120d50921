"""Whom the coordinator knows: hospitals, invitations, certificates, people, studies. In one SQLite file.

A change is made whole or not at all, and is on the disk when a method returns. Secrets are not in it: of
tokens only their hash. Modules: `store` (the file), `schema` (its tables), one module for each thing.
"""

from server.registry.store import Registry, Store

__all__ = ["Registry", "Store"]
