"""The pages of training, as a manager, a reviewer, an annotator and a stranger see them."""

import json

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotation.models import Event, Role
from annotation.queue.batches import open_batch
from tests.factories import CandidateFactory, UserFactory, join
from tests.training.conftest import evaluated, finished, watched
from training.models import Checkpoint, EngineJob, Evaluation, Round, Run
from training.results.promotion import promote
from training.supervision import launch
from training.web.views import run_list

pytestmark = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
def test_a_manager_trains_from_the_page_and_follows_the_run(sign_in, manager, project, freeze, model_shell, fake_run):
    dataset = freeze("sft", held_out=0)
    client = sign_in(manager)
    page = client.get(reverse("runs", args=[project.slug]))
    assert "Nothing has been trained yet" in page.text
    start = f"model:{model_shell.name}"
    assert start in page.text
    answer = client.post(
        reverse("runs", args=[project.slug]),
        {"dataset": dataset.pk, "start": start, "method": "lora", "epochs": "2", "learning_rate": "", "lora_r": "8"},
    )
    run = Run.objects.get()
    assert answer["Location"] == reverse("run", args=[run.pk])
    assert run.config["epochs"] == 2
    assert run.config["lora"]["r"] == 8
    assert run.config["learning_rate"] == 2e-4
    assert "is queued" in client.get(answer["Location"]).text
    (run.directory.path / "behaviour").write_text("slow")
    launch.watch_engine_jobs()
    live = client.get(answer["Location"], headers={"HX-Request": "true"}).text
    assert "every 2s" in live
    assert "<html" not in live
    assert "saving, then stopping" in client.post(reverse("run_cancel", args=[run.pk]), follow=True).text
    watched(run, "cancelled")
    page = client.get(answer["Location"]).text
    assert f"Run {run.pk} was cancelled" in page
    assert "stopping" not in page, "what was so while it stopped has gone"
    assert "every 2s" not in page
    assert f"train_sft {dataset.pk} --model shell" in page
    (run.directory.path / "behaviour").write_text("succeeds")
    client.post(reverse("run_resume", args=[run.pk]))
    watched(run, "succeeded")
    assert f"it produced checkpoint {run.checkpoint.pk}" in client.get(answer["Location"]).text
    assert "Loss went from" in client.get(answer["Location"]).text


@pytest.mark.parametrize("allowed", [True, False])
def test_another_base_is_allowed_on_the_page(sign_in, manager, project, freeze, model_shell, fake_run, allowed):
    """It holds for the run, its evaluation, and what later starts from its checkpoint."""
    client = sign_in(manager)
    fields = {"dataset": freeze("sft").pk, "start": f"model:{model_shell.name}", "method": "lora", "evaluate": "on"}
    client.post(reverse("runs", args=[project.slug]), fields | ({"allow_other_base": "on"} if allowed else {}))
    run = Run.objects.get()
    assert run.config["model"]["allow_other_base"] is allowed
    assert ("--allow-other-base" in client.get(reverse("run", args=[run.pk])).text) is allowed
    (run.directory.path / "behaviour").write_text("succeeds")
    launch.watch_engine_jobs()
    watched(run, "succeeded")
    evaluation = Evaluation.objects.get()
    config = json.loads(evaluation.directory.config_path.read_text())
    assert [config[role]["allow_other_base"] for role in ("model", "parent")] == [allowed, allowed]
    assert config["dataset_sha256"] == evaluation.dataset.sha256


def test_a_form_that_cannot_be_says_why(sign_in, manager, project, freeze, model_shell):
    dataset = freeze("sft")
    answer = sign_in(manager).post(
        reverse("runs", args=[project.slug]),
        {"dataset": dataset.pk, "start": "model:/etc", "method": "lora", "epochs": "-1"},
    )
    assert answer.status_code == 422
    assert "Select a valid choice" in answer.text
    assert not Run.objects.exists()


