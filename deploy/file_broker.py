"""Celery's messages as files, for processes that may be killed while they write one, and for disks that fill.

kombu's transport writes a file in place, and whoever lists the folder in that moment reads half of it: that ended the
worker, and a half-written table of queues kept it from starting again.
"""

import contextlib
import logging
import os
import uuid
from pathlib import Path
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps

log = logging.getLogger(__name__)


class Channel(filesystem.Channel):  # type: ignore[misc]
    def _put(self, queue: str, payload: Any, **options: Any) -> None:
        """Under another name first: a message is there as a whole, or not at all."""
        folder = Path(self.data_folder_out)
        waiting = folder / f".{uuid.uuid4()}"
        try:
            waiting.write_bytes(dumps(payload).encode())
            waiting.rename(folder / f"{filesystem.monotonic() * 1000:.0f}_{uuid.uuid4()}.{queue}.msg")
        except OSError as error:
            with contextlib.suppress(OSError):
                waiting.unlink(missing_ok=True)
            raise ChannelError(f"cannot add a message to {folder}: {error}") from error

    def _get(self, queue: str) -> Any:
        """A message that cannot be read is dropped: what is due is in the database, and found there."""
        while True:
            try:
                return super()._get(queue)
            except ValueError as error:
                log.warning("A message of the queue %s cannot be read and is dropped: %s", queue, error)

    def get_table(self, exchange: str) -> Any:
        self._drop_torn(exchange)
        return super().get_table(exchange)

    def _queue_bind(self, exchange: str, *arguments: Any) -> None:
        self._drop_torn(exchange)
        super()._queue_bind(exchange, *arguments)

    def _drop_torn(self, exchange: str) -> None:
        """The table is written again by everybody who binds a queue."""
        with contextlib.suppress(OSError):
            path = self._exchange_file(exchange)
            try:
                filesystem.loads(path.read_text())
            except ValueError:
                log.warning("%s is damaged and is written again", path)
                os.unlink(path)


class Transport(filesystem.Transport):  # type: ignore[misc]
    Channel = Channel
