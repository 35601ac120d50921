"""An import in two reading processes, run as a program: HOME DIR."""

import sys
from pathlib import Path

from client.archive import import_folder

if __name__ == "__main__":

    def progress(done: int, _: int) -> None:
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()

    import_folder(Path(sys.argv[1]), Path(sys.argv[2]), progress=progress, workers=2)
