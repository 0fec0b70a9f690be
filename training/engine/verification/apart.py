"""Call a function in a process of its own: a crash there ends that process only, and each call starts with clean state.

The processes are forked from a server that has imported the slow libraries already and has computed nothing.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from training.engine.verification.jobs import NotOffered, Refused

PRELOAD = ["torch", "transformers", "peft", "accelerate", "datasets", "trl.trainer.dpo_trainer"]
LIMIT_S = 600.0


class Crashed(RuntimeError):
    """The process ended without an answer, took too long, or raised what is no refusal."""


def call(function: Callable[..., Any], *arguments: Any, log: Path, limit: float = LIMIT_S) -> Any:
    """`function(*arguments)`, its output appended to `log`. Raises Refused, NotOffered or Crashed.

    Function, arguments and result are pickled.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_inside, args=(sender, log, function, arguments))
    process.start()
    sender.close()
    try:
        if not receiver.poll(limit):
            process.kill()
            raise Crashed(f"no answer within {limit:.0f} s (log: {log})")
        kind, value = receiver.recv()
    except EOFError:
        process.join()
        raise Crashed(f"the process ended with exit code {process.exitcode} (log: {log})") from None
    finally:
        process.join()
        receiver.close()
    if kind == "result":
        return value
    raise {"refused": Refused, "not offered": NotOffered}.get(kind, Crashed)(value)


def _inside(sender: Connection, log: Path, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    import torch

    torch.set_num_threads(1)
    try:
        sender.send(("result", function(*arguments)))
    except Refused as error:
        sender.send(("refused", str(error)))
    except NotOffered as error:
        sender.send(("not offered", str(error)))
    except Exception as error:
        import traceback

        traceback.print_exc(file=sys.stderr)
        sender.send(("crashed", f"{type(error).__name__}: {first_line(error)}"))


def first_line(error: BaseException, limit: int = 300) -> str:
    """The first line with text of an error's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:limit]
