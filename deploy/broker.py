"""The message broker: whether this installation can use the one that CELERY_BROKER_URL names."""

from importlib.util import find_spec
from urllib.parse import urlsplit

# Scheme → the package that its transport needs, and the extra that installs it.
NEEDS = {"filesystem": None, "amqp": None, "amqps": None, "pyamqp": None, "redis": "redis", "rediss": "redis"}


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
