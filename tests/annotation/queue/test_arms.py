"""Which tasks next: uncertain and diverse prompts, beside a random arm."""

from collections import Counter

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from annotation.answers.submission import submit
from annotation.checks.shares import Shares, set_checks
from annotation.core.errors import InvalidInput
from annotation.models import Analysis, Batch, Candidate, PairMargin, Prompt, Role, Task, TaskArm, TaskCheck
from annotation.quality.run import QUALITY, assess
from annotation.queue.claims import claim_next
from annotation.queue.diversity import farthest_first, vectors
from annotation.queue.prompt_selection import PromptSelection
from tests.annotation.helpers import ONE, TWO, batch_of, hotel
from tests.factories import PromptFactory, join

pytestmark = pytest.mark.django_db


def store_margins(project, size=lambda n: float(n), prompts=None):
    """Of the n-th prompt, from 1: the margin between its two candidates."""
    for n, prompt in enumerate(prompts or Prompt.objects.filter(project=project).order_by("pk"), 1):
        one, other = Candidate.objects.filter(prompt=prompt).order_by("pk").values_list("pk", flat=True)
        PairMargin.objects.create(
            project=project,
            prompt=prompt,
            one=one,
            other=other,
            margin=size(n),
            origin="checkpoint:7",
            computed_at=timezone.now(),
        )


def arms_of(batch):
    return {
        arm: set(TaskArm.objects.filter(batch=batch, arm=arm).values_list("task__prompt", flat=True))
        for arm in TaskArm.Arm.values
    }


def test_the_most_uncertain_are_selected_and_a_fifth_is_random():
    project = hotel(prompts=12)
    store_margins(project, lambda n: n * (-1) ** n)
    batch = batch_of(project, prompts=PromptSelection(select="uncertain", limit=5))
    arms = arms_of(batch)
    assert {arm: len(prompts) for arm, prompts in arms.items()} == {"random": 1, "uncertain": 4, "diverse": 0}
    by_margin = [p for p in Prompt.objects.order_by("pk").values_list("pk", flat=True) if p not in arms["random"]]
    assert arms["uncertain"] == set(by_margin[:4])
    facts = batch.selection["select"]
    assert facts == {
        "how": "uncertain",
        "seed": 5,
        "random_share": 0.2,
        "pool": 12,
        "origin": "checkpoint:7",
        "arms": {"random": 1, "uncertain": 4},
    }
    assert (batch.selection["tasks"], batch.selection["left_out"]) == (5, 0)
    assert TaskArm.objects.filter(batch=batch).count() == Task.objects.filter(batch=batch).count() == 5


def test_the_random_arm_is_what_a_random_batch_of_its_size_would_be():
    project = hotel(prompts=12)
    store_margins(project)
    drawn = set(
        Task.objects.filter(batch=batch_of(project, prompts=PromptSelection(limit=3))).values_list("prompt", flat=True)
    )
    everything = PromptSelection(which="all", select="mix", limit=7, random_share=0.4)
    arms = arms_of(batch_of(project, prompts=everything))
    assert arms["random"] == drawn
    assert {arm: len(prompts) for arm, prompts in arms.items()} == {"random": 3, "uncertain": 2, "diverse": 2}
    assert arms == arms_of(batch_of(project, prompts=everything))


def test_diverse_prompts_differ_from_each_other():
    project = hotel(prompts=8)
    for text in ("朝食は何時からですか。", "Der Schlüssel passt nicht.", "¿Dónde está la piscina?"):
        odd = PromptFactory(project=project, text=text)
        Candidate.objects.bulk_create(
            Candidate(prompt=odd, text=f"{text} {origin}", origin=origin, digest=f"{text}{origin}")
            for origin in (ONE, TWO)
        )
    arms = arms_of(batch_of(project, prompts=PromptSelection(select="diverse", limit=4)))
    odd_ones = set(Prompt.objects.exclude(text__startswith="Could").values_list("pk", flat=True))
    assert len(odd_ones & (arms["diverse"] | arms["random"])) == 3


def test_prompts_without_margins_are_replaced_at_random_and_counted():
    project = hotel(prompts=10)
    store_margins(project, prompts=Prompt.objects.order_by("pk")[:2])
    batch = batch_of(project, prompts=PromptSelection(select="uncertain", limit=6))
    facts = batch.selection["select"]
    assert Counter(facts["arms"]) + Counter() == Counter({k: len(v) for k, v in arms_of(batch).items()})
    assert facts["filled"] == 6 - 1 - facts["arms"]["uncertain"]


