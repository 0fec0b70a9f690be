"""Ctrl-C for what the tests start, however they were started themselves."""

import contextlib
import signal


def restore_interrupt() -> None:
    """Let child processes react to SIGINT again.

    A background job of a shell and some CI runners start programs with SIGINT ignored, and an ignored signal stays
    ignored in every child. A handled one is reset to the default when a child starts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        with contextlib.suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGINT, signal.default_int_handler)
