"""Forward the lines of metrics.jsonl to TensorBoard, MLflow or Weights & Biases (`report_to` in run.json).

Trackers get our metric names, the whole configuration, lineage and dataset sha256. They keep their files in the run
directory unless the operator configures another place (MLFLOW_TRACKING_URI, WANDB_MODE, WANDB_API_KEY). A tracker
that cannot start ends the run before anything is computed; one that fails later is dropped with a warning.
"""

import contextlib
import dataclasses
import importlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from training.contract import config as configs
from training.contract import lineage
from training.contract.config import TrainingConfig
from training.contract.errors import Cancelled, EngineError
from training.contract.run_directory import MLRUNS, TENSORBOARD, checkpoint_step
from training.engine.runtime import distributed
from training.engine.runtime.run import Run

log = logging.getLogger("konomi.engine")

# Fields of a line of metrics.jsonl that are not metrics.
NOT_METRICS = {"step", "total_steps", "at", "time_left_s"}
MLFLOW_RUN = "mlflow-run-id"
MLFLOW_STATUS = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
MLFLOW_BATCH = 100


class TrackingError(EngineError):
    """A tracker that is not installed, or that cannot start."""


class Tracker(Protocol):
    def log(self, step: int, metrics: dict[str, float]) -> None: ...

    def close(self, status: str) -> None:
        """`status` is succeeded, failed or cancelled."""


@contextlib.contextmanager
def tracked(run: Run) -> Iterator[None]:
    """Within this context, the training steps that `run.record` writes go to the trackers too. Raises TrackingError."""
    names = run.config.report_to if isinstance(run.config, TrainingConfig) and distributed.is_main_process() else ()
    trackers = open_trackers(run, names)
    if not trackers:
        yield
        return

    def listen(values: dict[str, Any]) -> None:
        if "loss" not in values:
            return
        metrics = {name: float(value) for name, value in values.items() if name not in NOT_METRICS}
        for name in list(trackers):
            try:
                trackers[name].log(int(values["step"]), metrics)
            except Exception:
                log.warning("%s failed and is dropped from step %s on", name, values["step"], exc_info=True)
                del trackers[name]

    run.listeners.append(listen)
    status = "failed"
    try:
        yield
        status = "cancelled" if run.cancelled() else "succeeded"
    except Cancelled:
        status = "cancelled"
        raise
    finally:
        run.listeners.remove(listen)
        for name, tracker in trackers.items():
            try:
                tracker.close(status)
            except Exception:
                log.warning("%s could not be closed", name, exc_info=True)


def open_trackers(run: Run, names: tuple[str, ...]) -> dict[str, Tracker]:
    if missing := [name for name in names if find_spec(name) is None]:
        raise TrackingError(
            f"{', '.join(missing)} is not installed: pip install 'konomi[tracking]', or leave it out of report_to"
        )
    opened: dict[str, Tracker] = {}
    for name in names:
        try:
            opened[name] = TRACKERS[name](run)
        except Exception as error:
            for other in opened.values():
                other.close("failed")
            raise TrackingError(f"{name} cannot start: {type(error).__name__}: {str(error)[:500]}") from error
        log.info("%s tracks this run", name)
    return opened


def parameters(run: Run) -> dict[str, str]:
    """The configuration, nested names joined by dots, and the fields that trackers search by.

    Names stand for paths: trackers are often shared, and a path means nothing on another machine.
    """
    config = lineage.named_config(run.config)
    values = {
        "lineage": " + ".join([config.model.base, *config.model.adapters]),
        "run_directory": run.directory.path.name,
    }

    def flatten(prefix: str, fields: dict[str, Any]) -> None:
        for name, value in fields.items():
            if isinstance(value, dict):
                flatten(f"{prefix}{name}.", value)
            else:
                values[prefix + name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    flatten("", dataclasses.asdict(config))
    return values


class TensorBoard:
    """Event files in `tensorboard/` of the run directory: `tensorboard --logdir var/runs` shows all runs."""

    def __init__(self, run: Run) -> None:
        from torch.utils.tensorboard import SummaryWriter

        steps = [line["step"] for line in run.directory.read_metrics()[0] if "loss" in line]
        folder = run.directory.path / TENSORBOARD
        # A resumed run repeats some steps: their earlier values are purged.
        last = run.directory.last_checkpoint()
        done = checkpoint_step(last) + 1 if last else 0
        self.writer = SummaryWriter(log_dir=str(folder), purge_step=done if steps else None)
        self.writer.add_text("configuration", "```json\n" + configs.to_json(lineage.named_config(run.config)) + "```")
        for name in ("run_id", "lineage", "dataset_sha256"):
            self.writer.add_text(name, parameters(run)[name])

    def log(self, step: int, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def close(self, status: str) -> None:
        self.writer.add_text("status", status)
        self.writer.close()


class MLflow:
    """On MLFLOW_TRACKING_URI, or in `mlruns/` of the run directory; a resumed run continues under the same id."""

    def __init__(self, run: Run) -> None:
        path: Path = run.directory.path
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        mlflow = importlib.import_module("mlflow")
        uri = os.environ.get("MLFLOW_TRACKING_URI") or (path / MLRUNS).as_uri()
        self.client = mlflow.MlflowClient(tracking_uri=uri)
        id_file = path / MLFLOW_RUN
        if id_file.is_file():
            self.id = id_file.read_text().strip()
            self.client.update_run(self.id, status="RUNNING")
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "konomi")
        known = self.client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else self.client.create_experiment(name)
        self.id = self.client.create_run(experiment, run_name=run.config.run_id).info.run_id
        entities = importlib.import_module("mlflow.entities")
        rows = [entities.Param(name, value[:6000]) for name, value in parameters(run).items()]
        for first in range(0, len(rows), MLFLOW_BATCH):
            self.client.log_batch(self.id, params=rows[first : first + MLFLOW_BATCH])
        id_file.write_text(self.id + "\n")

    def log(self, step: int, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            self.client.log_metric(self.id, name, value, step=step)

    def close(self, status: str) -> None:
        self.client.set_terminated(self.id, MLFLOW_STATUS[status])


class WeightsAndBiases:
    """Offline in `wandb/` of the run directory (`wandb sync` sends it), unless WANDB_MODE or WANDB_API_KEY is set."""

    def __init__(self, run: Run) -> None:
        if "WANDB_API_KEY" not in os.environ:
            os.environ.setdefault("WANDB_MODE", "offline")
        wandb = importlib.import_module("wandb")
        config = {**parameters(run), **dataclasses.asdict(lineage.named_config(run.config))}
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "konomi"),
            name=run.config.run_id,
            dir=str(run.directory.path),
            config=config,
            settings=wandb.Settings(
                console="off",
                disable_git=True,
                disable_code=True,
                silent=True,
                x_disable_meta=True,  # it would name the program's and the interpreter's folders, and the host
            ),
        )

    def log(self, step: int, metrics: dict[str, float]) -> None:
        self.run.log(metrics, step=step)

    def close(self, status: str) -> None:
        self.run.finish(exit_code=0 if status == "succeeded" else 1)


TRACKERS: dict[str, Callable[[Run], Tracker]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WeightsAndBiases,
}
