"""A dataset below its project's floor of agreement warns, and names the tasks whose decision lifts it over."""

from collections import Counter

import numpy as np
import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.datasets.freeze import freeze_dataset
from annotation.members.accounts import BACKEND
from annotation.models import Annotation, DatasetVersion, Role, Task
from annotation.quality.agreement import Ratings, krippendorff
from annotation.quality.gate import lifting, most_common
from annotation.reviewing.adjudication import adjudicate
from tests.annotation.datasets.test_soft_labels import Crowd
from tests.factories import join


@pytest.fixture
def crowd(settings, tmp_path):
    settings.VAR, settings.DATASETS_DIR = tmp_path, tmp_path / "datasets"
    return Crowd()


@pytest.mark.django_db
def test_deciding_the_tasks_it_names_lifts_a_dataset_over_the_floor(crowd, capsys):
    manager, reviewer = (join(crowd.project, role) for role in (Role.MANAGER, Role.REVIEWER))
    client = Client()
    client.force_login(manager, backend=BACKEND)
    plain = freeze_dataset(project=crowd.project, purpose="dpo", actor=None)
    assert "gate" not in plain.manifest, "without a floor manifests are what they were"
    address = reverse("project_settings", args=["hotel"])
    form = client.get(address).context["form"]
    values = {name: form[name].value() for name in form.fields}
    values = {key: "\n".join(value) if isinstance(value, list) else value for key, value in values.items()}
    posted = {key: value for key, value in values.items() if value is not None and value is not False}
    refused = client.post(address, {**posted, "agreement_floor": "1.5"})
    assert refused.status_code == 422
    saved = client.post(address, {**posted, "agreement_floor": "0.7"})
    assert saved.status_code == 302, saved.context["form"].errors
    crowd.project.refresh_from_db()
    assert crowd.project.agreement_floor == 0.7

    call_command("freeze_dataset", "hotel", "--for", "sft", "--chosen-as-sft")
    said = capsys.readouterr().err
    assert "warning: agreement beyond chance (alpha) of choosing is" in said
    version = DatasetVersion.objects.latest("pk")
    gate = version.manifest["gate"]
    assert gate["is_below"]
    assert 0 < gate["to_decide"] == len(gate["tasks"])
    assert f"deciding {gate['to_decide']} tasks, the most divided ones, would lift it over" in said
    page = client.get(reverse("dataset", args=[version.pk])).content.decode()
    for task in gate["tasks"]:
        assert reverse("adjudicate_task", args=[task]) in page

    for key in gate["tasks"]:
        answers = list(Annotation.objects.filter(task=key))
        (best, _count), *_rest = Counter(answer.payload["chosen"] for answer in answers).most_common()
        chosen = next(answer.pk for answer in answers if answer.payload["chosen"] == best)
        adjudicate(task=Task.objects.get(pk=key), adjudicator=reviewer, chosen=chosen, cause="error")
    page = client.get(reverse("dataset", args=[version.pk])).content.decode()
    assert "All of them are decided: freeze again." in page
    lifted = freeze_dataset(project=crowd.project, purpose="dpo", actor=None)
    gate = lifted.manifest["gate"]
    assert not gate["is_below"]
    assert gate["agreement"][0]["alpha"]["value"] >= 0.7
    assert gate["tasks"] == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 2), min_size=2, max_size=4), min_size=2, max_size=12),
    st.floats(0.1, 0.95),
    st.sampled_from(["nominal", "interval"]),
)
def test_the_tasks_named_are_enough_and_one_fewer_is_not(answers, floor, metric):
    rows = [(unit, person, value) for unit, own in enumerate(answers) for person, value in enumerate(own)]
    unit, person, value = (np.array(column) for column in zip(*rows, strict=True))
    ratings = Ratings(unit, person, value.astype(float), unit)
    start = krippendorff(ratings, metric=metric, paths=2).value
    if start is None or start >= floor:
        return
    tasks = lifting(ratings, metric, floor)

    def after(decided):
        own = np.where(np.isin(unit, decided), most_common(ratings), ratings.value)
        return krippendorff(Ratings(unit, person, own, unit), metric=metric, paths=2).value

    assert tasks is not None, "where all tasks are decided, alpha is 1 or there is no variation"
    reached = after(tasks)
    assert reached is None or reached >= floor - 1e-9
    fewer = after(tasks[:-1])
    assert fewer is not None
    assert fewer < floor
