"""What secure aggregation costs in accuracy: the same study with and without it, at the same total noise.

    python benchmarks/secure_study.py ../shared/data/uci-heart-disease

The secure study sizes each hospital's share of the noise for the fewest hospitals that may remain, so with
all of them present its sum carries more noise than its epsilon asks for, and costs less. The plain study is
given that smaller epsilon, hence the same noise. Both are repeated with the same number of seeds.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from deploy.arms import Plan
from deploy.compare import run_arm
from deploy.federation import Machine, hospitals_in
from server.report.result import mean
from tasks.registry import find
from tasks.study import Study, load, parse

ROOT = Path(__file__).parent.parent


def measure(study: Study, data: Path, seeds: int) -> tuple[list[float], float, float]:
    """Accuracy for each seed, the epsilon spent, and the total noise of a round in units of the clip."""
    arm = run_arm(
        Plan("arm", "arm", study, "together"),
        hospitals_in(study.task, data, None, secret_noise=False),
        Machine(),
        seeds,
    )
    if arm.outcome is None or arm.epsilon is None:
        raise ValueError("a private federation has an outcome and an epsilon")
    headline = find(study.task).headline
    noise = arm.outcome.progress.accountant.events[-1].noise_multiplier
    return [mean(seed)[headline] for seed in arm.by_seed], arm.epsilon, noise


def main() -> None:
    """Run both studies and print them side by side."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("data", type=Path, help="folder of the hospitals' data")
    options.add_argument("--seeds", type=int, default=20, help="repetitions of each study")
    chosen = options.parse_args()
    secure = load(ROOT / "examples" / "heart-disease-secure.toml")
    print("study    epsilon  noise/clip  accuracy     sd", flush=True)
    values, epsilon, noise = measure(secure, chosen.data, chosen.seeds)
    _row("secure", values, epsilon, noise)
    text = secure.to_toml().replace("secure-aggregation = true", "secure-aggregation = false")
    plain = parse(text).with_epsilon(epsilon)
    others, spent, same = measure(plain, chosen.data, chosen.seeds)
    _row("plain", others, spent, same)
    print(f"secure minus plain: {statistics.mean(values) - statistics.mean(others):+.4f}")


def _row(name: str, values: list[float], epsilon: float, noise: float) -> None:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    accuracy = statistics.mean(values)
    print(f"{name:<8} {epsilon:7.3f}  {noise:10.3f}  {accuracy:8.4f}  {spread:.4f}", flush=True)


if __name__ == "__main__":
    main()
