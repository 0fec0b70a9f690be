"""The table of a batch's tasks: its filters in the address, its cost, and the pages of one task."""

import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.answers.exclusions import exclude_answer, withdraw_prompt
from annotation.answers.submission import skip, submit, undo_last
from annotation.models import Annotation, Assignment, Candidate, Kind, Prompt, Remark, Role
from annotation.queue.claims import claim_next
from tests.annotation.helpers import ONE, TWO, batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


class World:
    """Six tasks for two people. Hana prefers the first text of each; Ken agrees on odd tasks, calls both bad on the
    second, and skips the sixth."""

    def __init__(self) -> None:
        self.project = hotel(prompts=6, slug="hotel")
        self.mio = join(self.project, Role.MANAGER, name="Mio")
        self.hana = join(self.project, Role.ANNOTATOR, name="Hana")
        self.ken = join(self.project, Role.ANNOTATOR, name="Ken")
        self.batch = batch_of(self.project, overlap=2)
        for person in (self.hana, self.ken):
            while held := claim_next(batch=self.batch, annotator=person):
                self.answer(held, person)
        self.address = reverse("batch", args=[self.batch.pk])

    def answer(self, held, person) -> None:
        number, shown = held.task.position, held.task.candidate_ids
        if person == self.ken and number == 6:
            return skip(assignment=held, reason="other", comment="ＷＨＡＴ is a quiet number?")
        side = 0 if person == self.hana or number % 2 else 1
        bad = person == self.ken and number == 2
        payload = {
            "choice": "both_bad" if bad else "one",
            "chosen": None if bad else shown[side],
            "shown": shown,
            "strength": None if bad else 2,
            "reasons": ["Register"] if number == 1 else [],
        }
        submit(assignment=held, payload=payload)

    def task(self, position: int):
        return self.batch.tasks.get(position=position)

    def listed(self, client, **address) -> list[int]:
        page = client.get(self.address, address)
        assert page.status_code == 200
        shown = [row["task"].position for row in page.context["tasks"]]
        assert re.findall(r'<tr id="task-(\d+)"', page.text) == [str(row["task"].pk) for row in page.context["tasks"]]
        return shown


@pytest.fixture
def world():
    return World()


def test_the_address_filters_and_sorts_the_table(world, sign_in):
    client = sign_in(world.mio)
    Remark.objects.create(task=world.task(5), author=world.ken, kind="flag", text="Odd")
    Remark.objects.create(task=world.task(1), author=world.ken, kind="flag", text="Odd", answered_at=timezone.now())
    exclude_answer(
        annotation=Annotation.objects.get(task=world.task(4), annotator=world.ken), reason="Noise", actor=world.mio
    )
    every = [1, 2, 3, 4, 5, 6]
    assert world.listed(client) == every
    for address, expected in (
        ({"person": world.hana.pk}, every),
        ({"person": world.ken.pk, "only": "done"}, [1, 2, 3, 4, 5]),
        ({"person": world.hana.pk, "only": "skipped"}, []),
        ({"only": "skipped"}, [6]),
        ({"only": "free"}, [6]),
        ({"flag": "disagreement"}, [2]),  # the excluded answer to the fourth counts for nothing
        ({"flag": "low"}, [2]),
        ({"flag": "remarks"}, [1, 5]),
        ({"flag": "open_remarks"}, [5]),
        ({"flag": "excluded"}, [4]),
        ({"flag": "edited"}, []),
        ({"flag": "excluded", "person": world.hana.pk, "only": "skipped"}, []),
        ({"q": "#3"}, [3]),
        ({"q": "what is a QUIET"}, [6]),  # of the comment on skipping, whatever the width and case
        ({"q": "Register"}, [1]),
        ({"q": "room, number"}, every),
        ({"q": "静かなお部屋"}, every),
        ({"q": "nowhere to be found"}, []),
        ({"flag": "nonsense", "only": "nonsense", "person": "x", "sort": "nonsense"}, every),
    ):
        assert world.listed(client, **address) == expected, address
    number = world.task(3).prompt.text.removesuffix("?").rpartition(" ")[2]
    assert world.listed(client, q=f"静かなお部屋{number}を") == [3]
    assert sorted(world.listed(client, sort="longest")) == every
    undo_last(annotator=world.hana, batch=world.batch)
    held = Assignment.objects.get(state="held")
    payload = Annotation.objects.get(assignment=held).payload
    submit(assignment=held, payload=payload, annotator=world.hana)
    assert world.listed(client, flag="edited") == [held.task.position]
    assert world.listed(client, sort="newest")[0] == held.task.position
    Annotation.objects.filter(task=world.task(2)).update(active_seconds=99)
    assert world.listed(client, sort="longest")[0] == 2


