"""What the images start, as they start it: as user 10001, on a root that is only read, with one volume.

No container engine is needed: a mount namespace of this machine takes the place of the image.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from processes import PATIENCE

from ground.network import free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
USER, TEMPORARY = 10001, Path("/tmp")  # noqa: S108 - it is emptied in the image
INSIDE = """
mount --make-rprivate / &&
mount --rbind / "$1" &&
mount -o remount,bind,ro "$1" &&
image=$1 volume=$2 &&
mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs "$image/tmp" &&
{ uncovered } mount --bind "$volume" "$image/srv" || exit 125
shift 2
exec chroot --userspec=10001:10001 "$image" "$@"
"""


def image_says(stage: str, name: str) -> str:
    """The last such instruction of that stage of the Dockerfile."""
    text = (ROOT / "deploy" / "containers" / "Dockerfile").read_text().replace("\\\n", " ")
    part = text.partition(f" AS {stage}\n")[2].partition("\nFROM ")[0]
    return [line.partition(" ")[2] for line in part.splitlines() if line.startswith(f"{name} ")][-1]


def uncovered() -> str:
    """Lets the image's user read this Python and repository where a private folder or /tmp hides them."""
    needed = {Path(sys.base_prefix), Path(sys.prefix), ROOT}
    hidden: dict[Path, list[Path]] = {}
    for path in sorted(each for each in needed if not needed & set(each.parents)):
        private = [each for each in reversed(path.parents) if not each.stat().st_mode & 0o001]
        if TEMPORARY in path.parents or private:
            hidden.setdefault(TEMPORARY if TEMPORARY in path.parents else private[0], []).append(path)
    lines = ""
    for folder, paths in hidden.items():
        above = f'"$image"{shlex.quote(str(folder))}'
        if folder != TEMPORARY:  # that is a new file system already
            lines += f"mount -t tmpfs -o mode=0755 tmpfs {above} &&\n"
        for path in map(shlex.quote, map(str, paths)):
            lines += f'mkdir -p "$image"{path} && mount --bind {path} "$image"{path} &&\n'
            lines += f'mount -o remount,bind,ro "$image"{path} &&\n'
        if folder != TEMPORARY:
            lines += f"mount -o remount,ro {above} &&\n"
    return lines


@dataclass(frozen=True)
class Container:
    """Starts command lines as the image would; `volume` is what lies at /srv, which outlives them."""

    image: Path
    volume: Path
    health: str

    def command(self, arguments: Sequence[str]) -> list[str]:
        values = dict(each.split("=", 1) for each in shlex.split(image_says("base", "ENV")))
        values |= {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LAENNEC_HEALTH": self.health}
        inside = ["env", "-i", "-C", "/srv/laennec", *(f"{k}={v}" for k, v in values.items()), *arguments]
        return [
            "unshare",
            "--mount",
            "sh",
            "-c",
            INSIDE.replace("{ uncovered } ", uncovered()),
            "sh",
            str(self.image),
            str(self.volume),
            *inside,
        ]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(arguments), capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def home(self) -> Path:
        return self.volume / "laennec" / "home"


@pytest.fixture
def container(tmp_path: Path) -> Container:
    image, volume = tmp_path / "image", tmp_path / "volume"
    image.mkdir()
    (volume / "laennec").mkdir(parents=True)
    os.chmod(volume / "laennec", 0o700)  # noqa: PTH101
    if os.getuid() == 0:
        shutil.chown(volume / "laennec", USER, USER)
    made = Container(image, volume, f"127.0.0.1:{free_port()}")
    tried = made.run("true")
    if tried.returncode != 0:
        pytest.skip(f"no mount namespaces here: {tried.stderr.strip()[:100]}")
    return made


def probe(container: Container, service: str) -> int:
    """As HEALTHCHECK asks, at this test's port."""
    line = json.loads(image_says("base", "HEALTHCHECK").partition("CMD ")[2])
    assert line[-1] == "live"
    return container.run(*line[:-2], container.health, service).returncode


def wait_until_live(container: Container, process: subprocess.Popen[str]) -> None:
    started = time.monotonic()
    while probe(container, "live") != 0:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - started < PATIENCE
        time.sleep(2.0)  # a probe is a process, and costs more than what it asks for


def start(container: Container, role: str) -> subprocess.Popen[str]:
    line = [*json.loads(image_says("base", "ENTRYPOINT")), *json.loads(image_says(role, "CMD"))]
    return subprocess.Popen(
        container.command(line),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_the_root_cannot_be_written(container: Container) -> None:
    assert container.run("touch", "/srv/laennec/a").returncode == 0
    assert container.run("touch", "/tmp/a").returncode == 0  # noqa: S108
    assert "Read-only" in container.run("touch", str(ROOT / "a")).stderr
    assert container.run("id", "-u").stdout.strip() == str(USER)


@pytest.mark.parametrize("role", ["hospital", "coordinator"])
def test_an_image_starts_answers_probes_is_backed_up_and_stops(container: Container, role: str) -> None:
    begin = ["laennec", role, "init", "/srv/laennec/home", "--name", "brest"]
    if role == "coordinator":
        begin += ["--host", "localhost", "--nodes", str(free_port()), "--door", str(free_port())]
    made = container.run(*begin)
    assert made.returncode == 0, made.stderr
    if role == "hospital":
        settings = container.home() / "hospital.toml"
        away = f'coordinator = "127.0.0.1:{free_port()}"\ncertificate = "system"\n'
        settings.write_text(settings.read_text().replace("\n", f"\n{away}", 1))
    process = start(container, role)
    try:
        wait_until_live(container, process)
        if role == "hospital":  # nobody answers it: it lives, and is of no use yet
            assert probe(container, "") == 1
        else:
            started = time.monotonic()
            while probe(container, "") != 0:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() - started < PATIENCE
                time.sleep(2.0)  # a probe is a process, and costs more than what it asks for
        saved = container.run("laennec", role, "backup", "/srv/laennec/b.tar")
        assert saved.returncode == 0, saved.stderr
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, (out, err)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
