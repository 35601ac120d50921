"""What secure aggregation costs, beside Flower's SecAgg+ on the same sizes, in one run of this script.

    python benchmarks/secagg.py

One mask: the key stream of one neighbour added to a vector, against Flower's `pseudo_rand_gen` and the
addition that its mod does with it, on 64-bit integers as there. Agreeing on the key is left out.

Whole protocol: all hospitals and the coordinator, one after the other; nobody drops out. Our round encodes,
masks, prepares the next round, adds, unmasks and decodes; vectors travel as bytes and all else as JSON text.
It is a study's first, which also checks every signature under the roster. Set-up (identities, roster, shares
for that round) is once a study and has its own column. Flower's round is its own workflow and mod, driven by
`secagg_flower`; it has no set-up, and exchanges keys and shares ("its keys") each time. Both quantise ±8 to
the same step, Flower's defaults, and get the same graph and threshold: everybody up to 50 hospitals, as in
Flower's SecAggWorkflow, and beyond as many neighbours as `privacy.secagg.graph` asks for. Both sums are
compared with the true one. Over 10 hospitals the protocol runs once, over 50 on fewer parameters.

Memory, in units of the update (32-bit floats), as tracemalloc sees it. At a hospital: from the update, which
counts, to the masked words; Flower's: the stage of the mod that masks. At the coordinator: every hospital's
words, made one at a time, are added, the masks taken off and the sum decoded. Keys and shares, which do grow
with the federation, are apart. Flower's coordinator holds a round's replies together: only these are shown.

Bytes: all that one hospital sends in a round. Words of 32 bits hold Flower's values; where a study's noise or
bound needs 64, `--bits 64` shows what that costs.

Seconds are the processor's, which a busy machine distorts least: one process does all the work, so that on an
idle machine they are the wall's. The two sides take turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import secagg_flower

from ground.arrays import Array
from privacy.secagg import CoordinatorSide, Encoding, Floor, HospitalSide, Identity, masks
from privacy.secagg.graph import COMPLETE, neighbourhoods
from privacy.secagg.wire import Preparation, Unmasking, Wire

STUDY = "0" * 64
KEY = bytes(range(32))
CLIP, STEPS = 8.0, 1 << 22  # Flower's defaults: values in ±8, in so many steps
STEP = 2 * CLIP / STEPS
# The targets: ours over Flower's, updates at a hospital, the coordinator over its first row, bytes.
RATIO, UPDATES, STEADY, BYTES = 0.5, 3.0, 1.1, 4.5

Message = TypeVar("Message", bound=Wire)
Result = TypeVar("Result")
Row = dict[str, str]


@dataclass(frozen=True)
class Federation:
    """Hospitals and a coordinator, ready for the first round."""

    identities: dict[str, Identity]
    sides: dict[str, HospitalSide]
    coordinator: CoordinatorSide
    around: int  # hospitals that hold shares of one's secrets, itself included


@dataclass(frozen=True)
class Outcome:
    """What a round gave: the sum, the answers as text, and the bytes of text that a hospital sent at most."""

    total: Array
    unmaskings: tuple[str, ...]
    text: int


@dataclass(frozen=True)
class Case:
    """One size of federation after its protocols have run: what memory and bytes are measured on."""

    hospitals: int
    federation: Federation
    encoding: Encoding
    ours: Outcome
    flower: secagg_flower.Outcome
    flower_hospitals: secagg_flower.Hospitals


def travel(message: Message) -> Message:
    """The message as the other side reads it."""
    return type(message).from_text(message.to_text())


def set_up(hospitals: int) -> Federation:
    """Identities, roster and endorsements, and the shares for the first round."""
    names = [f"hospital-{number:03d}" for number in range(hospitals)]
    identities = {name: Identity.generate() for name in names}
    sides = {name: HospitalSide.begin(STUDY, name) for name in names}
    announcements = [travel(sides[name].announce(identities[name])) for name in names]
    coordinator = CoordinatorSide.begin(STUDY, announcements, fewest=3)
    known = {name: identity.public for name, identity in identities.items()}
    endorsements, preparations = [], []
    for name in names:
        side, endorsement = sides[name].join(travel(coordinator.roster), identities[name], known, Floor())
        sides[name], preparation = side.prepare(1, identities[name])
        endorsements.append(travel(endorsement))
        preparations.append(travel(preparation))
    around = len(neighbourhoods(coordinator.roster.names, coordinator.roster.digest)[names[0]])
    return Federation(identities, sides, coordinator.endorsed(endorsements).prepare(preparations), around)


def secure_sum(federation: Federation, updates: Sequence[Array], encoding: Encoding) -> Outcome:
    """The first round, whole; the federation given stays as it was."""
    sides, coordinator = dict(federation.sides), federation.coordinator.open_round(1)
    opening, prepared, answers = coordinator.opening, [], []
    for name, update in zip(sides, updates, strict=True):
        words = encoding.encode(update)
        side = sides[name].mask(travel(opening.for_hospital(name)), words)
        sides[name], preparation = side.prepare(2, federation.identities[name])
        prepared.append(preparation.to_text())
        coordinator = coordinator.add(name, np.frombuffer(words.tobytes(), dtype=words.dtype))
    coordinator = coordinator.prepare(map(Preparation.from_text, prepared))
    if coordinator.roster.confirm:
        given = []
        for name, side in sides.items():
            sides[name], confirmation = side.confirm(travel(coordinator.close()), federation.identities[name])
            given.append(travel(confirmation))
        coordinator = coordinator.confirmed(given)
    request = coordinator.close()
    for name, side in sides.items():
        sides[name], unmasking = side.unmask(travel(request))
        answers.append(unmasking.to_text())
    total = encoding.decode(coordinator.finish(map(Unmasking.from_text, answers)).words)
    text = max(len(one) + len(other) for one, other in zip(prepared, answers, strict=True))
    return Outcome(total, tuple(answers), text)


def timed(function: Callable[..., Result], *arguments: object) -> tuple[float, Result]:
    """Processor seconds that the call took, and what it gave."""
    started = time.process_time()
    result = function(*arguments)
    return time.process_time() - started, result


def measure_mask(parameters: int, repeats: int, bits: int) -> tuple[float, float]:
    """Median seconds of one mask on a vector: ours, Flower's."""
    words = np.zeros(parameters, dtype=f"<u{bits // 8}")
    seconds = [
        (timed(masks.apply, words, KEY)[0], secagg_flower.mask_seconds(parameters, KEY))
        for _ in range(repeats)
    ]
    ours, theirs = (statistics.median(column) for column in zip(*seconds, strict=True))
    return ours, theirs


