"""Analyses of real rows: what is read, stored, due and shown."""

import json
import re
from datetime import timedelta

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from lxml import html

from annotation import jobs
from annotation.analyses import run
from annotation.analyses.results import VERSION
from annotation.analyses.run import analyse, due_projects, is_due, newest
from annotation.answers.exclusions import exclude_person
from annotation.answers.submission import skip, submit
from annotation.core.locks import Lock, key_of
from annotation.kinds import show
from annotation.models import Analysis, AnalysisRows, Annotation, Batch, Kind, Remark, Role
from annotation.queue.claims import claim_next
from annotation.reviewing.queue import hold
from annotation.reviewing.verdicts import accept, send_back
from tests.annotation.helpers import ONE, TWO, batch_of, hotel
from tests.factories import ProjectFactory, UserFactory, join

pytestmark = pytest.mark.django_db
PROMPTS = 30


def words(response):
    return " ".join(html.fromstring(response.content.decode()).text_content().split())


def choice(slot, place):
    """The answer that prefers the text at that place, or a tie."""
    shown = [side.candidate for side in show(slot).sides]
    if place is None:
        return {"choice": "tie", "chosen": None, "shown": shown, "strength": None, "reasons": []}
    return {"choice": "one", "chosen": shown[place], "shown": shown, "strength": 1, "reasons": []}


def answer_all(batch, person, answer):
    while slot := claim_next(batch=batch, annotator=person):
        submit(assignment=slot, payload=answer(slot))


@pytest.fixture
def project():
    return hotel(prompts=PROMPTS, slug="hotel")


@pytest.fixture
def judged(project):
    """Three people choose for all prompts: Lea always takes the left text in two seconds, Kei and Rin the polite one in
    twenty; Rin skips one task."""
    batch = batch_of(project, Kind.CHOOSING, overlap=3)
    lea, kei, rin = (join(project, Role.ANNOTATOR, name=name) for name in ("Lea", "Kei", "Rin"))

    def polite(slot):
        origins = [side.text.endswith("できますか。") for side in show(slot).sides]
        return choice(slot, origins.index(True))

    skip(assignment=claim_next(batch=batch, annotator=rin), reason="broken")
    answer_all(batch, lea, lambda slot: choice(slot, 0))
    answer_all(batch, kei, polite)
    answer_all(batch, rin, polite)
    random = np.random.default_rng(5)
    for pk, annotator in Annotation.objects.values_list("pk", "annotator"):
        seconds = random.uniform(1.5, 2.5) if annotator == lea.pk else random.uniform(15, 25)
        Annotation.objects.filter(pk=pk).update(active_seconds=seconds)
    return lea, kei, rin


def trust_of(project):
    assert analyse(project)
    found = newest(project)
    people = {row["person"]: row for row in found[Analysis.Name.PEOPLE].result["people"]}
    return found[Analysis.Name.TRUST].result, people


def test_what_is_planted_is_on_the_page_and_each_number_leads_to_its_rows(project, judged, sign_in):
    lea, kei, rin = judged
    trust, people = trust_of(project)
    assert people[lea.pk]["attention"] == ["fast", "first", "run"]
    assert people[kei.pk]["attention"] == people[rin.pk]["attention"] == []
    assert people[rin.pk]["reasons"] == [["broken", 1]]
    shares = {row["origin"]: row["share"]["hits"] for row in trust["origins"]}
    left = Annotation.objects.filter(annotator=lea).values_list("payload", flat=True)
    assert shares[ONE] == 59 + sum(payload["chosen"] == min(payload["shown"]) for payload in left)
    assert shares[ONE] + shares[TWO] == 3 * PROMPTS - 1
    assert trust["runs"] == [{"person": lea.pk, "kind": "choosing", "length": PROMPTS, "n": PROMPTS}]
    (confused,) = trust["confused"]
    assert (confused["group"], confused["labels"]) == (f"{ONE} / {TWO}", [ONE, TWO])
    client = sign_in(join(project, Role.MANAGER))
    page = client.get(reverse("dashboard", args=["hotel"]))
    assert "Lea many very fast answers, the same answer many times in a row, follows the side" in words(page)
    assert "too few answers" not in words(page)
    links = html.fromstring(page.content.decode()).xpath("//a[contains(@href, 'dashboard/answers/')]/@href")
    assert len(set(links)) >= 11
    for link in set(links):
        rows = client.get(link)
        assert "No answers behind this number" not in words(rows), link
    rows = client.get(reverse("dashboard_answers", args=["hotel"]), {"of": f"{lea.pk}:first"})
    assert "Lea: The left text was preferred" in words(rows)
    assert "30 answers" in words(rows)
    assert words(rows).count("Better") + words(rows).count("better A > B") >= 25
    assert words(client.get(rows.request["PATH_INFO"], {"of": f"{lea.pk}:first", "page": 2})).count("A > B") == 5
    fast = client.get(rows.request["PATH_INFO"], {"of": "fast"})
    assert f"{trust['fast']['hits']} answers" in words(fast)


