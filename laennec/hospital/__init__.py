"""`laennec hospital`: what a hospital decides and sees for itself. Options in, one call, output.

Each command is a module; importing it registers it.
"""

from laennec.hospital import (
    approve,
    backup,
    budget,
    doctor,
    importing,
    init,
    join,
    journal,
    page,
    peers,
    start,
    status,
)
from laennec.hospital.app import hospital

__all__ = [
    "approve",
    "backup",
    "budget",
    "doctor",
    "hospital",
    "importing",
    "init",
    "join",
    "journal",
    "page",
    "peers",
    "start",
    "status",
]
