"""The message broker: whether this installation can use the one that CELERY_BROKER_URL names."""

import socket
from importlib.util import find_spec
from urllib.parse import urlsplit

# Scheme → the package that its transport needs, and the extra that installs it.
NEEDS = {"filesystem": None, "amqp": None, "amqps": None, "pyamqp": None, "redis": "redis", "rediss": "redis"}


PORTS = {"amqp": 5672, "amqps": 5671, "pyamqp": 5672, "redis": 6379, "rediss": 6379}
SECONDS_TO_ANSWER = 3.0


def silence_of(url: str) -> str:
    """Why nobody listens where the broker should be; empty where somebody does, and for files. The worker would try
    again and again and not end, so that nothing says why no job is done."""
    parts = urlsplit(url)
    scheme = parts.scheme.partition("+")[0]
    if scheme not in PORTS:
        return ""
    host, port = parts.hostname or "localhost", parts.port or PORTS[scheme]
    try:
        socket.create_connection((host, port), SECONDS_TO_ANSWER).close()
    except OSError as error:
        return (
            f"The broker at {host}:{port} (CELERY_BROKER_URL) does not answer: {error}. No import, export or run is "
            "started until it does; the worker tries again by itself."
        )
    return ""


def broker_problem(url: str) -> str:
    """Why no worker could start with this broker, with the remedy; empty where nothing is known to be wrong."""
    scheme = urlsplit(url).scheme.partition("+")[0]
    if scheme not in NEEDS:
        return (
            f"CELERY_BROKER_URL begins with {scheme or 'nothing'}://, and Konomi knows redis://, rediss://, amqp:// "
            "and amqps://. Without the variable, messages are files in var/celery."
        )
    package = NEEDS[scheme]
    if package and find_spec(package) is None:
        return (
            f"CELERY_BROKER_URL={scheme}://… needs the Python package {package}, which is not installed: "
            f"pip install -c deploy/constraints.txt -e '.[{package}]'"
        )
    return ""
