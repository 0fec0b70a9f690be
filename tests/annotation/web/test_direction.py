"""A text in a known language is laid out in that language's direction, whatever it begins with, and so is an editor."""

import re
from pathlib import Path

import pytest
from django.urls import reverse

from annotation.models import Kind, Role
from annotation.reference.glossary import add_term
from annotation.text.languages import direction
from tests.annotation.helpers import batch_of
from tests.factories import AspectFactory, CandidateFactory, ProjectFactory, PromptFactory, WeightSetFactory, join

TEMPLATES = Path(__file__).parents[3] / "templates"
RIGHT_TO_LEFT = [
    "ar",
    "ar-MA",
    "he",
    "fa",
    "ur",
    "ps",
    "yi",
    "dv",
    "ckb",
    "sd",
    "ug",
    "nqo",
    "syr",
    "pa-Arab",
    "az-Arab",
]
RIGHT_TO_LEFT += ["az-Arab", "ff-Adlm", "pa-PK", "rhg", "ks", "arz", "AR", "ar_EG"]
LEFT_TO_RIGHT = ["en", "ja", "ko", "zh-TW", "el", "hi", "pa", "az", "sr-Latn", "uz", "ku", "th", "am", "ff", "mn-Mong"]


@pytest.mark.parametrize("tag", RIGHT_TO_LEFT)
def test_scripts_that_run_leftwards(tag):
    assert direction(tag) == "rtl"


@pytest.mark.parametrize("tag", LEFT_TO_RIGHT)
def test_scripts_that_run_rightwards(tag):
    assert direction(tag) == "ltr"


@pytest.mark.parametrize("tag", ["qaa", "x-own", "", "zzz", "und"])
def test_an_unknown_language_is_laid_out_by_its_first_letter(tag):
    assert direction(tag) == "auto"


def test_no_template_leaves_a_known_language_to_the_first_letter():
    """Every element with a project's language has that language's direction."""
    for path in TEMPLATES.rglob("*.html"):
        for element in re.findall(r"<[^<>]*>", path.read_text(encoding="utf-8")):
            for language in re.findall(r'\slang="\{\{ ([\w.]*language) \}\}"', element):
                assert f'dir="{{{{ {language}|direction }}}}"' in element, (path.name, element)


def elements(html: str, tag: str) -> list[str]:
    return re.findall(rf"<[a-z][^<>]*\slang=\"{tag}\"[^<>]*>", html)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", Kind.values)
def test_pages_of_an_arabic_project(sign_in, kind):
    project = ProjectFactory(source_language="en", target_language="ar", slug="hotel")
    AspectFactory(project=project)
    WeightSetFactory(project=project)
    prompt = PromptFactory(project=project, text="Free Wi-Fi in all rooms.")
    for text in ("Wi-Fi مجاني في جميع الغرف.", "Wi-Fi مجاني."):
        CandidateFactory(prompt=prompt, text=text)
    add_term(project=project, source="Wi-Fi", target="Wi-Fi مجاني", actor=None)
    batch = batch_of(project, kind)
    pages = [sign_in(join(project, Role.ANNOTATOR)).get(reverse("work", args=[batch.pk]))]
    manager = sign_in(join(project, Role.MANAGER))
    pages += [manager.get(f"/projects/hotel/{page}") for page in ("prompts/", "glossary/", "settings/glossary/")]
    pages.append(manager.get(reverse("batch", args=[batch.pk])))
    arabic = []
    for page in pages:
        html = page.content.decode()
        assert page.status_code == 200
        arabic += elements(html, "ar")
        english = [element for element in elements(html, "en") if not element.startswith(("<html", "<button"))]
        assert all('dir="ltr"' in element for element in english), english
    assert len(arabic) >= 4
    assert all('dir="rtl"' in element for element in arabic), arabic
    if kind in (Kind.WRITING, Kind.POSTEDITING):
        assert any(element.startswith("<textarea") for element in arabic)


@pytest.mark.django_db
def test_names_of_another_direction_do_not_run_into_their_neighbours(sign_in):
    """A letter, a name and a question stand side by side: each is set apart, so that none moves the other."""
    project = ProjectFactory(source_language="en", target_language="ja", slug="hotel")
    AspectFactory(project=project, name="טון", question="האם הטון מתאים?")
    WeightSetFactory(project=project)
    CandidateFactory(prompt=PromptFactory(project=project))
    page = sign_in(join(project, Role.ANNOTATOR)).get(reverse("work", args=[batch_of(project, Kind.SCORING).pk]))
    assert "<bdi>טון</bdi>" in page.content.decode()
    assert '<bdi class="meta">האם הטון מתאים?</bdi>' in page.content.decode()