def measure_protocol(updates: Sequence[Array], repeats: int, bits: int) -> tuple[list[float], Case]:
    """Median seconds of our set-up, our round, Flower's keys and Flower's round; and what came of them.

    Raises AssertionError where a sum is wrong.
    """
    hospitals, truth = len(updates), np.sum(updates, axis=0, dtype=np.float64)
    encoding = replace(Encoding.for_values(CLIP, STEP, hospitals), bits=bits)
    seconds = []
    for _ in range(repeats):
        preparing, federation = timed(set_up, hospitals)
        summing, ours = timed(secure_sum, federation, updates, encoding)
        threshold = federation.coordinator.roster.threshold
        flower, grid = secagg_flower.secure_mean(updates, federation.around, threshold, CLIP, STEPS)
        seconds.append((preparing, summing, flower.keys, flower.seconds))
        np.testing.assert_allclose(ours.total, truth, rtol=0, atol=hospitals * STEP)
        np.testing.assert_allclose(flower.mean, truth / hospitals, rtol=0, atol=1.5 * STEP)
    medians = [statistics.median(column) for column in zip(*seconds, strict=True)]
    return medians, Case(hospitals, federation, encoding, ours, flower, grid)


def update_of(number: int, parameters: int) -> Array:
    """One hospital's update, shape (parameter,)."""
    return np.random.default_rng(number).normal(0, 0.5, parameters).astype(np.float32)


def hospital_peak(case: Case, update: Array) -> int:
    """Bytes that a hospital holds at most above its update, until the words are masked."""
    opening = case.federation.coordinator.open_round(1).opening
    name, side = next(iter(case.federation.sides.items()))
    text = opening.for_hospital(name).to_text()
    tracemalloc.start()
    side.mask(type(opening).from_text(text), case.encoding.encode(update))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def coordinator_peak(case: Case, parameters: int) -> tuple[int, int]:
    """Bytes that the coordinator holds at most for a sum; and for keys and shares besides.

    The words are random: what is measured is what becomes of their memory.
    """
    before, random, dtype = case.federation.coordinator, np.random.default_rng(0), case.encoding.dtype
    prepared = [each.to_text() for each in before.prepared.values()]
    tracemalloc.start()
    coordinator = before.prepare(map(Preparation.from_text, prepared)).open_round(1)
    answers = [Unmasking.from_text(text) for text in case.ours.unmaskings]
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    for name in coordinator.roster.names:
        coordinator = coordinator.add(name, random.integers(1 << 32, size=parameters, dtype=dtype))
    case.encoding.decode(coordinator.finish(answers).words)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most - held, held


