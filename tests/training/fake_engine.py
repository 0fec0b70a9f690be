"""An engine that misbehaves on demand, for what the real ones do only on bad days. It needs no model library.

`python -m tests.training.fake_engine RUN_DIR`; the file `behaviour` in that directory (or in the one above) says what
to do.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from training.contract.run_directory import CONFIG, LINEAGE, TRAINER_STATE, RunDirectory, checkpoint_step

STEPS = 6


def main(directory: RunDirectory) -> int:
    said = [folder / "behaviour" for folder in (directory.path, directory.path.parent)]
    behaviour = next((path.read_text().strip() for path in said if path.exists()), "succeeds")
    print(f"fake engine: {behaviour}, pid {os.getpid()}", flush=True)
    with (directory.path / "starts").open("a") as file:
        file.write(f"{os.getpid()}\n")
    with directory.engine_lock():
        directory.result_path.unlink(missing_ok=True)
        if behaviour == "exits":
            print("RuntimeError: the ninth layer is on fire", flush=True)
            return 1
        if behaviour == "fails":
            directory.write_result(status="failed", error="Out of memory. Lower batch_size.", metrics={}, tokens=0)
            return 1
        if behaviour == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if behaviour == "torn":
            directory.append_metric(step=1, total_steps=STEPS, loss=2.5)
            with directory.metrics_path.open("a") as metrics:
                metrics.write('{"step": 2, "total_st')
        if behaviour in ("deaf", "torn", "hangs"):
            time.sleep(600)
            return 1
        if directory.read_config().program == "evaluate":
            return evaluate(directory)
        if directory.read_config().program == "generate":
            return generate(directory, "the same" if behaviour == "repeats" else directory.read_config().model.adapters)
        return train(directory, pause=0.05 if behaviour == "slow" else 0)


def train(directory: RunDirectory, pause: float) -> int:
    last = directory.last_checkpoint()
    first = checkpoint_step(last) if last else 0
    for step in range(first + 1, STEPS * (20 if pause else 1) + 1):
        if directory.cancel_requested():
            directory.write_result(status="cancelled", error="", metrics={}, tokens=0)
            return 3
        directory.append_metric(step=step, total_steps=120 if pause else STEPS, loss=3 / step, tokens_per_s=100.0)
        checkpoint = directory.checkpoint(step)
        checkpoint.mkdir()
        (checkpoint / TRAINER_STATE).write_text("{}")
        time.sleep(pause)
    leave_model(directory)
    metrics = {"steps": step, "first_loss": 3.0, "loss": 3 / step}
    used = round(1000 * directory.read_config().share)
    directory.write_result(status="succeeded", error="", metrics=metrics, tokens=1234, wall_s=2.0, rows={"used": used})
    return 0


def evaluate(directory: RunDirectory) -> int:
    """200 held-out pairs; the more of the prompts a model was trained on, the more of them come out right."""
    model = Path(directory.read_config().model.adapters[-1])
    share = json.loads((model.parent / CONFIG).read_text())["share"]
    right = round(200 * (0.5 + 0.45 * share**0.5))
    with directory.scores_path.open("w") as file:
        for row in range(200):
            logps = {"model_chosen_logp": -3 if row < right else -7, "model_rejected_logp": -5}
            before = {"reference_chosen_logp": -5, "reference_rejected_logp": -5}
            file.write(json.dumps({"row": row, **logps, **before}) + "\n")
    accuracy = right / 200
    metrics = {"reward_accuracy": accuracy, "reward_accuracy_interval": [accuracy - 0.06, accuracy + 0.06]}
    directory.write_result(status="succeeded", error="", metrics={"rows": 200, **metrics}, tokens=9)
    return 0


def generate(directory: RunDirectory, words: object) -> int:
    lines = directory.prompts_path.read_text().splitlines()
    with directory.candidates_path.open("w") as file:
        for line in lines:
            text = {"prompt": json.loads(line)["id"], "index": 0, "text": f"Said by {words}", "tokens": 3}
            file.write(json.dumps(text) + "\n")
        file.write(json.dumps({"prompt": json.loads(lines[0])["id"], "error": "too long"}) + "\n")
        file.write('{"prompt": 1, "te')  # torn
    directory.append_metric(done=len(lines), total=len(lines))
    directory.write_result(status="succeeded", error="", metrics={"candidates": len(lines)}, tokens=9)
    return 0


def leave_model(directory: RunDirectory) -> None:
    config = json.loads(directory.config_path.read_text())
    directory.model.mkdir(exist_ok=True)
    adapter = config.get("lora") is not None
    weights = "adapter_model.safetensors" if adapter else "model.safetensors"
    (directory.model / weights).write_bytes(str(directory.path).encode())
    (directory.model / ("adapter_config.json" if adapter else "config.json")).write_text("{}")
    lineage = {**config["model"], "this": "adapter" if adapter else "full"}
    (directory.model / LINEAGE).write_text(json.dumps(lineage))


if __name__ == "__main__":
    raise SystemExit(main(RunDirectory(Path(sys.argv[1]))))
