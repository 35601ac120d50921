"""The rules of the house that a linter cannot hold alone."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("ground", "privacy", "simulation", "tasks", "client", "server", "deploy", "laennec")


def test_a_floor_imports_only_from_those_below_it():
    command = Path(sys.executable).parent / "lint-imports"
    finished = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_longer_than_400_lines(package):
    lines = {str(file): file.read_text().count("\n") for file in (ROOT / package).rglob("*.py")}
    assert not {file: count for file, count in lines.items() if count > 400}


def test_nothing_prints_but_the_face():
    """Logs and reports go through one place each; a stray print in a hospital could show a patient."""
    guilty = [
        str(file)
        for package in PACKAGES
        if package != "laennec"
        for file in (ROOT / package).rglob("*.py")
        if any(line.lstrip().startswith("print(") for line in file.read_text().splitlines())
    ]
    assert not guilty


def test_no_random_seed_reaches_noise():
    """Noise comes from the ChaCha20 stream alone: other generators do not appear where it is made."""
    for file in (ROOT / "privacy").rglob("*.py"):
        text = file.read_text()
        assert "np.random" not in text
        assert "torch.randn" not in text
        assert "torch.normal" not in text
