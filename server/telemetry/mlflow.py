"""A study as a run of MLflow, where that is installed: its terms, its metrics by round, its results.

MLflow is no dependency: `pip install mlflow` turns this on. Runs go where MLFLOW_TRACKING_URI says, else into
HOME/mlflow.db (`mlflow ui --backend-store-uri sqlite:///HOME/mlflow.db`). What is sent is what the dashboard
shows. Nothing here stops a study: a tracking server that does not answer costs a line in the log, once.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from server.events import Advanced, Event
from server.progress import Progress
from server.report.result import mean
from tasks.study import Study

log = logging.getLogger("laennec.mlflow")
EXPERIMENT = "laennec"
COUNT = "contributors"  # of the round that followed: one for each evaluation that was sent
# MLflow's own patience is minutes, in which the study would wait: seconds and attempts.
IMPATIENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


def is_installed() -> bool:
    """Whether MLflow is there."""
    return find_spec("mlflow") is not None


class Tracker:
    """A listener of `server.events` that keeps a run of MLflow up to date; a resumed study goes on with it.

    `home` is the coordinator's.
    """

    def __init__(self, study: Study, home: Path) -> None:
        self._study, self._home = study, home
        self._client: Any = None
        self._run, self._sent, self._well = "", 0, True

    def __call__(self, event: Event) -> None:
        """Send what is new."""
        if isinstance(event, Advanced):
            self._try(lambda: self._advanced(event.progress))

    def end(self, state: str) -> None:
        """The study is "done", "stopped" or "failed"."""
        word = {"done": "FINISHED", "stopped": "KILLED"}.get(state, "FAILED")
        if self._run:
            self._try(lambda: self._client.set_terminated(self._run, word))

    def _advanced(self, progress: Progress) -> None:
        if self._client is None:
            self._open()
        for number in range(self._sent, len(progress.history)):
            record = progress.history[number]
            for name, value in {**record.summed, **mean(record.metrics)}.items():
                self._number(name, value, record.after)
            for hospital, values in record.metrics.items():
                for name, value in values.items():
                    self._number(f"{hospital}/{name}", value, record.after)
            self._number(COUNT, float(len(record.contributors)), record.after + 1)
            self._sent = number + 1

    def _number(self, name: str, value: float, step: int) -> None:
        if math.isfinite(value):
            self._client.log_metric(self._run, name, value, step=step)

    def _open(self) -> None:
        """The run of this study, taken up again where there is one."""
        for name, value in IMPATIENT.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient  # type: ignore[import-not-found, unused-ignore]

        client = MlflowClient(
            os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self._home / 'mlflow.db'}"
        )
        found = client.get_experiment_by_name(EXPERIMENT)
        experiment = client.create_experiment(EXPERIMENT) if found is None else found.experiment_id
        runs = client.search_runs([experiment], f"tags.digest = '{self._study.digest}'")
        if runs:
            self._run = str(runs[0].info.run_id)
            client.update_run(self._run, status="RUNNING")
            self._sent = len(client.get_metric_history(self._run, COUNT))
        else:
            tags = {"digest": self._study.digest, "task": self._study.task}
            run = client.create_run(experiment, tags=tags, run_name=self._study.name)
            self._run = str(run.info.run_id)
            for key, term in _terms(self._study).items():
                client.log_param(self._run, key, term)
        self._client = client

    def _try(self, act: Callable[[], object]) -> None:
        if not self._well:
            return
        try:
            act()
        except Exception as error:  # of any kind: it is another project's
            self._well = False
            log.warning("MLflow is not told any more of %s: %s", self._study.name, type(error).__name__)


def _terms(study: Study) -> dict[str, object]:
    """What the study asks for, flat."""
    values = study.model_dump(mode="json", exclude_none=True)
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": each for key, each in value.items()}
        else:
            flat[name] = value
    return flat
