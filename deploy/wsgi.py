"""The WSGI application. `manage.py serve` has gunicorn preload it before forking."""

import gc
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")
django.setup(set_prefix=False)

from deploy.requests import Handler  # noqa: E402  # once Django is set up

application = Handler()
# Freeze what is loaded now: the collector does not scan it again, and its memory pages stay shared after the fork.
# Requests create few cycles, so collection runs less often than the default of every 700 objects.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 20)