def test_a_number_that_is_a_link_leads_to_exactly_so_many_rows(project, judged, sign_in):
    trust, _people = trust_of(project)
    client = sign_in(join(project, Role.MANAGER))
    page = html.fromstring(client.get(reverse("dashboard", args=["hotel"])).content.decode())
    checked = 0
    for link in page.xpath("//table[contains(@class, 'figures-table')]//a[contains(@href, 'dashboard/answers/')]"):
        row = link.iterancestors("tr").__next__()
        pages, listed = 1, set()
        while True:
            found = html.fromstring(client.get(f"{link.get('href')}&page={pages}").content.decode())
            slots = [
                (cells.xpath("string(th)").split()[1], " ".join(cells.xpath("string(td[2])").split()))
                for cells in found.xpath("//table[contains(@class, 'task-table')]/tbody/tr")
            ]
            listed |= {(pages, *slot) for slot in slots}
            if not found.xpath(f"//a[contains(@href, 'page={pages + 1}')]"):
                break
            pages += 1
        said = int(re.search(r"(\d+) answers?", " ".join(found.text_content().split()))[1])
        assert len(listed) == said, link.get("href")
        if link.text_content().endswith("%") and "confused" not in link.get(
            "href"
        ):  # of pairs of answers, not of answers
            of = int(re.search(r"of (\d+)", row.text_content())[1])
            assert link.text_content().split() == [f"{round(100 * said / of)}", "%"], link.get("href")
            checked += 1
    assert checked >= 4
    assert trust["first"]["hits"] == sum(AnalysisRows.objects.filter(key="first").values_list("count", flat=True))


def test_answers_that_wait_for_review_are_counted_and_not_analysed(project, judged, sign_in):
    _lea, kei, _ = judged
    trust_of(project)
    assert run.covers_of([project.pk])[project.pk].get("requiring_review") is None
    Batch.objects.update(requires_review=True)
    stored = newest(project)[Analysis.Name.TRUST]
    assert stored.covers != run.covers_of([project.pk])[project.pk]  # it is due again
    rin = join(project, Role.REVIEWER)
    of_kei = list(Annotation.objects.filter(annotator=kei).order_by("pk"))
    for answer in of_kei[:12]:
        assert hold(annotation=answer, reviewer=rin)
        accept(annotation=answer, reviewer=rin)
    sent = of_kei[12]
    assert hold(annotation=sent, reviewer=rin)
    send_back(annotation=sent, reviewer=rin, note="Look again.")
    trust, people = trust_of(project)
    assert (trust["answers"], trust["pending"]) == (12, 3 * PROMPTS - 1 - 12)
    assert set(people) == {kei.pk, judged[2].pk}  # Rin skipped a task
    page = words(sign_in(join(project, Role.MANAGER)).get(reverse("dashboard", args=["hotel"])))
    assert "77 answers that do not count before their review are not in it." in page
    assert "those that wait for a required review or were sent back" in page
    assert newest(project)[Analysis.Name.TRUST].covers == run.covers_of([project.pk])[project.pk]


def test_excluded_answers_and_recorded_sides_do_not_count(project, judged):
    lea, kei, _ = judged
    exclude_person(project=project, annotator=lea, reason="Clicked.", actor=kei)
    trust, people = trust_of(project)
    assert trust["answers"] == 2 * PROMPTS - 1
    assert lea.pk not in people
    assert (trust["runs"], trust["fast"]["hits"]) == ([], 0)
    Batch.objects.update(selection={"judgements": 1})
    trust, people = trust_of(project)
    assert (trust["first"], trust["first_n"]) == (None, 0)
    assert trust["longer"]["n"] == 2 * PROMPTS - 1
    assert people[kei.pk]["first"] is None


def test_odd_projects_say_what_is_missing(project, sign_in):
    client = sign_in(join(project, Role.MANAGER))
    page = reverse("dashboard", args=["hotel"])
    assert "Nothing has been analysed yet" in words(client.get(page))
    assert due_projects() == []
    trust, people = trust_of(project)
    assert (trust["answers"], people) == (0, {})
    assert "too few answers (0 of 10)" in words(client.get(page))
    kei = join(project, Role.ANNOTATOR, name="Kei")
    answer_all(batch_of(project, Kind.WRITING), kei, lambda slot: {"text": f"はい、{slot.pk}。"})
    answer_all(batch_of(project, Kind.CHOOSING), kei, lambda slot: choice(slot, None))
    trust, people = trust_of(project)
    assert (trust["answers"], trust["untimed"], trust["first_n"], trust["origins"]) == (2 * PROMPTS, 60, 0, [])
    # Ties alone, with nobody to compare with: chance is a coin.
    assert [row["length"] for row in trust["runs"]] == [PROMPTS]
    text = json.dumps([trust, people])
    assert "NaN" not in text
    assert "Infinity" not in text
    shown = words(client.get(page))
    assert "NaN" not in shown
    assert "Kei the same answer many times in a row" in shown
    assert words(client.get(reverse("dashboard_answers", args=["hotel"]), {"of": "first"})).count("No answers behind")


