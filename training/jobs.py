"""Celery jobs: ids in, load, call, record; idempotent, each with a management command twin."""
