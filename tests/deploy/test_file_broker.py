"""Messages as files: half-written ones end no worker, and a full disk leaves none behind."""

import errno
import uuid
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection, Exchange, Queue
from kombu.exceptions import ChannelError

from deploy import file_broker


@pytest.fixture
def name():
    """Of a queue: kombu keeps for each process which ones it knows."""
    return uuid.uuid4().hex


@pytest.fixture
def folders(tmp_path):
    for name in ("queue", "control"):
        (tmp_path / name).mkdir()
    return tmp_path


def queue_named(name):
    return Queue(name, Exchange(name, type="direct"), routing_key=name)


def connection(folders):
    options = {"data_folder_in": f"{folders}/queue", "data_folder_out": f"{folders}/queue"}
    return Connection("filesystem://", transport_options={**options, "control_folder": f"{folders}/control"})


def test_a_message_arrives(folders, name):
    with connection(folders) as sender, connection(folders) as receiver:
        assert isinstance(sender.transport, file_broker.Transport)
        with sender.SimpleQueue(queue_named(name)) as out, receiver.SimpleQueue(queue_named(name)) as into:
            out.put({"id": 7})
            message = into.get(timeout=5)
            assert message.payload == {"id": 7}
            message.ack()
    assert not list((folders / "queue").iterdir())


@pytest.mark.parametrize("torn", [b"", b'{"body": "aG', b"\xff\xfe"])
def test_a_torn_message_is_dropped_and_the_next_is_read(folders, name, torn):
    (folders / "queue" / f"1_torn.{name}.msg").write_bytes(torn)
    with connection(folders) as link, link.SimpleQueue(queue_named(name)) as queue:
        queue.put({"id": 8})
        message = queue.get(timeout=5)
        assert message.payload == {"id": 8}
        message.ack()
        with pytest.raises(Empty):
            queue.get(block=False)


@pytest.mark.parametrize("torn", [b"", b'[["jobs", "'])
def test_a_torn_table_of_queues_is_written_again(folders, name, torn):
    (folders / "control" / f"{name}.exchange").write_bytes(torn)
    test_a_message_arrives(folders, name)


def test_a_full_disk_leaves_no_part_of_a_message(folders, name, monkeypatch):
    def full(self, content):
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with connection(folders) as link, link.SimpleQueue(queue_named(name)) as queue:
        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(ChannelError, match="No space left"):
            queue.put({"id": 9})
    assert not list((folders / "queue").iterdir())
