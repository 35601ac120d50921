"""One DICOM dataset without what identifies: a new dataset, made of what may stay.

Elements that pydicom has not yet converted are judged and carried over as bytes, which is what makes it fast;
text that stays is plain ASCII, so that no character set has to be trusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom._uid_dict import UID_dictionary
from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from client.deidentify.dates import shift_date, shift_moment, time_of_day
from client.deidentify.profile import Plan, plan_of
from client.deidentify.pseudonyms import Pseudonyms
from client.deidentify.words import Identifiers, described
from ground.errors import DataError

Element = DataElement | RawDataElement
DEEPEST = 24  # sequences within sequences; real files have about five
_NUMBER = rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_FORMS = {
    "CS": re.compile(rb"[A-Za-z0-9 _./+*\\-]*"),
    "AS": re.compile(rb"(?:\d{3}[DWMY])?"),
    "DS": re.compile(rb" *(?:" + _NUMBER + rb" *)?(?:\\ *(?:" + _NUMBER + rb" *)?)*"),
    "IS": re.compile(rb" *(?:[+-]?\d+ *)?(?:\\ *(?:[+-]?\d+ *)?)*"),
}
_LONGEST_CODE = 16  # characters of a coded string (PS3.5, 6.2); longer ones are somebody's sentence
_PRINTABLE = re.compile(rb"[ -~]*")
_SIZES = {"US": 2, "SS": 2, "AT": 4, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "UV": 8, "SV": 8}
_DUMMIES = {"DA": "19000101", "DT": "19000101000000", "TM": "000000", "DS": "0", "IS": "0", "AS": "000Y"}
_TEXT = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_LEARNED = (_TEXT - {"CS"}) | {"DA", "IS"}  # a coded string (YES, UNKNOWN) is nobody's
_SHIFTED = {"DA": shift_date, "DT": shift_moment}


@dataclass(frozen=True)
class Cleaner:
    """Who the patient is called from now on, and by how many days dates move."""

    pseudonyms: Pseudonyms
    patient: str
    days: int

    def clean(self, dataset: Dataset, known: Identifiers, depth: int = 0) -> dict[BaseTag, Element]:
        """What of a dataset stays, by tag; raises DataError where it nests too deeply or cannot be read."""
        if depth > DEEPEST:
            raise DataError("a DICOM file nests sequences too deeply: set it aside")
        identifiers = Identifiers(set(known.words), set(known.values))
        plans: list[tuple[Element, Plan]] = []
        for tag, element in dataset.items():
            plan = plan_of(int(tag))
            if plan.action in ("remove", "empty", "dummy", "identity"):
                _learn(identifiers, element)
            if plan.action != "remove":
                plans.append((element, plan))
        kept: dict[BaseTag, Element] = {}
        for element, plan in plans:
            after = self._element(dataset, element, plan, identifiers, depth)
            if after is not None:
                kept[element.tag] = after
        return kept

    def _element(
        self, dataset: Dataset, element: Element, plan: Plan, identifiers: Identifiers, depth: int
    ) -> Element | None:
        if plan.action == "identity":  # within a sequence it may be somebody else's: a mother's, a donor's
            return text(element.tag, plan.vr[0], self.patient if depth == 0 else "")
        if plan.action == "empty":
            return text(element.tag, plan.vr[0], "")
        if plan.action == "dummy":
            return _dummy(element.tag, plan.vr[0])
        vr = _vr(element)
        if vr and vr not in plan.vr:
            return None
        if plan.action == "recurse":
            return self._sequence(dataset, element.tag, identifiers, depth)
        if plan.action == "bytes":
            return element if depth == 0 else None  # pictures within sequences are icons
        if plan.action == "check":
            return _stated(dataset, element, vr) if _harmless(element, vr, plan, identifiers) else None
        content = _content(element)
        if plan.action == "uid":
            return text(element.tag, vr, "\\".join(self._uid(each) for each in _values(content)), "\0")
        left = self._shifted(vr, content) if plan.action == "shift" else _described(content, identifiers)
        return None if not left and plan.fallback == "remove" else text(element.tag, vr, left)

    def _sequence(self, dataset: Dataset, tag: BaseTag, known: Identifiers, depth: int) -> DataElement:
        try:
            before = list(dataset[tag].value or ())
        except Exception:  # whatever pydicom says of a broken sequence, it may quote it
            raise DataError(f"a DICOM file holds a broken sequence {tag}: set it aside") from None
        items = []
        for item in before:
            cleaned = Dataset(self.clean(item, known, depth + 1))
            implicit, little = item.original_encoding
            cleaned.set_original_encoding(implicit, little, default_encoding)
            items.append(cleaned)
        return DataElement(tag, "SQ", Sequence(items))

    def _uid(self, uid: str) -> str:
        """What the standard itself defines stays; every other identifier is somebody's."""
        return uid if not uid or uid in UID_dictionary else self.pseudonyms.uid(uid)

    def _shifted(self, vr: str, content: bytes) -> str:
        if vr == "TM":
            moved = [time_of_day(each) for each in _values(content)]
        else:
            moved = [_SHIFTED[vr](each, self.days) for each in _values(content)]
        return "\\".join(moved) if any(moved) else ""