def masks_table(options: argparse.Namespace) -> Iterator[Row]:
    """Seconds of one mask; they do not depend on how many hospitals there are."""
    for parameters in options.mask_parameters:
        ours, theirs = measure_mask(parameters, options.repeats, options.bits)
        row = {"parameters": f"{parameters:,}", "  ours": f"{ours:.4f}", "Flower": f"{theirs:.4f}"}
        yield row | judged("ratio", ours / theirs, RATIO)


def protocol_table(options: argparse.Namespace, cases: list[Case]) -> Iterator[Row]:
    """Seconds of the whole protocol; adds to `cases` what came of it."""
    for hospitals in options.hospitals:
        parameters = options.parameters if hospitals <= COMPLETE else options.sparse_parameters
        repeats = options.repeats if hospitals <= 10 else 1
        updates = [update_of(number, parameters) for number in range(hospitals)]
        (preparing, ours, keys, flower), case = measure_protocol(updates, repeats, options.bits)
        cases.append(case)
        row = {"hospitals": f"{hospitals}", "neighbours": f"{case.federation.around - 1}"}
        row |= {"parameters": f"{parameters:,}", "our set-up": f"{preparing:.2f}", "our round": f"{ours:.2f}"}
        row |= {"Flower's round": f"{flower:.2f}", "its keys": f"{keys:.2f}"}
        row |= judged("ratio", ours / flower, RATIO)
        yield row | {"ratio with set-up": f"{(preparing + ours) / flower:.2f}"}


def hospital_table(cases: Sequence[Case], update: Array) -> Iterator[Row]:
    """Peaks at a hospital, and what it sends."""
    for case in cases:
        ours = 1 + hospital_peak(case, update) / update.nbytes
        theirs = 1 + case.flower_hospitals.peak(update) / update.nbytes
        sent = case.encoding.dtype.itemsize + case.ours.text / update.size
        flower_sent = case.flower.width + case.flower.text / update.size
        row = {"hospitals": f"{case.hospitals}"} | judged("memory", ours, UPDATES)
        row |= {"Flower's memory": f"{theirs:.2f}"} | judged("bytes a parameter", sent, BYTES, " ")
        yield row | {"Flower's bytes": f"{flower_sent:.2f}"}


def coordinator_table(cases: Sequence[Case], update: Array) -> Iterator[Row]:
    """Peaks at the coordinator."""
    smallest = 0
    for case in cases:
        peak, held = coordinator_peak(case, update.size)
        smallest = smallest or peak
        replies = case.hospitals * case.flower.width / update.itemsize
        row = {"hospitals": f"{case.hospitals}", "memory": f"{peak / update.nbytes:.2f}"}
        row |= judged("to the first row", peak / smallest, STEADY)
        row["keys and shares"] = f"{held / update.nbytes:.2f}"
        yield row | {"Flower's replies": f"{replies:.2f}"}


def judged(name: str, value: float, target: float, mark: str = "") -> Row:
    """A number beside its target; `mark` tells the columns of a second one from those of the first."""
    verdict = "met" if value <= target else "MISSED"
    return {name: f"{value:.2f}", f"{mark}target": f"≤ {target:g}", f"{mark}      ": verdict}


def show(title: str, rows: Iterable[Row]) -> None:
    """Print a table row by row, as they are measured."""
    print(f"\n{title}")
    for number, row in enumerate(rows):
        if number == 0:
            print("  ".join(row))
        print("  ".join(cell.rjust(len(name)) for name, cell in row.items()), flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    style = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=style)
    add = parser.add_argument
    add("--hospitals", type=int, nargs="+", default=[3, 10, 50, 200], help="sizes of federation")
    add("--mask-parameters", type=int, nargs="+", default=[31_000_000, 1_000_000], help="sizes of one mask")
    add("--parameters", type=int, default=1_000_000, help="of an update")
    add("--sparse-parameters", type=int, default=100_000, help="of the protocol's over 50 hospitals")
    add("--bits", type=int, choices=(32, 64), default=32, help="of our words")
    add("--repeats", type=int, default=5, help="of each mask, and of the protocol up to 10 hospitals")
    return parser.parse_args()


def main() -> None:
    """Measure and print the tables."""
    options = arguments()
    cases: list[Case] = []
    show("One mask: seconds", masks_table(options))
    show("Whole protocol: seconds of everybody, added up", protocol_table(options, cases))
    update = update_of(0, options.parameters)
    size = f"{update.size:,} parameters, memory in updates of {update.nbytes / 1e6:g} MB"
    show(f"A hospital: {size}", hospital_table(cases, update))
    show(f"The coordinator: {size}", coordinator_table(cases, update))


if __name__ == "__main__":
    main()
