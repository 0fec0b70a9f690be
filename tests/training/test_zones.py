"""Web and worker never load a model library: a fresh process imports all of the site, opens pages, and looks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.urls import reverse

from tests.training.conftest import ROOT, watched

HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "tokenizers", "safetensors")

# Imports every module of the web side (views, jobs, commands, admin, models, forms …) and GETs every page that takes
# no argument but an id or a slug, as an administrator; then says which forbidden modules are there.
LOOK = """
import importlib, json, os, pkgutil, sys
import django
django.setup()
from django.conf import settings
settings.ALLOWED_HOSTS = ["testserver"]
import annotation, deploy, training
import deploy.celery, deploy.urls, deploy.wsgi
names = []
for package in (annotation, training, deploy):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.startswith("training.engine.") or found.name in (
            "training.contract.config", "training.contract.run_directory"
        ):
            importlib.import_module(found.name)
            names.append(found.name)
deploy.celery.app.loader.import_default_modules()
deploy.celery.app.autodiscover_tasks(force=True)
from django.core.management import get_commands, load_command_class
for command, app in get_commands().items():
    if app in ("annotation", "training", "demo"):
        load_command_class(app, command).create_parser("manage.py", command)
        names.append(command)
from django.test import Client
from django.urls import get_resolver
from annotation.models import User
client = Client(raise_request_exception=False)
client.force_login(User.objects.get(is_superuser=True), backend=settings.AUTHENTICATION_BACKENDS[0])
pages = {}
def visit(patterns, prefix=""):
    for pattern in patterns:
        route = prefix + getattr(pattern.pattern, "_route", str(pattern.pattern))
        if hasattr(pattern, "url_patterns"):
            visit(pattern.url_patterns, route)
            continue
        path = "/" + route.replace("<slug:slug>", "concierge")
        for word, pk in json.loads(sys.argv[1]).items():
            path = path.replace(f"<int:{word}_id>", str(pk))
        if "<" not in path and "(" not in path:
            pages[path] = client.get(path).status_code
visit(get_resolver().url_patterns)
deploy.celery.app.tasks["training.jobs.watch_engine_jobs"]()
jobs = [name for name in deploy.celery.app.tasks if not name.startswith("celery.")]
heavy = [name for name in json.loads(sys.argv[2]) if name in sys.modules]
print(json.dumps({"modules": names, "pages": pages, "jobs": jobs, "heavy": heavy}))
"""


@pytest.mark.django_db(transaction=True)
def test_no_page_job_or_command_loads_a_model_library(fake_run, environment, django_user_model):
    django_user_model.objects.create_superuser("root@example.org", "not used at all", name="Root")
    run = watched(fake_run("succeeds"), "succeeded")
    ids = {"run": run.pk, "checkpoint": run.checkpoint.pk, "round": run.round_id}
    done = subprocess.run(
        [sys.executable, "-c", LOOK, json.dumps(ids), json.dumps(HEAVY)],
        cwd=ROOT,
        env={**environment, "DJANGO_SETTINGS_MODULE": "deploy.settings"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["heavy"] == []
    assert {"training.jobs.watch_engine_jobs"} <= set(seen["jobs"])
    assert {"training.web.views.rounds", "training.supervision.launch", "training.jobs", "annotation.jobs"} <= set(
        seen["modules"]
    )
    assert {"train_sft", "train_dpo", "generate", "evaluate", "promote", "start_round"} <= set(seen["modules"])
    for page in (reverse("run", args=[run.pk]), reverse("checkpoint", args=[run.checkpoint.pk]), "/"):
        assert seen["pages"][page] == 200
    broken = {page: status for page, status in seen["pages"].items() if status >= 500}
    assert not broken


def test_import_contracts_hold():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