def text(tag: int, vr: str, value: str, padding: str = " ") -> RawDataElement:
    """A value in ASCII as pydicom reads it from a file."""
    data = value.encode("ascii")
    data += padding.encode("ascii") * (len(data) & 1)
    return RawDataElement(BaseTag(tag), vr, len(data), data, 0, False, True)


def text_of(dataset: Dataset, tag: int) -> str:
    """The value of a text attribute, "" where it has none; bytes beyond ASCII read as Latin-1."""
    element = dataset.get_item(BaseTag(tag), keep_deferred=True) if BaseTag(tag) in dataset else None
    return "" if element is None else _content(element).decode("latin-1").strip(" \0")


def _vr(element: Element) -> str:
    """The value representation that the file gives, else the dictionary's; "" where that is a choice."""
    given = element.VR
    vr = dictionary_VR(element.tag) if given is None or given == "UN" else str(given)
    return "" if " or " in vr else vr


def _stated(dataset: Dataset, element: Element, vr: str) -> Element:
    """The element with its value representation, where the file leaves it out and says that it does not."""
    if isinstance(element, RawDataElement) and element.VR is None and dataset.original_encoding[0] is False:
        return element._replace(VR=vr or "US")
    return element


def _content(element: Element) -> bytes:
    """The bytes of a value; of one that pydicom has converted, its text."""
    value = element.value
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    values = value if isinstance(value, (list, tuple)) or hasattr(value, "insert") else [value]
    return "\\".join(str(each) for each in values).encode("utf-8", "surrogateescape")


def _values(content: bytes) -> Iterator[str]:
    for value in content.decode("latin-1").split("\\"):
        yield value.strip(" \0")


def _learn(identifiers: Identifiers, element: Element) -> None:
    """A value that goes, noted, so that it does not stay elsewhere; a private attribute's may be anything."""
    if element.tag >> 16 & 1 or not dictionary_has_tag(element.tag):
        return
    vr = _vr(element)
    if vr in _LEARNED:
        identifiers.learn(vr, _content(element).decode("latin-1"))


def _dummy(tag: BaseTag, vr: str) -> Element | None:
    """A value that says nothing, of the right kind; numbers and bytes have none."""
    if vr in _TEXT:
        return text(tag, vr, "REMOVED")
    return text(tag, vr, _DUMMIES[vr]) if vr in _DUMMIES else None


def _described(content: bytes, identifiers: Identifiers) -> str:
    cleaned = [described(value, identifiers) for value in _values(content)]
    return "\\".join(cleaned) if any(cleaned) else ""


def _harmless(element: Element, vr: str, plan: Plan, identifiers: Identifiers) -> bool:
    """Whether a value has its kind's form, and holds nothing that identifies in the same file."""
    if vr in _SIZES or vr == "":  # numbers; those that pydicom has converted are some
        return not isinstance(element.value, bytes) or len(element.value) % _SIZES.get(vr, 2) == 0
    content = _content(element)
    form = _FORMS.get(vr, _PRINTABLE)
    if form.fullmatch(content.rstrip(b"\0")) is None:
        return False
    if plan.needed:
        return True
    words = content.decode("ascii", "replace")
    if vr == "CS" and any(len(each.strip(" \0")) > _LONGEST_CODE for each in words.split("\\")):
        return False
    return not (identifiers.equal(words) if vr in ("DS", "IS") else identifiers.inside(words))
