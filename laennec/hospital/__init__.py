"""`laennec hospital`: what a hospital decides and sees for itself. Options in, one call, output.

Each command is a module; importing it registers it.
"""

from laennec.hospital import approve, budget, doctor, importing, init, journal, page, start, status
from laennec.hospital.app import hospital

__all__ = [
    "approve",
    "budget",
    "doctor",
    "hospital",
    "importing",
    "init",
    "journal",
    "page",
    "start",
    "status",
]
