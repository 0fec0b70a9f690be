"""Which prompts a batch asks about: the page and the command ask the same function, and it draws by the seed."""

import itertools
from functools import partial

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.urls import reverse

from annotation.models import Batch, Prompt, Role
from annotation.queue import batches
from annotation.queue.prompt_selection import PromptSelection
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    """Twelve prompts, every third held out: four have a choosing task, four others a writing task."""
    project = hotel(prompts=12)
    ids = list(Prompt.objects.order_by("pk").values_list("pk", flat=True))
    Prompt.objects.filter(pk__in=ids[::3]).update(held_out=True)
    batch_of(project, prompts=Prompt.objects.filter(pk__in=ids[:4]))
    batch_of(project, "writing", prompts=Prompt.objects.filter(pk__in=ids[4:8]))
    return project


def opened(open_it):
    """The prompts of the batch that `open_it` opens, in the order of its tasks; nothing stays."""
    with transaction.atomic():
        before = set(Batch.objects.values_list("pk", flat=True))
        open_it()
        batch = Batch.objects.exclude(pk__in=before).get()
        prompts = list(batch.tasks.order_by("position").values_list("prompt", flat=True))
        transaction.set_rollback(True)
    return prompts


def fields(form):
    """What the browser posts of the form as it comes: the initial values."""
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value not in (None, "")} | {"name": "First"}


def test_page_and_command_choose_the_same_prompts_in_the_same_order(project, sign_in, monkeypatch):
    monkeypatch.setattr(batches.secrets, "randbelow", lambda limit: 11)
    client, address = sign_in(join(project, Role.MANAGER)), reverse("batch_new", args=[project.slug])
    defaults = fields(client.get(address).context["form"])
    expected = {(None, None, None): 8, ("fresh", None, None): 4, ("all", "held-out", None): 4, ("all", None, 5): 5}
    for which, side, limit in itertools.product((None, "fresh", "all"), (None, "train", "held-out"), (None, 5)):
        arguments, posted = [], dict(defaults)
        for option, name, value in (("--which", "which", which), ("--only", "side", side), ("--limit", "limit", limit)):
            if value:
                arguments += [option, str(value)]
                posted[name] = value
        by_command = opened(partial(call_command, "open_batch", project.slug, "choosing", *arguments))
        by_page = opened(partial(client.post, address, posted))
        assert by_page == by_command, (which, side, limit)
        if (which, side, limit) in expected:
            assert len(by_page) == expected[which, side, limit]


def test_a_limit_draws_a_sample_by_the_seed(project):
    def drawn(seed):
        open_it = {"project": project, "kind": "writing", "name": "n", "actor": None, "seed": seed}
        return opened(lambda: batches.open_batch(**open_it, prompts=PromptSelection(which="all", limit=4)))

    assert drawn(1) == drawn(1)
    samples = {frozenset(drawn(seed)) for seed in range(8)}
    assert len(samples) > 1, "not the oldest each time"


def test_fresh_is_the_same_as_which_fresh_and_a_limit_is_at_least_one(project):
    command = ("open_batch", project.slug, "choosing", "--seed", "3")
    fresh = opened(lambda: call_command(*command, "--fresh"))
    assert fresh == opened(lambda: call_command(*command, "--which", "fresh"))
    assert len(fresh) == 4
    for limit in ("0", "-2"):
        with pytest.raises(CommandError, match="At least one prompt"):
            call_command(*command, "--limit", limit)
