"""A patient looked at as a whole: her stacks, and why she must be set aside."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from client.archive.geometry import Frame, Stack, is_parallel, merged, same_grid, stacks_of
from client.archive.index import Index


@dataclass(frozen=True, eq=False)
class Series:
    """One volume of a patient, from DICOM.

    Attributes:
        name: short, of this archive alone.
        title: modality and the scanner's number, for a person.
        modality: "MR", "CT", …
        study: its pseudonymous identifier.
        stack: where its frames lie.
        thickness: mm of a slice; 0 where unknown.
        faults: why it is no whole volume; none where it is one.

    """

    name: str
    title: str
    modality: str
    study: str
    stack: Stack
    thickness: float
    faults: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Columns, rows, slices, phases."""
        rows, columns = self.stack.first.shape
        return columns, rows, len(self.stack.frames), self.stack.phases

    @property
    def affine(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """(4, 4): indices to mm, right-anterior-superior."""
        return self.stack.affine(self.thickness or 1.0)


def series_of(index: Index, patient: str) -> list[Series]:
    """Every stack of the patient, in order of their names."""
    with index.look() as connection:
        rows = connection.execute(
            "SELECT series, name, detail FROM files WHERE patient = ? AND kind = 'dicom' "
            "ORDER BY series, name",
            (patient,),
        ).fetchall()
    details: dict[str, list[tuple[str, dict[str, object]]]] = {}
    for uid, name, detail in rows:
        details.setdefault(uid, []).append((name, json.loads(detail)))
    found: list[Series] = []
    single: list[tuple[str, dict[str, object], Stack]] = []  # slices that are a series each
    for uid, files in details.items():
        header = files[0][1]
        stacks = stacks_of([frame for name, each in files for frame in _frames(name, each)])
        if len(stacks) == 1 and len(stacks[0].frames) == 1 and not header["scout"]:
            single.append((uid, header, stacks[0]))
            continue
        whole = [] if header["scout"] else _uncounted(files) + _mixed(stacks)
        for number, stack in enumerate(stacks):
            name = index.short("S-", uid, str(number))
            faults = [] if header["scout"] else [*stack.faults(), *(whole if number == 0 else ())]
            found.append(_series(name, header, stack, faults))
    for group in _side_by_side(single):
        uid, header, _ = group[0]
        stack = merged([each for _, _, each in group])
        faults = [*stack.faults(), *(each for uid, _, _ in group for each in _uncounted(details[uid]))]
        found.append(_series(index.short("S-", uid, "0"), header, stack, faults))
    return sorted(found, key=lambda each: each.name)


def examine(index: Index, patient: str) -> None:
    """Write down why she must be set aside, as far as all her files together show; then she can be seen."""
    reasons = {f"{each.title}: {fault}" for each in series_of(index, patient) for fault in each.faults}
    with index.change() as connection:
        before = {
            row[0]
            for row in connection.execute(
                "SELECT reason FROM reasons WHERE patient = ? AND source = ''", (patient,)
            )
        }
        for reason in before - reasons:
            connection.execute(
                "DELETE FROM reasons WHERE patient = ? AND source = '' AND reason = ?", (patient, reason)
            )
        for reason in sorted(reasons - before):
            connection.execute(
                "INSERT INTO reasons (patient, source, reason, since) VALUES (?, '', ?, ?)",
                (patient, reason, time.time()),
            )
        connection.execute("UPDATE patients SET ready = 1 WHERE patient = ?", (patient,))


def kind_of(reason: str) -> str:
    """What kind of reason that is, without the series and the numbers, which may be one patient's alone."""
    fault = re.sub(r"^[^:]*\bseries [^:]*: ", "", reason)
    return re.split(r": |, from ", fault)[0]


def waiting(index: Index) -> list[str]:
    """Patients who changed since they were last examined."""
    with index.look() as connection:
        return [row[0] for row in connection.execute("SELECT patient FROM patients WHERE NOT ready")]


def _series(name: str, header: dict[str, object], stack: Stack, faults: Sequence[str]) -> Series:
    thickness = float(str(header["thickness"]))
    unique = tuple(dict.fromkeys(faults))
    title = f"{header['modality']} series {header['number'] or 'without a number'}"
    return Series(name, title, str(header["modality"]), str(header["study"]), stack, thickness, unique)


def _frames(name: str, detail: dict[str, object]) -> Iterator[Frame]:
    values = detail["frames"]
    if isinstance(values, list):
        yield from (Frame.from_list(name, each) for each in values)


def _uncounted(files: Sequence[tuple[str, dict[str, object]]]) -> list[str]:
    """Where there are fewer phases or images than the scanner counted, acquisition by acquisition."""
    frames: dict[object, int] = {}
    most: dict[object, int] = {}
    for _, each in files:
        counted, own = each["counted"], each["frames"]
        if isinstance(counted, dict) and isinstance(own, list):
            frames[each["acquisition"]] = frames.get(each["acquisition"], 0) + len(own)
            images = int(counted.get("images", 0))
            most[each["acquisition"]] = max(most.get(each["acquisition"], 0), images)
    short = [(frames[each], most[each]) for each in frames if frames[each] < most[each]]
    return [
        f"images are missing: {here} are here of the {all_} that the scanner counted" for here, all_ in short
    ]


def _mixed(stacks: Sequence[Stack]) -> list[str]:
    for number, one in enumerate(stacks):
        for other in stacks[:number]:
            if is_parallel(one.first, other.first) and not same_grid(one.first, other.first):
                return ["geometry is mixed: parallel images differ in size or pixel spacing"]
    return []


def _side_by_side(
    single: Sequence[tuple[str, dict[str, object], Stack]],
) -> list[list[tuple[str, dict[str, object], Stack]]]:
    """Single slices that make one stack: of one study, parallel, alike in everything but place."""
    groups: list[list[tuple[str, dict[str, object], Stack]]] = []
    for each in single:
        for group in groups:
            if _belongs(each, group):
                group.append(each)
                break
        else:
            groups.append([each])
    return groups


def _belongs(
    each: tuple[str, dict[str, object], Stack], group: Sequence[tuple[str, dict[str, object], Stack]]
) -> bool:
    (_, header, stack), (_, first, other) = each, group[0]
    alike = all(header[key] == first[key] for key in ("study", "modality", "thickness"))
    if not (alike and stack.phases == other.phases):
        return False
    if not (is_parallel(stack.first, other.first) and same_grid(stack.first, other.first)):
        return False
    # Taken again at the same place: another series, not another slice.
    return len(merged([stack, *(member for _, _, member in group)]).frames) == len(group) + 1
