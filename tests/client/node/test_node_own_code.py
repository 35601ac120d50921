from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MODULES = ("client.node.supernode", "client.node.executor")


@pytest.mark.parametrize("options", [("-P", "-m"), ("-m",)])
@pytest.mark.parametrize("module", MODULES)
def test_nothing_of_the_folder_one_stands_in_is_run(
    tmp_path: Path, module: str, options: tuple[str, ...]
) -> None:
    (tmp_path / "client").mkdir()
    (tmp_path / "client" / "__init__.py").write_text("open('RAN', 'w').close()\nraise SystemExit(3)\n")
    subprocess.run([sys.executable, *options, module], cwd=tmp_path, capture_output=True, check=False)
    assert (tmp_path / "RAN").exists() == ("-P" not in options)


def test_processes_of_a_node_are_started_so() -> None:
    import client.node.supervisor
    import deploy.engines.flower

    for each in (client.node.supervisor, deploy.engines.flower):
        text = Path(str(each.__file__)).read_text(encoding="utf-8")
        assert text.count('"-m"') == text.count('"-P", "-m"') > 0
