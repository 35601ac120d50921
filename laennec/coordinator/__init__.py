"""`laennec coordinator`: who takes part, what is run. Options in, one call, output.

Each command is a module; importing it registers it.
"""

from laennec.coordinator import backup, hospitals, init, invite, launch, people, report, start, status
from laennec.coordinator.app import coordinator

__all__ = [
    "backup",
    "coordinator",
    "hospitals",
    "init",
    "invite",
    "launch",
    "people",
    "report",
    "start",
    "status",
]