def test_the_form_keeps_what_was_chosen_and_pages_keep_the_filter(world, sign_in, monkeypatch):
    monkeypatch.setattr("annotation.web.views.tasks.TASKS_A_PAGE", 2)
    client = sign_in(world.mio)
    page = client.get(world.address, {"person": world.ken.pk, "flag": "", "q": "room & number"})
    assert 'value="room &amp; number"' in page.text
    assert re.search(rf'<option value="{world.ken.pk}" selected>', page.text)
    page = client.get(world.address, {"person": world.ken.pk, "q": "number", "page": 2})
    assert f"?person={world.ken.pk}&amp;q=number&amp;page=3" in page.text
    assert "Page 2 of 3" in page.text
    assert [row["task"].position for row in page.context["tasks"]] == [3, 4]


def test_htmx_gets_the_table_alone_and_the_history_the_page(world, sign_in):
    client = sign_in(world.mio)
    part = client.get(world.address, {"only": "skipped"}, headers=HTMX)
    assert part.text.lstrip().startswith('<section id="tasks"')
    assert "HX-Request" in part["Vary"]
    whole = client.get(world.address, headers=HTMX | {"HX-History-Restore-Request": "true"})
    assert "<!doctype html>" in whole.text


def test_an_answer_is_one_line_with_the_letters_that_annotators_saw(world, sign_in):
    page = sign_in(world.mio).get(world.address, {"q": "#2"})
    (row,) = page.context["tasks"]
    by_person = {item["slot"].annotator: item for item in row["slots"]}
    letters = {text["candidate"].pk: text["letter"] for text in row["texts"]}
    first, second = world.task(2).candidate_ids
    assert by_person[world.hana]["order"] == f"{letters[first]} > {letters[second]}"
    assert by_person[world.ken]["order"] == ""
    assert "Both bad" in page.text
    assert row["disagrees"]
    assert ONE in page.text
    assert TWO in page.text
    review = sign_in(join(world.project, Role.REVIEWER)).get(world.address).text
    assert ONE not in review
    assert TWO not in review


def test_filters_cost_as_many_queries_whatever_there_is(world, sign_in):
    client, counts = sign_in(world.mio), {}
    for flag in ("", "disagreement", "low", "remarks", "open_remarks", "edited", "excluded"):
        address = {"flag": flag, "person": world.ken.pk, "only": "done", "q": "number", "sort": "newest"}
        with CaptureQueriesContext(connection) as captured:
            assert client.get(world.address, address).status_code == 200
        counts[flag] = len(captured)
    assert max(counts.values()) <= 22, counts


# ---- one task ----


def test_a_manager_looks_at_a_task_without_claiming_it(world, sign_in):
    batch = batch_of(world.project, Kind.SCORING)
    client = sign_in(world.mio)
    before = list(Assignment.objects.order_by("pk").values())
    task = batch.tasks.get(position=1)
    address = reverse("task_preview", args=[task.pk])
    assert address in client.get(reverse("batch", args=[batch.pk])).text
    assert address in client.get(reverse("task", args=[task.pk])).text
    page = client.get(address)
    assert page.status_code == 200
    assert "nothing is claimed or saved" in page.text
    assert task.prompt.text in page.text
    assert Candidate.objects.get(pk=task.candidate_ids[0]).text in page.text
    assert 'method="dialog"' in page.text
    for address_of in ("/submit/", "/draft/", "/skip/", "/undo/", "/time/"):
        assert address_of not in page.text
    assert client.post(address).status_code == 405
    assert list(Assignment.objects.order_by("pk").values()) == before