def test_kto_rows_of_one_kind_are_refused_on_the_spot(sign_in, manager, project, freeze, model_shell):
    one_sided = {"rows": {"labels": {"train": {"desirable": 12, "undesirable": 0}}}}
    freeze("kto")
    version = freeze("kto", train=10, manifest=one_sided)
    client = sign_in(manager)
    page = client.get(reverse("runs", args=[project.slug]))
    assert "KTO, 10 rows, 4 held out (12 desirable, 0 undesirable)" in page.content.decode()
    form = {"dataset": version.pk, "start": f"model:{model_shell.name}", "method": "lora"}
    refused = client.post(reverse("runs", args=[project.slug]), form)
    assert refused.status_code == 422
    assert "None of the rows is undesirable, and KTO learns from both kinds." in refused.content.decode()
    form = {"dataset": version.pk - 1, "start": f"model:{model_shell.name}", "method": "lora", "batch_size": 1}
    refused = client.post(reverse("runs", args=[project.slug]), form)
    assert "batch_size must be 2 or more" in refused.content.decode()
    assert not Run.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_failed_run_shows_its_last_lines(sign_in, manager, fake_run):
    run = watched(fake_run("exits"), "failed")
    page = sign_in(manager).get(reverse("run", args=[run.pk])).text
    assert "the ninth layer is on fire" in page
    assert reverse("run_resume", args=[run.pk]) in page


@pytest.mark.django_db(transaction=True)
def test_the_checkpoint_page_has_figures_samples_lineage_and_promotion(sign_in, manager, project, freeze, fake_run):
    dataset = freeze("sft", held_out=0)
    first = finished(fake_run("succeeds", dataset))
    second = finished(fake_run("succeeds", dataset, parent=first))
    evaluated(second, dataset)
    client = sign_in(manager)
    page = client.get(reverse("checkpoint", args=[second.pk])).text
    assert f"Checkpoint {second.pk} agrees with annotators on 92.5 % (85.0 to 100.0 %) of held-out pairs" in page
    assert "85.0 to 100.0 %" in page
    assert "60.0 %" in page
    assert "&lt;script&gt;ours&lt;/script&gt;" in page
    assert "<script>ours" not in page
    assert "theirs" in page
    assert reverse("checkpoint", args=[first.pk]) in page
    assert reverse("checkpoint", args=[second.pk]) in client.get(reverse("checkpoint", args=[first.pk])).text
    client.post(reverse("checkpoint_promote", args=[second.pk]), {"note": "Polite <b>and</b> true"})
    second.refresh_from_db()
    assert second.promoted_by == manager
    page = client.get(reverse("checkpoint", args=[second.pk])).text
    assert "Polite &lt;b&gt;and&lt;/b&gt; true" in page
    assert "is the promoted one" in client.get(reverse("checkpoints", args=[project.slug])).text
    event = Event.objects.get(verb="checkpoint.promoted")
    assert event.actor == manager


@pytest.mark.django_db(transaction=True)
def test_evaluate_again_from_the_page(sign_in, manager, project, freeze, fake_run):
    checkpoint = finished(fake_run("succeeds", freeze("sft", held_out=0)))
    other = freeze("sft", held_out=4)
    client = sign_in(manager)
    client.post(reverse("checkpoint_evaluate", args=[checkpoint.pk]), {"dataset": other.pk})
    evaluation = Evaluation.objects.get()
    assert evaluation.dataset == other
    assert evaluation.config["program"] == "evaluate"
    assert "evaluation is in progress" in client.get(reverse("checkpoint", args=[checkpoint.pk])).text


@pytest.mark.django_db(transaction=True)
def test_the_rounds_page_is_one_chain(sign_in, manager, project, freeze, fake_run, prompts):
    for prompt in prompts[:3]:
        CandidateFactory(prompt=prompt, text="one")
        CandidateFactory(prompt=prompt, text="two")
    batch = open_batch(project=project, kind="choosing", name="First pairs", actor=manager)
    client = sign_in(manager)
    url = reverse("rounds", args=[project.slug])
    page = client.get(url).text
    assert "Round 1 has 0 of 3 answers" in page
    assert "Promote a checkpoint first" in page
    assert not Round.objects.exists()  # looking writes nothing
    dataset = freeze("sft", held_out=0, selection={"batches": [batch.pk]})
    checkpoint = finished(fake_run("succeeds", dataset))
    evaluated(checkpoint, dataset)
    promote(checkpoint=checkpoint, actor=manager)
    page = client.get(url).text
    for name, row in (("batch", batch), ("run", checkpoint.run), ("checkpoint", checkpoint)):
        assert reverse(name, args=[row.pk]) in page
    assert f"Dataset {dataset.pk}" in page
    assert "92.5 %" in page
    answer = client.post(
        reverse("round_start", args=[project.slug]),
        {"prompts": 3, "overlap": 1, "temperature": 1, "max_new_tokens": 8, "after": 1},
    )
    assert answer.status_code == 302
    client.post(
        reverse("round_start", args=[project.slug]),
        {"prompts": 3, "overlap": 1, "temperature": 1, "max_new_tokens": 8, "after": 1},
    )  # the second click
    started = Round.objects.get(number=2)
    assert started.generations.count() == 2
    assert "Round 2 is being prepared" in client.get(url).text
    part = client.get(url, headers={"HX-Request": "true"}).text
    assert "every 3s" in part
    assert "<html" not in part


