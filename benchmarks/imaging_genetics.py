"""Imaging genetics: how close to pooled, how large, how often the planted gene is found, what privacy costs.

    python benchmarks/imaging_genetics.py pooled                    # angles to pooled partial least squares
    python benchmarks/imaging_genetics.py size --folder DIR         # 600 patients x 10^5 x 10^6: memory,
    time python benchmarks/imaging_genetics.py gene --seeds 20           # a planted gene among 10^6
    variants python benchmarks/imaging_genetics.py private                   # the same gene under
    differential privacy python benchmarks/imaging_genetics.py populations --folder KG1000 --rounds 26   #
    federated PCA, real genotypes

The data: haplotypes in blocks of ten variants (a neighbour is copied with probability 0.9), frequencies
uniform in (0.05, 0.5); an image of five smooth modes (20, 12, 8, 5 and 3 % of its variance) in smooth
noise; one variant explains 10 % of the variance of the first mode. Four hospitals with equally many
patients, whose scanners differ by 0.1 standard deviations.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter1d

HERE = Path(__file__).parent.parent
HOSPITALS = ("amiens", "brest", "caen", "dijon")
LINKED, COPIED = 10, 230  # variants in a block; 230/256 is the probability of copying a neighbour
MODES = (0.20, 0.12, 0.08, 0.05, 0.03)
EXPLAINED = 0.10
SCANNER = 0.1
SPLIT = 3  # the task tests every third patient


def cohort(folder: Path, patients: int, phenotypes: int, variants: int, seed: int) -> int:
    """Write four hospitals; gives the causal variant."""
    genotypes(folder, patients, variants, seed)
    return images(folder, phenotypes, seed)


def genotypes(folder: Path, patients: int, variants: int, seed: int) -> None:
    """Write four hospitals' genotypes."""
    random = np.random.default_rng([seed, 1])
    each, arrays = patients // len(HOSPITALS), []
    for name in HOSPITALS:
        (folder / name).mkdir(parents=True, exist_ok=True)
        arrays.append(
            np.lib.format.open_memmap(folder / name / "genotypes.npy", "w+", np.int8, (variants, each))
        )
    width = 20_000 // LINKED * LINKED
    for start in range(0, variants, width):
        block = _genotypes(random, min(width, variants - start), patients)
        for number, array in enumerate(arrays):
            array[start : start + len(block)] = block[:, number * each : (number + 1) * each]
    for array in arrays:
        array.flush()


def _genotypes(random: np.random.Generator, variants: int, patients: int) -> np.ndarray:
    blocks = variants // LINKED
    threshold = (256 * random.uniform(0.05, 0.5, (blocks, 1))).astype(np.uint8)
    chain = np.empty((blocks, LINKED, 2 * patients), dtype=np.int8)
    for place in range(LINKED):
        fresh = _bytes(random, (blocks, 2 * patients)) < threshold
        if place:
            copied = _bytes(random, fresh.shape) < COPIED
            fresh = np.where(copied, chain[:, place - 1], fresh)
        chain[:, place] = fresh
    return (chain[..., :patients] + chain[..., patients:]).reshape(variants, patients)


