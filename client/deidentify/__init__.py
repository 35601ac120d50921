"""De-identification by DICOM PS3.15, Basic Application Level Confidentiality Profile, before storage."""

import logging

from client.deidentify.deidentify import Cleaned, deidentify
from client.deidentify.pseudonyms import Pseudonyms

__all__ = ["Cleaned", "Pseudonyms", "deidentify"]

# pydicom's log lines quote values of patients: where files are de-identified, nobody is to read them.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