@pytest.mark.django_db(transaction=True)
def test_who_may_see_and_who_may_act(sign_in, client, project, freeze, fake_run, manager):
    checkpoint = finished(fake_run("succeeds"))
    run = checkpoint.run
    pages = [reverse(name, args=[project.slug]) for name in ("runs", "checkpoints", "rounds")]
    pages += [reverse("run", args=[run.pk]), reverse("checkpoint", args=[checkpoint.pk])]
    acts = [reverse(name, args=[run.pk]) for name in ("run_cancel", "run_resume")]
    acts += [reverse(name, args=[checkpoint.pk]) for name in ("checkpoint_promote", "checkpoint_evaluate")]
    acts += [reverse("round_start", args=[project.slug]), reverse("runs", args=[project.slug])]
    failed = Round.objects.update_or_create(project=project, number=9, defaults={"status": "failed"})[0]
    acts.append(reverse("round_retry", args=[failed.pk]))
    elsewhere = UserFactory()
    for person, sees in (
        (elsewhere, 404),
        (join(project, Role.ANNOTATOR), 404),
        (join(project, Role.REVIEWER), 200),
        (UserFactory(is_superuser=True), 200),
    ):
        signed = sign_in(person)
        assert {signed.get(page).status_code for page in pages} == {sees}
        if not person.is_superuser:
            assert {signed.post(act).status_code for act in acts} == {404}
    client.logout()
    assert {client.get(page).status_code for page in pages} == {302}
    assert {sign_in(manager).get(act).status_code for act in acts[:5]} == {405}


@pytest.mark.django_db(transaction=True)
def test_pages_ask_a_fixed_number_of_questions(
    sign_in, manager, project, freeze, fake_run, django_assert_max_num_queries
):
    dataset = freeze("sft", held_out=0)
    checkpoint = finished(fake_run("succeeds", dataset))
    client = sign_in(manager)
    urls = [reverse(name, args=[project.slug]) for name in ("runs", "checkpoints", "rounds")]
    urls.append(reverse("checkpoint", args=[checkpoint.pk]))
    limits = []
    for url in urls:
        with django_assert_max_num_queries(40) as asked:
            client.get(url)
        limits.append(len(asked))
    for number in range(3):
        finished(fake_run("succeeds", dataset, parent=checkpoint))
        evaluated(Checkpoint.objects.latest("id"), dataset, chrf=number)
    for url, limit in zip(urls, limits, strict=True):
        with django_assert_max_num_queries(limit + 2):
            client.get(url)


def test_the_administration_lists_are_for_looking(sign_in, project):
    client = sign_in(UserFactory(is_superuser=True, is_staff=True))
    for model in ("run", "checkpoint", "evaluation", "generation", "round"):
        assert client.get(reverse(f"admin:training_{model}_changelist")).status_code == 200
        assert client.get(reverse(f"admin:training_{model}_add")).status_code == 403


def test_watching_is_a_command_too(capsys, db):
    call_command("watch_engine_jobs", "--once")
    assert capsys.readouterr().out == "engine jobs: 0 running, 0 waiting\n"


@pytest.mark.parametrize("status", EngineJob.Status.values)
def test_the_title_of_the_runs_is_read_at_once(fake_run, project, django_assert_num_queries, status):
    """A run may start or end while the page is made."""
    run = fake_run("succeeds")
    Run.objects.filter(pk=run.pk).update(status=status)
    with django_assert_num_queries(1):
        title = run_list.list_title(project)
    assert ("queued" in title) == (status == EngineJob.Status.QUEUED)
    assert (str(run.pk) in title) == (status != EngineJob.Status.QUEUED)