def test_without_margins_it_is_refused_and_names_the_command():
    project = hotel(prompts=3)
    with pytest.raises(InvalidInput, match=f"compute_margins {project.slug}"):
        batch_of(project, prompts=PromptSelection(select="uncertain", limit=2))
    with pytest.raises(InvalidInput, match="how many prompts"):
        batch_of(project, prompts=PromptSelection(select="diverse"))
    with pytest.raises(InvalidInput, match="random share"):
        batch_of(project, prompts=PromptSelection(select="diverse", limit=2, random_share=0))
    with pytest.raises(CommandError, match="compute_margins"):
        call_command("open_batch", project.slug, "choosing", select="mix", limit=2)
    assert not Batch.objects.exists()


def test_a_manager_previews_and_opens_it(client, capsys):
    project = hotel(prompts=6)
    store_margins(project)
    join(project, Role.ANNOTATOR)
    client.force_login(join(project, Role.MANAGER))
    url = reverse("batch_new", args=[project.slug])
    form = {"name": "Unsure", "kind": "choosing", "overlap": 1, "which": "without", "priority": 0, "seed": 5}
    form |= {"select": "uncertain", "limit": 4, "random_share": 50}
    preview = client.post(url, {**form, "action": "preview"}).content.decode()
    assert "Selected from 6 prompts: 2 at random, 2 most uncertain to checkpoint:7." in preview
    assert not Batch.objects.exists()
    client.post(url, form)
    assert Batch.objects.get().selection["select"]["arms"] == {"random": 2, "uncertain": 2}
    refused = client.post(url, {**form, "limit": ""})
    assert refused.status_code == 422
    assert "Say how many prompts to select" in refused.content.decode()
    call_command("open_batch", project.slug, "scoring", select="diverse", limit=3, random_share=0.5, dry_run=True)
    assert "2 at random, 1 most diverse" in capsys.readouterr().out


def test_farthest_first_takes_what_is_least_like_the_taken():
    rows = vectors(["a quiet room", "a quiet room!", "朝食は何時ですか", ""])
    assert rows.shape[0] == 4
    assert farthest_first(rows, 2, taken=[0]) == [2, 3] or farthest_first(rows, 2, taken=[0]) == [3, 2]
    assert farthest_first(rows, 9, taken=[0])[-1] == 1
    assert farthest_first(rows, 1) == [0]


def test_both_arms_are_shown_side_by_side_on_the_quality_page(client):
    project = hotel(prompts=40)
    store_margins(project)
    people = [join(project, Role.ANNOTATOR) for _ in range(2)]
    selection = PromptSelection(select="uncertain", limit=30, random_share=0.5)
    batch = batch_of(project, prompts=selection, overlap=2)
    chosen_randomly = set(TaskArm.objects.filter(batch=batch, arm="random").values_list("task", flat=True))
    for number, person in enumerate(people):
        while held := claim_next(batch=batch, annotator=person):
            shown = list(held.task.candidate_ids)
            # They agree on random tasks, in either direction, and one of them calls the others ties.
            choice = "tie" if held.task_id not in chosen_randomly and number else "one"
            chosen = shown[held.task_id % 2] if choice == "one" else None
            payload = {"choice": choice, "chosen": chosen, "shown": shown, "reasons": [], "strength": 1}
            submit(assignment=held, payload=payload, annotator=person)
    assess(project)
    random_arm, uncertain = Analysis.objects.get(name=QUALITY).result["arms"]
    assert (random_arm["arm"], random_arm["tasks"], uncertain["arm"], uncertain["tasks"]) == (
        "random",
        15,
        "uncertain",
        15,
    )
    assert random_arm["agreement"][0]["percent"]["value"] == 1.0
    assert uncertain["agreement"][0]["percent"]["value"] == 0.0
    assert (random_arm["ties"]["value"], uncertain["ties"]["value"]) == (0.0, 0.5)
    assert uncertain["margin"]["value"] < random_arm["margin"]["value"]
    client.force_login(join(project, Role.MANAGER))
    page = client.get(reverse("quality", args=[project.slug])).content.decode()
    assert "Selected tasks beside random ones" in page
    assert "Selected from 40 prompts" in client.get(reverse("batch", args=[batch.pk])).content.decode()


def test_a_check_that_takes_the_place_of_a_task_does_not_take_its_arm():
    project = hotel(prompts=20)
    batch = batch_of(project, prompts=PromptSelection(select="diverse", limit=15))
    before = arms_of(batch)
    set_checks(batch=batch, shares=Shares(twins=20), actor=None)
    checks = set(TaskCheck.objects.filter(batch=batch).values_list("task", flat=True))
    assert checks
    assert arms_of(batch) == before
    assert not TaskArm.objects.filter(task__in=checks).exists()
    assert TaskArm.objects.filter(batch=batch).count() == 15
