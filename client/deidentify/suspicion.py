"""Reasons to believe that somebody's name is in the picture itself."""

from __future__ import annotations

from pydicom.dataset import Dataset

from client.deidentify.cleaning import text_of

# Pictures of screens, paper and outsides, and those that machines write a name into (PS3.3, C.7.3.1.1.1).
_MODALITIES = {"SC", "OT", "US", "IVUS", "XC", "ES", "GM", "DOC", "HC", "OP", "PX", "IO", "DMS", "AU", "VIDD"}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7."  # with its multi-frame kinds
_TYPES = ("SECONDARY", "SCREEN SAVE", "SCREENSHOT", "SCREEN", "DOSE INFO", "REPORT")


def by_tag(dataset: Dataset) -> tuple[str, ...]:
    """What the attributes say; each reason is one line without a value of the patient's."""
    found = []
    if text_of(dataset, 0x00280301).upper() == "YES":
        found.append("says that text is burned into the picture (0028,0301)")
    if text_of(dataset, 0x00280302).upper() == "YES":
        found.append("says that somebody can be recognised in the picture (0028,0302)")
    kinds = [kind.strip().replace("_", " ") for kind in text_of(dataset, 0x00080008).upper().split("\\")]
    if any(kind in _TYPES for kind in kinds):
        found.append("is a secondary picture or a screen (0008,0008)")
    if text_of(dataset, 0x00080060).upper() in _MODALITIES:
        found.append("comes from a kind of machine that writes into its pictures (0008,0060)")
    kind = text_of(dataset, 0x00080016) + "."
    if kind.startswith(_SECONDARY_CAPTURE) or text_of(dataset, 0x00080064):
        found.append("was captured from somewhere else (0008,0016; 0008,0064)")
    return tuple(found)
