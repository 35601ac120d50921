"""The terms that secure aggregation sets by itself: graph, threshold, messages and words by federation size.

python benchmarks/secagg_terms.py
"""

from __future__ import annotations

from privacy.secagg import Encoding
from privacy.secagg.graph import COMPLETE, degree, least_sum, least_threshold
from privacy.secagg.stories import needs_confirmation
from tasks.study import parse

SIZES = (3, 4, 5, 6, 10, 20, 50, 60, 100, 200)
COLLUDERS = 1  # the hospitals' default


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


def bits(hospitals: int, fewest: int, epsilon: float) -> int:
    """Of a word, in a study of 50 rounds at δ = 10⁻⁵ with distributed noise."""
    plan = parse(
        'name = "words"\ntask = "any"\nrounds = 50\n'
        f"[privacy]\nepsilon = {epsilon}\nsecure-aggregation = true\n"
    ).plan()
    if plan is None:
        raise ValueError("a private study has a plan")
    return Encoding.for_plan(plan, hospitals, fewest, counting=False).bits


def main() -> None:
    """Print one row a size."""
    print("hospitals  neighbours  fewest  threshold  third message  two suffice from  bits ε=1  bits ε=8")
    for hospitals in SIZES:
        neighbours, fewest, threshold, third, two = terms(hospitals)
        row = (
            f"{hospitals:9d}  {neighbours:10d}  {fewest:6d}  {threshold:9d}  {'yes' if third else 'no':>13}"
            f"  {two or '–':>16}"
        )
        print(f"{row}  {bits(hospitals, fewest, 1.0):8d}  {bits(hospitals, fewest, 8.0):8d}")


if __name__ == "__main__":
    main()
