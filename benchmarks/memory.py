"""The coordinator's memory in a study of many hospitals, and its disk: how often the model, whoever comes.

    python benchmarks/memory.py                    # 3, 30 and 300 hospitals with a model of 100 MB

From the Grid on everything is what a coordinator runs: the driver, the Grid of `server.link` that fetches
replies piece by piece, the spool. Only the SuperLink is played (`played_link.py`), in the same process, by
lines that make each piece when it is fetched: so as many hospitals as are asked for fit on one machine. A
study enrols them, trains one round by federated averaging and reports.

Each row is a process of its own. Memory is its resident set, as Linux counts it, at its peak, above what it
was before the study began, when all libraries were loaded; the model itself counts. Disk is the most that lay
in the study's folder. Contributions come in the roster's order, or shuffled, thirty at a time: a sum in
floating point has an order, and whoever comes before their turn waits on disk. In the worst case, the first
of the roster coming last, all of them do.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
TARGET = 3.0
MEGABYTE = 1e6
ROWS = ((3, "roster"), (3, "shuffled"), (30, "roster"), (30, "shuffled"), (300, "roster"), (300, "shuffled"))


def resident(field: str) -> float:
    """A field of this process's status in MB: VmRSS is now, VmHWM the highest so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / MEGABYTE
    raise LookupError(field)


class Disk:
    """The most that lay in a folder, looked at ten times a second."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.most, self._over = folder, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """MB."""
        self._over.set()
        self._thread.join()
        return self.most / MEGABYTE

    def _look(self) -> None:
        while not self._over.wait(0.1):
            total = 0.0
            for place, _, names in os.walk(self.folder):
                for name in names:
                    try:
                        total += (Path(place) / name).stat().st_size
                    except FileNotFoundError:
                        continue
            self.most = max(self.most, total)


def measure(hospitals: int, order: str, side: int) -> dict[str, float]:
    """One study; memory and disk in units of the model."""
    from played_link import PlayedGrid, study_of

    from server.driver import Terms, drive
    from server.events import Advanced, Event, listening

    study, task = study_of(side)
    model = side * side * 4 / MEGABYTE
    seconds: list[float] = []

    def heed(event: Event) -> None:
        if isinstance(event, Advanced):
            seconds.append(event.seconds)
            if event.left_out:
                raise SystemExit(f"left out: {event.left_out}")

    with tempfile.TemporaryDirectory(prefix="laennec-memory-") as folder, listening(heed):
        grid = PlayedGrid(hospitals, study, task, order)
        before = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the highest so far begins anew
        disk = Disk(Path(folder))
        drive(grid, study, Terms(hospitals), Path(folder) / "state")
        peak = resident("VmHWM") - before
        return {
            "before": before,
            "memory": peak / model,
            "disk": disk.stop() / model,
            "model": model,
            "round": seconds[1],
        }


def main() -> None:
    """Measure each case in a process of its own and print the table; 1 where a row exceeds the target."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--hospitals", type=int, nargs="+", help="federations to measure; default 3 30 300")
    options.add_argument("--side", type=int, default=5000, help="the model has side x side weights")
    options.add_argument("--row", nargs=2, metavar=("HOSPITALS", "ORDER"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.row:
        print(json.dumps(measure(int(chosen.row[0]), chosen.row[1], chosen.side)))
        return
    rows = [row for row in ROWS if not chosen.hospitals or row[0] in chosen.hospitals]
    began, exceeded = time.monotonic(), False
    print(f"a model of {chosen.side * chosen.side * 4 / MEGABYTE:.0f} MB; memory above the process before it")
    print("hospitals  order     memory, times the model  disk, times the model  a round (s)")
    for hospitals, order in rows:
        command = [sys.executable, __file__, "--side", str(chosen.side), "--row", str(hospitals), order]
        path = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
        )
        if ended.returncode:
            raise SystemExit(ended.stderr)
        row = json.loads(ended.stdout.splitlines()[-1])
        exceeded |= row["memory"] > TARGET
        print(
            f"{hospitals:9d}  {order:<8}  {row['memory']:23.2f}  {row['disk']:21.2f}  {row['round']:11.1f}",
            flush=True,
        )
    print(f"{time.monotonic() - began:.0f} s; at most {TARGET:g} times: {'MISSED' if exceeded else 'held'}")
    sys.exit(exceeded)


if __name__ == "__main__":
    main()
