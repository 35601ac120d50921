"""Whom SuperLink lets in: just the members of the registry, from one second to the next.

Modules: `reconciling` (SuperLink's list), `grid` (a study that is under way; not imported here, as Flower
takes seconds).
"""

from server.admission.reconciling import Changes, Link, reconcile

__all__ = ["Changes", "Link", "reconcile"]