@pytest.mark.parametrize("kind", Kind.values)
def test_every_kind_has_its_preview_and_it_is_as_blind_as_the_task(kind, sign_in):
    project = hotel(prompts=1, slug="hotel")
    batch = batch_of(project, kind)
    task = batch.tasks.get(position=1)
    page = sign_in(join(project, Role.MANAGER)).get(reverse("task_preview", args=[task.pk]))
    assert page.status_code == 200
    assert ONE not in page.text
    assert TWO not in page.text
    reviewer = sign_in(join(project, Role.REVIEWER))
    assert reviewer.get(reverse("task_preview", args=[task.pk])).status_code == 200
    annotator = sign_in(join(project, Role.ANNOTATOR))
    assert annotator.get(reverse("task_preview", args=[task.pk])).status_code == 404
    assert annotator.get(reverse("task", args=[task.pk])).status_code == 404


def test_the_page_of_a_task_leads_to_those_beside_it(world, sign_in):
    client = sign_in(world.mio)
    page = client.get(reverse("task", args=[world.task(2).pk])).text
    assert re.search(rf'rel="prev" href="{reverse("task", args=[world.task(1).pk])}"', page)
    assert re.search(rf'rel="next" href="{reverse("task", args=[world.task(3).pk])}"', page)
    assert 'rel="prev"' not in client.get(reverse("task", args=[world.task(1).pk])).text
    chat = world.task(4).prompt
    Prompt.objects.filter(pk=chat.pk).update(messages=[{"role": "user", "content": "Is breakfast included?"}])
    assert "Is breakfast included?" in client.get(reverse("task", args=[world.task(4).pk])).text
    withdraw_prompt(prompt=chat, reason="Wrong", actor=None)
    assert "withdrawn" in client.get(world.address, {"q": "#4"}).text


# ---- my work ----


def test_my_work_shows_what_a_choice_was_between(world, sign_in):
    client = sign_in(world.hana)
    answer = Annotation.objects.get(task=world.task(1), annotator=world.hana)
    chosen, other = (Candidate.objects.get(pk=pk).text for pk in world.task(1).candidate_ids)
    for address in (reverse("my_work"), reverse("my_answer", args=[answer.pk])):
        page = client.get(address).text
        assert chosen in page
        assert other in page
        assert re.search(rf'is-chosen">\s*<span class="badge good">chosen</span>[^語]*?>{chosen}<', page)
        assert ONE not in page
        assert TWO not in page
    tied = world.task(2)
    Annotation.objects.filter(task=tied, annotator=world.hana).update(
        payload={"choice": "tie", "chosen": None, "shown": tied.candidate_ids, "strength": None, "reasons": []}
    )
    answer = Annotation.objects.get(task=tied, annotator=world.hana)
    page = client.get(reverse("my_answer", args=[answer.pk])).text
    assert "Equally good" in page
    assert "is-chosen" not in page
    assert all(Candidate.objects.get(pk=pk).text in page for pk in tied.candidate_ids)


def test_of_long_alternatives_my_work_shows_the_beginning_of_each(world, sign_in):
    task = world.task(1)
    for letter, pk in zip("xy", task.candidate_ids, strict=True):
        Candidate.objects.filter(pk=pk).update(text=letter * 5_000)
    spans = {str(task.candidate_ids[0]): [{"start": 4_000, "end": 4_100, "quality": "bad"}]}
    answer = Annotation.objects.get(task=task, annotator=world.hana)
    Annotation.objects.filter(pk=answer.pk).update(payload=json.loads(json.dumps(answer.payload | {"spans": spans})))
    page = sign_in(world.hana).get(reverse("my_work"), {"batch": world.batch.pk, "q": "Register"}).text
    for letter in "xy":
        assert letter * 600 in page
        assert letter * 700 not in page
    assert "the beginning of a long answer" in page
