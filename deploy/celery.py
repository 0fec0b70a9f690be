"""The Celery application. Its jobs are in annotation/jobs.py and training/jobs.py."""

import os

from celery import Celery

os.umask(0o077)  # as manage.py: what the site writes is its own
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")

app = Celery("konomi")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["annotation", "training"], related_name="jobs")
