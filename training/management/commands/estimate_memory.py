from pathlib import Path
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table

from training.cli.progress import get_checkpoint, plain_errors
from training.contract import hardware, memory_estimate, model_shape
from training.contract.config import LoraSettings
from training.contract.errors import ModelError
from training.engine_jobs.model_folders import resolve, source_of
from training.results.checkpoints import model_source

METHODS: tuple[tuple[memory_estimate.Method, str], ...] = (("lora", "LoRA"), ("qlora", "QLoRA"), ("full", "full"))
OBJECTIVES: tuple[memory_estimate.Objective, ...] = ("sft", "dpo")
PRECISIONS = ((memory_estimate.FP32, "fp32"), (memory_estimate.BF16, "bf16"))
UNKNOWN = "–"
PARTS = ("weights", "gradients", "optimizer", "activations", "logits")


class Command(BaseCommand):
    help = (
        "Estimate the memory that training a model needs, part by part, for LoRA, QLoRA and full fine-tuning, SFT and "
        "DPO, in float32 and bfloat16, and show what this machine has. Nothing is loaded; a config.json is enough "
        "(--config), or a number of parameters (--parameters, without activations). GB are 10^9 bytes."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_argument_group("which model (one of these)")
        which.add_argument("model", nargs="?", default="", help="a model folder, or the id of a checkpoint")
        which.add_argument("--config", help="a config.json; no weights needed")
        which.add_argument("--parameters", type=float, help="parameter count, such as 7.24e9: static parts only")
        how = parser.add_argument_group("training settings")
        how.add_argument("--max-length", type=int, default=1024, help="tokens of prompt and completion; default 1024")
        how.add_argument(
            "--micro-batch-tokens", type=int, default=0, help="tokens per micro-batch; default: the longest row"
        )
        how.add_argument(
            "--no-packing", action="store_true", help="without packing (plain TRL), --batch-size rows at a time"
        )
        how.add_argument("--batch-size", type=int, default=8, help="rows per batch without packing; default 8")
        how.add_argument("--lora-r", type=int, default=16, help="the adapter's rank; default 16")
        how.add_argument("--gradient-checkpointing", action="store_true", help="keep only the input of each layer")
        how.add_argument("--gpu", action="store_true", help="estimate for a GPU; default: if this machine has one")
        parser.add_argument("--width", type=int, help="table width in characters; default: the terminal's")

    def handle(self, *args: Any, **options: Any) -> None:
        sources = [name for name in ("model", "config", "parameters") if options[name]]
        if len(sources) != 1:
            raise CommandError("no model: give a model folder or a checkpoint's id, or --config, or --parameters")
        for name in ("max_length", "batch_size", "lora_r"):
            if options[name] < 1:
                raise CommandError(f"--{name.replace('_', '-')} must be at least 1")
        gpus = hardware.gpus()
        console = Console(file=cast(IO[str], self.stdout), width=options["width"])
        try:
            if options["parameters"]:
                parameters = int(options["parameters"])
                if parameters < 1:
                    raise CommandError("--parameters must be at least 1")
                rows = static_rows(parameters)
            else:
                config, counted = self.model(options)
                shape = model_shape.Shape.from_config(config)
                parameters = counted or shape.parameters
                rows = estimated_rows(config, counted, options, gpu=options["gpu"] or bool(gpus))
                if not shape.known:
                    known = ", ".join(model_shape.KNOWN)
                    warning = f"{shape.model_type or 'the model'} is not one of {known}: treated as Llama"
                    self.stderr.write(warning)
        except ModelError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(describe_weights(parameters))
        console.print(table(rows))
        self.stdout.write(describe_machine(gpus))

    def model(self, options: dict[str, Any]) -> tuple[model_shape.Config, int]:
        """The configuration, and the parameters that the weights' headers count (0: no weights there)."""
        if options["config"]:
            path = Path(options["config"])
            return model_shape.read_config(path / "config.json" if path.is_dir() else path), 0
        with plain_errors():
            if options["model"].isdecimal():
                base = str(model_source(get_checkpoint(int(options["model"]))).base)
            else:
                base = source_of(options["model"]).base
            folder = resolve(base)
        return model_shape.read_config(folder / "config.json"), model_shape.count_parameters(folder)


def estimated_rows(config: model_shape.Config, counted: int, options: dict[str, Any], *, gpu: bool) -> list[list[str]]:
    packing = not options["no_packing"]
    rows = []
    for method, name in METHODS:
        for objective in OBJECTIVES:
            tokens, line = memory_estimate.micro_batch(
                objective,
                packing=packing,
                max_length=options["max_length"],
                micro_batch_tokens=options["micro_batch_tokens"],
                batch_size=options["batch_size"],
            )
            for bytes_per_value, precision in PRECISIONS:
                estimate = memory_estimate.estimate(
                    config,
                    method=method,
                    objective=objective,
                    bytes_per_value=bytes_per_value,
                    tokens=tokens,
                    line=line,
                    lora=LoraSettings(r=options["lora_r"]),
                    gradient_checkpointing=options["gradient_checkpointing"],
                    packing=packing,
                    gpu=gpu,
                    parameters=counted or None,
                )
                parts = [hardware.gigabytes(getattr(estimate, part)) for part in PARTS]
                total = hardware.gigabytes(estimate.total)
                rows.append([name, objective.upper(), precision, *parts, total, hardware.gigabytes(estimate.process)])
    return rows


def static_rows(parameters: int) -> list[list[str]]:
    """For so many parameters, without what depends on the architecture (adapters, activations, logits)."""
    sizes = [
        ("LoRA", "fp32", memory_estimate.FP32),
        ("LoRA", "bf16", memory_estimate.BF16),
        ("QLoRA", "4 bits", memory_estimate.NF4_BYTES),
    ]
    unknown = [UNKNOWN] * 6
    rows = [[name, "any", width, hardware.gigabytes(size * parameters), *unknown] for name, width, size in sizes]
    full = [
        hardware.gigabytes(size * parameters)
        for size in (memory_estimate.FP32, memory_estimate.FP32, memory_estimate.ADAM_MOMENTS)
    ]
    return [*rows, ["full", "any", "fp32", *full, *unknown[2:]]]


def table(rows: list[list[str]]) -> Table:
    printed = Table(title="memory by part")
    for name in ("method", "objective", "precision"):
        printed.add_column(name)
    for name in (*PARTS, "total", "process"):
        printed.add_column(name, justify="right")
    for row in rows:
        printed.add_row(*row)
    return printed


def describe_weights(parameters: int) -> str:
    sizes = [
        hardware.gigabytes(size * parameters)
        for size in (memory_estimate.BF16, memory_estimate.FP32, memory_estimate.NF4_BYTES)
    ]
    return (
        f"{parameters:,} parameters: {sizes[0]} in half precision, {sizes[1]} in full precision, {sizes[2]} in 4 bits "
        "(GB: 10^9 bytes)"
    )


def describe_machine(gpus: list[hardware.Gpu]) -> str:
    ram = f"{hardware.gigabytes(hardware.available_ram())} of {hardware.gigabytes(hardware.total_ram())} RAM free"
    cards = [f"{gpu.name}: {hardware.gigabytes(gpu.free)} of {hardware.gigabytes(gpu.total)} free" for gpu in gpus]
    return f"This machine: {'; '.join([ram, *cards] if cards else [ram, 'no NVIDIA GPU'])}"
