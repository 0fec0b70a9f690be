"""The health check, for `manage.py serve`, load balancers and monitoring."""

import os
import threading
from pathlib import Path

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

PROBE_BYTES = 1 << 18
NO_DATABASE, NO_DISK = "the database does not answer\n", "the disk is full or cannot be written\n"


@never_cache
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """200 "ok" when web, database and disk work; 503 with one line otherwise. No sign-in; reveals nothing else."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return HttpResponse(NO_DATABASE, status=503, content_type="text/plain")
    if not can_write(Path(settings.VAR)):
        return HttpResponse(NO_DISK, status=503, content_type="text/plain")
    return HttpResponse("ok\n", content_type="text/plain")


def can_write(folder: Path) -> bool:
    """Whether a small file can be written: the only test that also sees quotas, inodes and read-only disks."""
    probe = folder / f".healthz-{os.getpid()}-{threading.get_ident()}"
    try:
        try:
            probe.write_bytes(bytes(PROBE_BYTES))
        finally:
            probe.unlink(missing_ok=True)
    except OSError:
        return False
    return True
