"""Fuzzes one target for as long as one likes: python tests/fuzz/run.py dicom --seconds 600

With atheris where it is installed (`pip install atheris`), guided by which lines an input reaches; else with
random changes of the same corpus. Stops at the first broken promise and writes its input into this folder.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]


def corpus(target: str) -> list[bytes]:
    """What to begin with."""
    import corpus as begin
    import test_fuzz_messages as messages

    return {
        "dicom": begin.images,
        "stream": begin.streams,
        "study": begin.studies,
        "instruction": lambda: [messages.json_of(messages.INSTRUCTION)],
        "reply": lambda: [messages.json_of(messages.REPLY)],
    }[target]()


def guided(target: str, seconds: int) -> None:
    """With atheris, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=["client", "tasks", "ground", "pydicom", "tomllib"]):
        from targets import TARGETS
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(corpus(target)):
            (Path(folder) / str(number)).write_bytes(content)
        atheris.Setup([sys.argv[0], folder, f"-max_total_time={seconds}", "-max_len=20000"], TARGETS[target])
        atheris.Fuzz()


def blind(target: str, seconds: int) -> None:
    """With random changes; another seed every time."""
    from corpus import changed
    from targets import TARGETS

    seed = random.SystemRandom().randrange(2**32)
    chance, begin, until, count = random.Random(seed), corpus(target), time.monotonic() + seconds, 0  # noqa: S311
    while time.monotonic() < until:
        changes = [
            (chance.random(), chance.choice(["set", "insert", "cut", "end", "repeat"]), chance.randbytes(4))
            for _ in range(chance.randrange(1, 7))
        ]
        content = changed(chance.choice(begin), changes)
        try:
            TARGETS[target](content)
        except BaseException:
            Path(f"fuzz-{target}.bin").write_bytes(content)
            sys.stderr.write(f"broken by fuzz-{target}.bin after {count} inputs, seed {seed}\n")
            raise
        count += 1
    sys.stdout.write(f"{target}: {count} inputs in {seconds} s, no promise broken (seed {seed})\n")


def main() -> None:
    """Parse the command line and fuzz."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=["dicom", "stream", "study", "instruction", "reply"])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--blind", action="store_true", help="without atheris, even where it is installed")
    asked = parser.parse_args()
    try:
        import atheris  # noqa: F401
    except ImportError:
        asked.blind = True
    (blind if asked.blind else guided)(asked.target, asked.seconds)


if __name__ == "__main__":
    main()
