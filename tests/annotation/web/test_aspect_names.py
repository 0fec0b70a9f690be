"""Scores are shown with the names that people gave to the aspects, as they are now, and with the words of the scale."""

import pytest
from django.urls import reverse

from annotation.answers.submission import submit
from annotation.models import Aspect, Kind, Role
from annotation.projects.aspects import retire_aspect, save_aspect
from annotation.queue.claims import claim_next
from tests.annotation.helpers import ONE, TWO, batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db
ANCHORS = ["使えない", "悪い", "普通", "良い", "完璧"]


def named(project, *names):
    Aspect.objects.filter(project=project).delete()
    return [save_aspect(project=project, name=name, question="", anchors=ANCHORS, actor=None) for name in names]


def scored(project, aspects, *points, alternatives=None):
    """A reviewer and an annotator with one scored answer."""
    options = {"alternatives": 2, "origins": [ONE, TWO]} if alternatives else {"origins": [ONE]}
    batch = batch_of(project, Kind.SCORING, **options)
    hana = join(project, Role.ANNOTATOR, name="Hana")
    assignment = claim_next(annotator=hana, batch=batch)
    scores = {
        str(key): {aspect.key: point for aspect, point in zip(aspects, points, strict=True)}
        for key in assignment.task.candidate_ids
    }
    submit(assignment=assignment, payload={"scores": scores, "comment": ""}, annotator=hana)
    return batch, hana, assignment


def html_of(client, name, *args):
    page = client.get(reverse(name, args=args))
    assert page.status_code == 200
    return page.content.decode()


@pytest.mark.parametrize(
    "names", [("正確さ", "流暢さ"), ("Точность", "Беглость"), ("Meaning & sense", "Flow"), ("정확성", "유창성")]
)
def test_names_and_words_of_the_scale_where_answers_are_read(sign_in, names):
    project = hotel(prompts=1)
    aspects = named(project, *names)
    batch, hana, assignment = scored(project, aspects, 5, 2)
    first, second = (name.replace("&", "&amp;") for name in names)
    expected = f"{first} 5: 完璧 · {second} 2: 悪い"
    answer = assignment.annotations.get()
    client = sign_in(hana)
    for html in (html_of(client, "my_work"), html_of(client, "my_answer", answer.pk)):
        assert expected in html
        assert html.count(f"{first} 5") == 1, "scores appear once"
    batch_html = html_of(sign_in(join(project, Role.MANAGER)), "batch", batch.pk)
    assert expected in batch_html
    assert "aspect-2" not in batch_html


def test_a_renamed_aspect_has_its_new_name_and_a_retired_one_keeps_its_own(sign_in):
    project = hotel(prompts=1)
    one, two = aspects = named(project, "Meaning", "Flow")
    _batch, hana, _ = scored(project, aspects, 4, 3)
    save_aspect(project=project, aspect=one, name="Accuracy", question="", anchors=ANCHORS, actor=None)
    retire_aspect(aspect=two, actor=None)
    html = html_of(sign_in(hana), "my_work")
    assert "Accuracy 4: 良い · Flow 3: 普通" in html
    assert "Meaning" not in html


def test_texts_side_by_side_have_their_own_scores(sign_in):
    project = hotel(prompts=1)
    aspects = named(project, "正確さ", "流暢さ")
    _batch, hana, _ = scored(project, aspects, 4, 3, alternatives=2)
    html = html_of(sign_in(hana), "my_work")
    assert "2 texts scored" in html
    assert html.count("正確さ 4: 良い · 流暢さ 3: 普通") == 2


def test_marks_do_not_repeat_the_scores(sign_in):
    project = hotel(prompts=1)
    (aspect,) = named(project, "正確さ")
    batch = batch_of(project, Kind.SCORING, origins=[ONE])
    hana = join(project, Role.ANNOTATOR)
    assignment = claim_next(annotator=hana, batch=batch)
    (key,) = assignment.task.candidate_ids
    span = {"start": 0, "end": 2, "category": "Grammar", "severity": "minor"}
    payload = {"scores": {str(key): {aspect.key: 5}}, "comment": "", "spans": {str(key): [span]}}
    submit(assignment=assignment, payload=payload, annotator=hana)
    assert html_of(sign_in(hana), "my_work").count("正確さ 5") == 1


def test_a_right_to_left_name_does_not_reorder_the_scores(sign_in):
    project = hotel(prompts=1)
    aspects = named(project, "الدقة", "Flow")
    _batch, hana, _ = scored(project, aspects, 5, 2)
    assert "\u2068الدقة\u2069 5: 完璧 · Flow 2: 悪い" in html_of(sign_in(hana), "my_work")


def test_a_new_version_says_which_scores_changed(sign_in):
    project = hotel(prompts=1)
    aspects = named(project, "正確さ")
    _batch, hana, assignment = scored(project, aspects, 5)
    client = sign_in(hana)
    client.post(reverse("my_answer_reopen", args=[assignment.annotations.get().pk]))
    client.post(reverse("submit", args=[assignment.pk]), {f"score-a-{aspects[0].key}": "2"})
    latest = assignment.annotations.get(is_current=True)
    html = html_of(client, "my_answer", latest.pk)
    assert "正確さ 2: 悪い" in html
    assert "正確さ 5: 完璧" in html
