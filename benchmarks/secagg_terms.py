"""The terms that secure aggregation sets by itself: graph, threshold, messages and words by federation size.

python benchmarks/secagg_terms.py
"""

from __future__ import annotations

from functools import cache

from privacy.plan import PrivacyPlan
from privacy.secagg import Encoding
from privacy.secagg.graph import COMPLETE, degree, fewest_in_a_sum, least_sum, least_threshold
from privacy.secagg.stories import needs_confirmation
from tasks.study import parse

SIZES = (3, 4, 5, 6, 10, 20, 50, 60, 100, 200)
COLLUDERS = 1  # the hospitals' default
EPSILONS, VALUES = (0.1, 1.0, 8.0), (1024, 4096, 1_000_000, 31_000_000)


def terms(hospitals: int) -> tuple[int, int, int, bool, int | None]:
    """Neighbours, fewest in a sum, threshold, third message, and from which fewest on two suffice."""
    fewest = max(3, least_sum(hospitals, COLLUDERS))
    if hospitals > COMPLETE:
        return degree(hospitals), fewest, least_threshold(hospitals, COLLUDERS), True, None
    two = (n for n in range(fewest, hospitals + 1) if not needs_confirmation(hospitals, n, n, COLLUDERS))
    return (
        hospitals - 1,
        fewest,
        fewest,
        needs_confirmation(hospitals, fewest, fewest, COLLUDERS),
        next(two, None),
    )


@cache
def plan(epsilon: float) -> PrivacyPlan:
    """Of 50 rounds at δ = 10⁻⁵ with distributed noise and a clip of 1."""
    found = parse(
        'name = "words"\ntask = "any"\nrounds = 50\n'
        f"[privacy]\nepsilon = {epsilon}\nsecure-aggregation = true\n"
    ).plan()
    if found is None:
        raise ValueError("a private study has a plan")
    return found


def words(epsilon: float, hospitals: int, values: int) -> str:
    """Bits of a word, and how many patients who all point the same way in one value fit its box."""
    fewest = fewest_in_a_sum(hospitals, 3, COLLUDERS)
    encoding = Encoding.for_plan(plan(epsilon), hospitals, fewest, counting=False, values=values)
    return f"{encoding.bits} / {encoding.box:,.0f}" if encoding.box < 1e9 else f"{encoding.bits} / any"


def main() -> None:
    """Print one row a size: the terms, then the words."""
    print("hospitals  neighbours  fewest  threshold  third message  two suffice from")
    for hospitals in SIZES:
        neighbours, fewest, threshold, third, two = terms(hospitals)
        print(
            f"{hospitals:9d}  {neighbours:10d}  {fewest:6d}  {threshold:9d}  {'yes' if third else 'no':>13}"
            f"  {two or '–':>16}"
        )
    print("\nbits of a word / patients of one hospital that all point the same way in one value")
    cases = [(epsilon, values) for values in VALUES for epsilon in EPSILONS]
    print("hospitals" + "".join(f"{f'{v:,} at ε={e:g}':>22}" for e, v in cases))
    for hospitals in (*SIZES, 1000):
        print(f"{hospitals:9d}" + "".join(f"{words(e, hospitals, v):>22}" for e, v in cases))


if __name__ == "__main__":
    main()