def _bytes(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return np.frombuffer(random.bytes(shape[0] * shape[1]), dtype=np.uint8).reshape(shape)


def images(folder: Path, phenotypes: int, seed: int) -> int:
    """Write four hospitals' images for their genotypes; gives the causal variant, a common one."""
    random = np.random.default_rng([seed, 2])
    arrays = [np.load(folder / name / "genotypes.npy", mmap_mode="r") for name in HOSPITALS]
    while True:
        causal = int(random.integers(len(arrays[0])))
        gene = np.concatenate([array[causal] for array in arrays]).astype(float)
        if 0.2 < gene.mean() / 2 < 0.8:
            break
    each, place = len(gene) // len(HOSPITALS), np.linspace(0.0, np.pi, phenotypes)
    modes = np.stack([np.cos((number + 1) * place) for number in range(len(MODES))])
    modes *= np.sqrt(phenotypes) / np.linalg.norm(modes, axis=1, keepdims=True)
    latent = random.standard_normal((len(gene), len(MODES)))
    latent[:, 0] *= np.sqrt(1.0 - EXPLAINED)
    latent[:, 0] += np.sqrt(EXPLAINED) * (gene - gene.mean()) / gene.std()
    for number, name in enumerate(HOSPITALS):
        rows = slice(number * each, (number + 1) * each)
        noise = _smooth(random.standard_normal((each, phenotypes), dtype=np.float32))
        noise *= np.sqrt(1.0 - sum(MODES)) / noise.std()
        offset = _smooth(random.standard_normal((1, phenotypes)))
        image = noise + (latent[rows] * np.sqrt(MODES)) @ modes + SCANNER * offset / offset.std()
        np.save(folder / name / "phenotypes.npy", image.astype(np.float32))
    return causal


def _smooth(noise: np.ndarray) -> np.ndarray:
    """Neighbours within some twenty phenotypes go together."""
    return uniform_filter1d(uniform_filter1d(noise, 21, axis=1), 21, axis=1)


def study(phenotypes: int, variants: int, rounds: int, components: int, more: str = "") -> str:
    """The text of a study over such tables."""
    return (
        f'name = "benchmark"\ntask = "imaging-genetics"\nrounds = {rounds}\n{more}\n'
        f"[options]\nphenotypes = {phenotypes}\nvariants = {variants}\ncomponents = {components}\n"
    )


def read(folder: Path, text: str) -> list:
    """All patients of each hospital, read as a study reads them."""
    from tasks.imaging_genetics.options import parse as options
    from tasks.imaging_genetics.reading import read as read_hospital
    from tasks.study import parse

    return [read_hospital(folder / name, options(parse(text).options)) for name in HOSPITALS]


def play(text: str, hospitals: list, seed: int = 1):
    """The study's learner over these patients in this process: the same functions, without messages."""
    from privacy.randomness import Stream, seeded_key
    from tasks.imaging_genetics.task import TASK, learner
    from tasks.learners.contract import Visit, add_up
    from tasks.study import parse

    terms = parse(text).with_seed(seed)
    learns, plan = learner(TASK, terms), terms.plan()
    state = learns.begin().with_slots(patients=np.array([float(sum(map(len, hospitals)))]))
    for number in range(terms.rounds):
        published = learns.publish(state)
        streams = [Stream(seeded_key(seed, name), "train", number) for name in HOSPITALS]
        visits = [
            Visit(published, each, {}, stream, len(hospitals), plan)
            for each, stream in zip(hospitals, streams, strict=True)
        ]
        state = learns.combine(state, add_up([learns.contribute(visit)[0].vector for visit in visits]))
    return state


def exact(hospitals: list, components: int):
    """Pooled partial least squares without any iteration, from the patients' inner products.

    With K = XXᵀ and L = YYᵀ the squared singular values of XᵀY are the eigenvalues of K^½ L K^½.
    """
    from tasks.learners.products import loadings, moments, scaling_of
    from tasks.learners.subspace import Components

    views = {
        "imaging": [each.imaging for each in hospitals],
        "genetics": [each.genetics for each in hospitals],
    }
    scaling = {name: scaling_of(sum(moments(view) for view in each)) for name, each in views.items()}
    inner = {name: _inner(each, scaling[name]) for name, each in views.items()}
    size, turn = np.linalg.eigh(inner["imaging"])
    kept = size > 1e-9 * size[-1]
    root = (turn[:, kept] * np.sqrt(size[kept])) @ turn[:, kept].T
    back = (turn[:, kept] / np.sqrt(size[kept])) @ turn[:, kept].T
    squares, found = np.linalg.eigh(root @ inner["genetics"] @ root)
    order = np.argsort(-squares)[:components]
    values = np.sqrt(squares[order])
    ends = np.cumsum([len(each) for each in hospitals])
    sides = []
    for name, weights in (("imaging", back @ found[:, order]), ("genetics", root @ found[:, order] / values)):
        parts = np.split(weights, ends[:-1])
        pairs = zip(views[name], parts, strict=True)
        sides.append(sum(loadings(view, scaling[name], part) for view, part in pairs))
    return Components(sides[0], values, sides[1])


def _inner(views: list, scaling) -> np.ndarray:
    """ZZᵀ of all patients, a block of columns at a time."""
    from tasks.learners.products import standardised

    count = sum(len(view) for view in views)
    found = np.zeros((count, count))
    for blocks in zip(*(view.blocks() for view in views), strict=True):
        cells = np.concatenate(
            [standardised(values, scaling, columns).astype(np.float32) for columns, values in blocks], axis=1
        )
        found += cells.T @ cells
    return found


def pooled(arguments: argparse.Namespace) -> None:
    """Angles between federated weights and those of pooled data."""
    from tasks.learners.subspace import angles

    print("angle to pooled partial least squares, degrees, worst of both tables")
    print("patients  phenotypes  variants  rounds  blocks   1       2       3       4       5")
    for patients, phenotypes, variants, rounds, block in (
        (600, 2_000, 20_000, 11, 0),
        (600, 2_000, 20_000, 21, 0),
        (600, 2_000, 20_000, 61, 1),
    ):
        with tempfile.TemporaryDirectory() as folder:
            cohort(Path(folder), patients, phenotypes, variants, arguments.seed)
            text = study(phenotypes, variants, rounds, 5) + f"block = {block}\n"
            hospitals = read(Path(folder), text)
            state, truth = play(text, hospitals, arguments.seed), exact(hospitals, 5)
        worst = np.maximum(angles(truth.left, state.slots["left"]), angles(truth.right, state.slots["right"]))
        said = "  ".join(f"{angle:.4f}" for angle in worst)
        print(f"{patients:8}  {phenotypes:10}  {variants:8}  {rounds:6}  {5 if block else 1:6}  {said}")


def size(arguments: argparse.Namespace) -> None:
    """The whole study at full size as `laennec run` does it, in a process of its own."""
    folder = Path(arguments.folder)
    p, q = arguments.phenotypes, arguments.variants
    if not (folder / HOSPITALS[-1] / "phenotypes.npy").is_file():
        started = time.perf_counter()
        cohort(folder, arguments.patients, p, q, arguments.seed)
        print(f"cohort written in {time.perf_counter() - started:.0f} s")
    text = study(p, q, arguments.rounds, 5)
    with tempfile.TemporaryDirectory() as out:
        (Path(out) / "study.toml").write_text(text)
        called = [sys.executable, str(Path(__file__).resolve()), "run", "--folder", str(folder), "--out", out]
        started = time.perf_counter()
        said = json.loads(subprocess.run(called, check=True, stdout=subprocess.PIPE, cwd=HERE).stdout)
        seconds = time.perf_counter() - started
        print(
            f"{arguments.patients} patients x {p} phenotypes x {q} variants, 5 components, "
            f"{arguments.rounds} rounds"
        )
        print(
            f"whole study, four hospitals and coordinator in one process: {seconds:.0f} s, "
            f"{said['processor']:.0f} s of processor time"
        )
        print(f"its peak memory, with what is mapped from disk: {said['peak'] / 2**30:.2f} GiB")
        one = json.loads(
            subprocess.run([*called, "--one"], check=True, stdout=subprocess.PIPE, cwd=HERE).stdout
        )
        print(
            "one hospital with all the patients, one round of each kind: "
            f"{one['processor']:.0f} s of processor time"
        )
        print(f"its peak memory: {one['peak'] / 2**30:.2f} GiB")


def run(arguments: argparse.Namespace) -> None:
    """One process of `size`: prints its own peak memory."""
    text = (Path(arguments.out) / "study.toml").read_text()
    started = time.perf_counter()
    if arguments.one:
        _one(text, Path(arguments.folder))
    else:
        from deploy.federation import Machine, federate, hospitals_in
        from tasks.study import parse

        terms = parse(text)
        nodes = hospitals_in(terms.task, Path(arguments.folder), None, secret_noise=False)
        federate(terms, nodes, Machine())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds = {"seconds": time.perf_counter() - started, "processor": time.process_time()}
    print(json.dumps({"peak": peak, **seconds}))


def _one(text: str, folder: Path) -> None:
    """Everybody as one hospital's patients: what it takes to contribute to a round of each kind."""
    from privacy.randomness import Stream, seeded_key
    from tasks.imaging_genetics.task import TASK, learner
    from tasks.learners.contract import Visit, add_up
    from tasks.patients import PooledPatients
    from tasks.study import parse

    learns = learner(TASK, parse(text))
    state, everybody = learns.begin(), PooledPatients(read(folder, text))
    for number in range(3):
        visit = Visit(learns.publish(state), everybody, {}, Stream(seeded_key(1), "train", number), 1, None)
        state = learns.combine(state, add_up([learns.contribute(visit)[0].vector]))


def gene(arguments: argparse.Namespace) -> None:
    """How often the planted gene is among the ten strongest: one set of genotypes, images of each seed."""
    p, q = arguments.phenotypes, arguments.variants
    text = study(p, q, arguments.rounds, 1)
    ranks: list[int] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as held:
        folder = Path(held)
        genotypes(folder, arguments.patients, q, 1)
        for seed in range(1, arguments.seeds + 1):
            started = time.perf_counter()
            causal = images(folder, p, seed)
            state = play(text, read(folder, text), seed)
            order = np.argsort(-np.abs(state.slots["right"][:, 0]))
            ranks.append(int(np.flatnonzero(order // LINKED == causal // LINKED)[0]) + 1)
            print(
                f"seed {seed:2}: best rank {ranks[-1]:7} of {q}, {time.perf_counter() - started:.0f} s",
                flush=True,
            )
    found = np.mean(np.asarray(ranks) <= 10)
    print(
        f"{arguments.patients} patients, gene explaining {EXPLAINED:.0%} of the first mode: "
        f"in the top 10 of {q} variants in {found:.0%} of {arguments.seeds} seeds"
    )


def private(arguments: argparse.Namespace) -> None:
    """The rank of the planted gene among 2,000 variants, by ε and number of patients."""
    p, q = 64, 2_000
    print(f"best rank of the planted gene of {q} variants, median of {arguments.seeds} seeds (chance: 110)")
    print("patients   no privacy   ε = 8   ε = 3   ε = 1")
    for patients in (600, 2_400, 9_600):
        rows: dict[str, list[int]] = {}
        for seed in range(1, arguments.seeds + 1):
            with tempfile.TemporaryDirectory() as folder:
                causal = cohort(Path(folder), patients, p, q, seed)
                for epsilon in ("", "8.0", "3.0", "1.0"):
                    terms = f"[privacy]\nepsilon = {epsilon}\ndelta = 1e-5\nclip = 0.3" if epsilon else ""
                    text = study(p, q, 5, 1, terms)
                    order = np.argsort(
                        -np.abs(play(text, read(Path(folder), text), seed).slots["right"][:, 0])
                    )
                    rank = int(np.flatnonzero(order // LINKED == causal // LINKED)[0]) + 1
                    rows.setdefault(epsilon, []).append(rank)
        said = "   ".join(f"{np.median(rows[each]):7.0f}" for each in rows)
        print(f"{patients:8}   {said}", flush=True)


def populations(arguments: argparse.Namespace) -> None:
    """Federated principal components of real genotypes, five populations as five hospitals."""
    import csv

    from privacy.randomness import Stream, seeded_key
    from tasks.imaging_genetics.genotypes import read_plink
    from tasks.learners.contract import Visit, add_up
    from tasks.learners.principal_components import PrincipalComponents
    from tasks.learners.products import moments, one_thread, scaling_of, scores
    from tasks.learners.subspace import angles

    folder = Path(arguments.folder)
    everybody, names, _ = read_plink(folder / "chr2.bed")
    with (folder / "chr2_pop.csv").open(newline="") as stream:
        of = {row["id"]: row["population"] for row in csv.DictReader(stream)}
    label = np.array([of[name] for name in names])
    kinds = sorted(set(label))
    hospitals = [everybody.subset(np.flatnonzero(label == kind)) for kind in kinds]
    learns = PrincipalComponents(everybody.width, 4, 6, arguments.seed, lambda view: [view])
    state = learns.begin()
    for number in range(arguments.rounds):
        stream = Stream(seeded_key(1), "train", number)
        visits = [Visit(learns.publish(state), each, {}, stream, len(kinds), None) for each in hospitals]
        state = learns.combine(state, add_up([learns.contribute(visit)[0].vector for visit in visits]))
    scaling = scaling_of(moments(everybody))
    with one_thread():
        size, turn = np.linalg.eigh(_inner([everybody], scaling))
    pooled_scores = (turn * np.sqrt(np.maximum(size, 0)))[:, ::-1][:, :4]
    federated_scores = scores(everybody, scaling, state.slots["vectors"][:, :4])
    print(
        f"{len(names)} people, {everybody.width} variants, hospitals {', '.join(kinds)}; "
        f"{arguments.rounds} rounds"
    )
    said = "  ".join(f"{each:.4f}" for each in angles(pooled_scores, federated_scores))
    print(f"angle between federated and pooled scores, components 1 to 4, degrees: {said}")
    print("                                        federated   pooled")
    rows = [_separation(each, label) for each in (federated_scores, pooled_scores)]
    for name, ours, theirs in zip(
        ("between / within", "own population's centre is nearest"), *rows, strict=True
    ):
        print(f"{name:38}  {ours:9.4f}  {theirs:7.4f}")


def _separation(scores: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """Variance between populations over that within; the share nearest to its own centre. Two components."""
    plane, kinds = scores[:, :2] - scores[:, :2].mean(axis=0), sorted(set(label))
    centres = np.stack([plane[label == kind].mean(axis=0) for kind in kinds])
    within = sum(
        ((plane[label == kind] - centre) ** 2).sum() for kind, centre in zip(kinds, centres, strict=True)
    )
    nearest = np.linalg.norm(plane[:, None] - centres[None], axis=2).argmin(axis=1)
    return float(((plane**2).sum() - within) / within), float((np.array(kinds)[nearest] == label).mean())


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["pooled", "size", "gene", "private", "populations", "run"])
    parser.add_argument("--folder", help="where data is written; default: a temporary folder")
    parser.add_argument("--out")
    parser.add_argument("--one", action="store_true")
    parser.add_argument("--patients", type=int, default=600)
    parser.add_argument("--phenotypes", type=int, default=100_000)
    parser.add_argument("--variants", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    sys.path.insert(0, str(HERE))
    commands = (pooled, size, gene, private, populations, run)
    {each.__name__: each for each in commands}[arguments.what](arguments)


if __name__ == "__main__":
    main()
