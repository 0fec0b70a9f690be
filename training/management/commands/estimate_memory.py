import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.box import SIMPLE_HEAD
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
PARTS = ("weights", "gradients", "optimizer", "activations", "logits", "process")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way to train, in bytes; parts that are not known are missing, and then `total` is the least it can be."""

    method: str
    objective: str
    precision: str
    parts: dict[str, float]
    total: float

    @property
    def is_whole(self) -> bool:
        return len(self.parts) == len(PARTS)


@dataclass(frozen=True, kw_only=True)
class Room:
    """Bytes that a training may take, and the RAM into which weights are read; None where that is not known."""

    memory: int | None
    ram: int | None


class Command(BaseCommand):
    help = (
        "Estimate the memory that training a model needs, for LoRA, QLoRA and full fine-tuning, SFT and DPO, in "
        "float32 and bfloat16, and say what fits into the memory that is free here (or into --memory). Nothing is "
        "loaded; a config.json is enough (--config), or a number of parameters (--parameters: the least that is "
        "needed). GiB are 2^30 bytes."
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
        parser.add_argument(
            "--memory",
            type=float,
            metavar="GIB",
            help="the memory it must fit into, in GiB; default: what is free here",
        )
        parser.add_argument("--parts", action="store_true", help="list weights, gradients, optimizer and so on as well")
        parser.add_argument("--width", type=int, help="table width in characters; default: the terminal's")

    def handle(self, *args: Any, **options: Any) -> None:
        sources = [name for name in ("model", "config", "parameters") if options[name]]
        if len(sources) != 1:
            raise CommandError("no model: give a model folder or a checkpoint's id, or --config, or --parameters")
        for name in ("max_length", "batch_size", "lora_r"):
            if options[name] < 1:
                raise CommandError(f"--{name.replace('_', '-')} must be at least 1")
        if options["memory"] is not None and not (math.isfinite(options["memory"]) and options["memory"] > 0):
            raise CommandError("--memory must be above 0, in GiB")
        gpus = hardware.gpus()
        gpu = options["gpu"] or bool(gpus)
        console = Console(file=cast(IO[str], self.stdout), width=options["width"])
        try:
            if options["parameters"]:
                if not (math.isfinite(options["parameters"]) and options["parameters"] >= 1):
                    raise CommandError("--parameters must be at least 1")
                parameters = int(options["parameters"])
                rows = list(static_rows(parameters))
            else:
                config, counted = self.model(options)
                shape = model_shape.Shape.from_config(config)
                parameters = counted or shape.parameters
                rows = list(estimated_rows(config, counted, options, gpu=gpu))
                if not shape.known:
                    known = ", ".join(model_shape.KNOWN)
                    warning = f"{shape.model_type or 'the model'} is not one of {known}: treated as Llama"
                    self.stderr.write(warning)
        except ModelError as error:
            raise CommandError(str(error)) from error
        room = room_for(options["memory"], gpu=gpu, gpus=gpus)
        to_read = memory_estimate.FP32 * parameters
        self.stdout.write(describe_weights(parameters))
        console.print(table(rows, room, to_read))
        if options["parts"]:
            console.print(parts_table(rows))
        for line in describe_room(room, to_read, options["memory"], gpu=gpu, gpus=gpus):
            self.stdout.write(line)

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


def estimated_rows(config: model_shape.Config, counted: int, options: dict[str, Any], *, gpu: bool) -> Iterator[Row]:
    packing = not options["no_packing"]
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
                yield Row(
                    method=name,
                    objective=objective.upper(),
                    precision=precision,
                    parts={part: getattr(estimate, part) for part in PARTS},
                    total=estimate.total + estimate.process,
                )


def static_rows(parameters: int) -> Iterator[Row]:
    """For so many parameters, without what depends on the architecture (adapters, activations, logits)."""
    fp32, bf16, moments = memory_estimate.FP32, memory_estimate.BF16, memory_estimate.ADAM_MOMENTS
    for method, precision, sizes in (
        ("LoRA", "fp32", {"weights": fp32}),
        ("LoRA", "bf16", {"weights": bf16}),
        ("QLoRA", "4 bits", {"weights": memory_estimate.NF4_BYTES}),
        ("full", "fp32", {"weights": fp32, "gradients": fp32, "optimizer": moments}),
    ):
        parts = {part: size * parameters for part, size in sizes.items()}
        yield Row(method=method, objective="any", precision=precision, parts=parts, total=sum(parts.values()))


def room_for(memory: float | None, *, gpu: bool, gpus: list[hardware.Gpu]) -> Room:
    """What is free here, on the GPU with the most; or `memory` GiB of a machine of whose RAM beside a GPU nothing is
    known."""
    if memory is not None:
        size = int(memory * hardware.GIBIBYTE)
        return Room(memory=size, ram=None if gpu else size)
    ram = hardware.available_ram()
    if gpu:
        return Room(memory=max((card.free for card in gpus), default=None), ram=ram)
    return Room(memory=ram, ram=ram)


def fits(row: Row, room: Room, to_read: int) -> str:
    """`to_read`: bytes of the weights in float32, which an engine reads into RAM before it trains."""
    limits = [(row.total, room.memory), (to_read, room.ram)]
    if any(limit is not None and needed > limit for needed, limit in limits):
        return "no"
    return "yes" if row.is_whole and room.memory is not None else UNKNOWN


def table(rows: list[Row], room: Room, to_read: int) -> Table:
    printed = Table("method", "objective", "precision", box=SIMPLE_HEAD)
    printed.add_column("total (GiB)", justify="right")
    printed.add_column("fits")
    for row in rows:
        total = f"{'' if row.is_whole else 'at least '}{in_gib(row.total)}"
        printed.add_row(row.method, row.objective, row.precision, total, fits(row, room, to_read))
    return printed


def parts_table(rows: list[Row]) -> Table:
    """At most 80 columns wide up to 9,999 GiB."""
    printed = Table("parts, in GiB", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for name in PARTS:
        printed.add_column(name, justify="right")
    for row in rows:
        values = [in_gib(row.parts[part]) if part in row.parts else UNKNOWN for part in PARTS]
        printed.add_row(f"{row.method} {row.objective} {row.precision}", *values)
    return printed


def in_gib(count: float) -> str:
    size = count / hardware.GIBIBYTE
    return f"{size:,.1f}" if size >= 1 or not size else f"{size:.2g}"


def describe_weights(parameters: int) -> str:
    sizes = [
        hardware.gibibytes(size * parameters)
        for size in (memory_estimate.BF16, memory_estimate.FP32, memory_estimate.NF4_BYTES)
    ]
    return (
        f"{parameters:,} parameters: {sizes[0]} in half precision, {sizes[1]} in full precision, {sizes[2]} in 4 bits"
    )


def describe_room(
    room: Room, to_read: int, memory: float | None, *, gpu: bool, gpus: list[hardware.Gpu]
) -> Iterator[str]:
    """What `fits` was asked of."""
    if memory is not None:
        yield f"Compared with {hardware.gibibytes(memory * hardware.GIBIBYTE)} (--memory)."
    else:
        ram = f"{hardware.gibibytes(hardware.available_ram())} of {hardware.gibibytes(hardware.total_ram())} RAM free"
        cards = [
            f"{card.name}: {hardware.gibibytes(card.free)} of {hardware.gibibytes(card.total)} free" for card in gpus
        ]
        yield f"This machine: {'; '.join([ram, *cards] if cards else [ram, 'no NVIDIA GPU'])}"
        if room.memory is None:
            yield "Whether it fits is not known without a GPU here: --memory 80 asks about one with 80 GiB."
    if room.ram is None or to_read > room.ram:
        free = "" if room.ram is None else f"; {hardware.gibibytes(room.ram)} are free"
        yield f"Weights are read in float32 first, which takes {hardware.gibibytes(to_read)} of RAM{free}."