def test_scores_that_differ_are_named_by_aspect(project, sign_in):
    batch = batch_of(project, Kind.SCORING, overlap=2)
    for person, register in ((join(project, Role.ANNOTATOR), 3), (join(project, Role.ANNOTATOR), 2)):

        def scores(slot, register=register):
            return {"scores": {str(key): {"meaning": 4, "register": register} for key in slot.task.candidate_ids}}

        answer_all(batch, person, scores)
    trust, _ = trust_of(project)
    register, meaning = trust["confused"]
    assert (register["group"], register["labels"], register["share"]["value"]) == ("register", ["2", "3"], 1)
    assert (meaning["group"], meaning["labels"], meaning["share"]["value"]) == ("meaning", None, 0)
    page = words(sign_in(join(project, Role.REVIEWER)).get(reverse("dashboard", args=["hotel"])))
    assert "Disagreement: Register" in page
    assert "mostly 2 ↔ 3" in page


def test_origins_are_for_managers_and_strangers_see_nothing(project, judged, sign_in):
    trust_of(project)
    address = reverse("dashboard_answers", args=["hotel"])
    keys = [f"origin:{ONE}", f"confused:choosing:{ONE} / {TWO}"]
    for role, sees in ((Role.REVIEWER, False), (Role.MANAGER, True)):
        client = sign_in(join(project, role))
        assert (ONE in words(client.get(reverse("dashboard", args=["hotel"])))) == sees
        for key in keys:
            assert ("No answers behind" in words(client.get(address, {"of": key}))) != sees
    for key in ("", "0:fast", "x" * 9_999, "first:"):
        assert client.get(address, {"of": key}).status_code == 200
    for person in (join(project, Role.ANNOTATOR), UserFactory()):
        assert sign_in(person).get(address, {"of": "fast"}).status_code == 404


def test_a_project_is_due_when_something_changed_and_not_at_once(project, judged, monkeypatch):
    sent = []
    monkeypatch.setattr(jobs.analyse_project, "delay", sent.append)
    assert due_projects() == [project.pk]
    jobs.analyse_due()
    assert sent == [project.pk]
    jobs.analyse_project(project.pk)
    first = newest(project)[Analysis.Name.TRUST]
    assert first.version == VERSION
    assert due_projects() == []
    jobs.analyse_project(project.pk)  # queued twice: nothing to do
    assert newest(project)[Analysis.Name.TRUST].computed_at == first.computed_at
    Remark.objects.create(task=Annotation.objects.first().task, author=judged[0], kind="flag", text="?")
    assert due_projects() == [], "it was computed a moment ago"
    Analysis.objects.update(computed_at=timezone.now() - timedelta(minutes=6))
    assert due_projects() == [project.pk]
    Analysis.objects.update(seconds=60)
    assert due_projects() == [], "a tenth of the time at most"
    Analysis.objects.update(version=0)
    assert is_due(project)
    jobs.analyse_project(project.pk)
    assert newest(project)[Analysis.Name.TRUST].result["flags"] == [1, 1]
    assert (Analysis.objects.count(), AnalysisRows.objects.filter(key="fast").count()) == (3, 1)


def test_the_command(project, judged, capsys, monkeypatch):
    call_command("analyse", "--due")
    call_command("analyse", "hotel")
    call_command("analyse", "--due")
    out = capsys.readouterr().out.splitlines()
    assert [line.split(" analysed")[0] for line in out] == ["hotel: 89 answers"] * 2 + ["Nothing has changed."]
    for arguments in ([], ["nowhere"], ["hotel", "--due"]):
        with pytest.raises(CommandError):
            call_command("analyse", *arguments)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s", [Lock.ANALYSIS])
        assert cursor.fetchone() == (0,)
    assert key_of(project.pk) == project.pk


def test_reading_in_pieces_is_reading_at_once(project, judged, monkeypatch):
    whole = trust_of(project)
    monkeypatch.setattr("annotation.analyses.source.ROWS_AT_ONCE", 7)
    assert trust_of(project) == whole


def test_the_page_says_how_old_it_is_and_stays_cheap(project, judged, sign_in):
    client = sign_in(join(project, Role.MANAGER))
    trust_of(project)
    Analysis.objects.update(computed_at=timezone.now() - timedelta(hours=3))
    kei = join(project, Role.ANNOTATOR)
    submit(assignment=claim_next(batch=batch_of(project, Kind.WRITING), annotator=kei), payload={"text": "はい。"})
    with CaptureQueriesContext(connection) as captured:
        page = words(client.get(reverse("dashboard", args=["hotel"])))
    assert len(captured) <= 12, "\n".join(query["sql"][:150] for query in captured)
    assert "Computed 3 hours ago. 1 later answer is not in it." in page
    other = ProjectFactory()
    assert run.covers_of([other.pk]) == {}
