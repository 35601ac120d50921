"""The hospital's archive: what was imported, de-identified, by patient, and nothing else."""

from client.archive.importing import ImportReport, import_folder, trace
from client.archive.store import Archive, Quarantined, Reason, Status
from client.archive.views import View, sources, view_of
from client.archive.volume import Volume

__all__ = [
    "Archive",
    "ImportReport",
    "Quarantined",
    "Reason",
    "Status",
    "View",
    "Volume",
    "import_folder",
    "sources",
    "trace",
    "view_of",
]
