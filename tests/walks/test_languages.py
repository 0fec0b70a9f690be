"""The pages in each language: who gets which, and that no word was forgotten."""

import gettext
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from django.utils import translation

from annotation.models import Batch, Event, Role
from tests.factories import PASSWORD, ProjectFactory, join
from tests.walks import catalogue, every_page, page_words

pytestmark = pytest.mark.django_db
BASE_DIR = Path(__file__).resolve().parent.parent.parent
TEMPLATES = BASE_DIR / "templates"
JAPANESE = {"HTTP_ACCEPT_LANGUAGE": "ja,en;q=0.5"}


def language_of(response) -> str:
    return response.content.decode().split('<html lang="')[1].split('"')[0]


def test_a_visitor_gets_the_browsers_language_and_can_change_it_without_a_script(client):
    page = client.get("/accounts/login/?next=/my-work/", **JAPANESE)
    assert language_of(page) == page.headers["Content-Language"] == "ja"
    assert language_of(client.get("/accounts/login/", HTTP_ACCEPT_LANGUAGE="fr")) == "en"
    assert '<button class="link" name="language" value="en" lang="en">English</button>' in page.content.decode()
    changed = client.post("/language/", {"language": "en", "next": "/accounts/login/?next=/my-work/"})
    assert changed.headers["Location"] == "/accounts/login/?next=/my-work/"
    assert language_of(client.get("/accounts/login/", **JAPANESE)) == "en"


def test_a_persons_choice_holds_on_every_machine(client, sign_in):
    mio = join(ProjectFactory(), Role.ANNOTATOR, name="Mio", email="mio@example.org")
    sign_in(mio)
    assert language_of(client.get("/")) == "en"
    assert client.post("/language/", {"language": "ja", "next": "/my-work/"}).headers["Location"] == "/my-work/"
    assert Event.objects.get(verb="user.language_chosen").after == {"language": "ja"}
    client.post("/language/", {"language": "ja", "next": "/"})
    assert Event.objects.filter(verb="user.language_chosen").count() == 1, "nothing changed, nothing to tell"
    client.cookies.clear()
    client.post("/accounts/login/", {"login": "mio@example.org", "password": PASSWORD})
    assert language_of(client.get("/")) == "ja", "another browser, no cookie of ours"
    assert "django_language" not in client.cookies


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_the_switch_leads_nowhere_else(client, elsewhere):
    assert client.post("/language/", {"language": "ja", "next": elsewhere}).headers["Location"] == reverse("home")


def test_the_switch_knows_its_languages(client):
    assert client.post("/language/", {"language": "xx", "next": "/"}).status_code == 400
    assert client.get("/language/").status_code == 405


def test_the_language_costs_no_query(client, sign_in, django_assert_num_queries):
    with django_assert_num_queries(0):
        client.get("/accounts/login/", **JAPANESE)
    sign_in(join(ProjectFactory(), Role.ANNOTATOR, language="ja"))
    with django_assert_num_queries(2):  # the session and the person, as on every page
        client.get("/nowhere/")


# ---- the catalogue ----

NAMED = re.compile(r"%\(\w+\)\d*[a-z]|\{\w+\}")


def test_the_catalogue_is_complete():
    faults = []
    for entry in catalogue.read():
        given = entry.msgstr.get(0, "")
        if entry.fuzzy or not given.strip():
            faults.append(f"not translated: {entry.msgid}")
        elif set(NAMED.findall(given)) != set(NAMED.findall(entry.msgid_plural or entry.msgid)):
            faults.append(f"other values: {entry.msgid} → {given}")
        elif sorted(re.findall(r"<[^>]*>", given)) != sorted(re.findall(r"<[^>]*>", entry.msgid)):
            faults.append(f"other tags: {entry.msgid} → {given}")
        elif given.startswith("\n") != entry.msgid.startswith("\n"):
            faults.append(f"another first line: {entry.msgid}")
    assert not faults, "\n".join(faults)


def test_the_compiled_catalogue_is_the_catalogue():
    with catalogue.PO.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for entry in catalogue.read():
        if entry.msgid_plural:
            said = compiled.ngettext(entry.msgid, entry.msgid_plural, 2)
        elif entry.msgctxt:
            said = compiled.pgettext(entry.msgctxt, entry.msgid)
        else:
            said = compiled.gettext(entry.msgid)
        assert said == entry.msgstr[0], f"make messages was not run after a change of: {entry.msgid}"


def test_every_word_of_the_sources_is_in_the_catalogue(tmp_path):
    """The programs of gettext collect the messages again, from a copy of the sources."""
    if shutil.which("xgettext") is None:
        pytest.skip("no xgettext on this machine: install the package gettext (.ci/run does)")
    for folder in ("annotation", "training", "deploy", "templates", "demo"):
        shutil.copytree(
            BASE_DIR / folder, tmp_path / folder, ignore=lambda _, names: [n for n in names if n == "__pycache__"]
        )
    shutil.copytree(BASE_DIR / "locale", tmp_path / "locale")
    command = [sys.executable, "-m", "django", "makemessages", "--all", "--no-wrap", "--no-obsolete", "-v0"]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "deploy.settings", "PYTHONPATH": str(tmp_path)}
    collected = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert collected.returncode == 0, collected.stderr
    known = {entry.key for entry in catalogue.read()}
    found = {entry.key for entry in catalogue.read(tmp_path / "locale/ja/LC_MESSAGES/django.po")}
    assert not found - known, f"run make messages and translate: {sorted(str(key) for key in found - known)}"
    assert not known - found, f"run make messages: nothing says {sorted(str(key) for key in known - found)}"


# ---- scripts ----

# Text that a script writes into a page: what is assigned, but for values and single signs.
WRITTEN = re.compile(
    r"(?:\.(?:textContent|innerText|innerHTML|title|placeholder|ariaLabel|value)\s*=(?!=)|"
    r"setAttribute\(\s*[\"'](?:aria-label|title|placeholder)[\"'],|(?:alert|confirm|prompt)\()\s*([^;]*)"
)
LITERAL = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`")


@pytest.mark.parametrize("script", sorted((BASE_DIR / "static" / "js").glob("*.js")), ids=lambda path: path.name)
def test_a_script_has_no_sentences_of_its_own(script):
    """They come from script_messages or from an attribute that a template translates."""
    assert own_sentences(script.read_text(encoding="utf-8")) == []


def own_sentences(text: str) -> list[str]:
    literals = [literal for match in WRITTEN.finditer(text) for literal in LITERAL.findall(without_calls(match[1]))]
    return [literal for literal in literals if re.search(r"[^\W\d_]{2}", re.sub(r"\$\{[^}]*\}", "", literal))]


def without_calls(expression: str) -> str:
    """`word("keys.submit")` and `querySelector("b")` hold names, not sentences."""
    inner = re.sub(r"\w+\([^()]*\)", "", expression)
    return inner if inner == expression else without_calls(inner)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('button.textContent = "Copied";', ['"Copied"']),
        ("mark.setAttribute('aria-label', 'Remove ' + n);", ["'Remove '"]),
        ("all.textContent = `${bar.value} of ${bar.max}`;", ["`${bar.value} of ${bar.max}`"]),
        ("all.textContent = `${bar.value} / ${bar.max}`;", []),
        ('remove.setAttribute("aria-label", word("mark.remove_one", { n: at + 1 }));', []),
        ('readout.textContent = "";', []),
    ],
)
def test_a_scripts_own_sentence_is_noticed(line, expected):
    assert own_sentences(line) == expected


# ---- templates ----

# Names that are the same in every language, and what only programs read.
SAME = {
    "Konomi",
    "· Konomi",
    "Konomi · Konomi",
    "HTER",
    "sha256",
    "konomi",
    "MQM",
    "CSV",
    "Enter",
    "Esc",
    "Shift",
    "Ctrl",
}
COLUMN_NAMES = {
    "text",
    "candidate_…",
    "chosen, rejected",
    "text, candidate_…",
    "worker",
    "answer, winner",
    "annotator1, annotator2",
    "rank_…",
    "score, helpfulness, …",
    "model_a, model_b",
    "time, seconds",
    "reference",
    "id",
    "document",
    "context",
    "split",
    "metadata.…",
}


@pytest.mark.parametrize("path", sorted(path.relative_to(TEMPLATES) for path in TEMPLATES.rglob("*.html")), ids=str)
def test_a_template_says_nothing_untranslated(path):
    allowed = SAME | (COLUMN_NAMES if path.name in ("import_new.html", "judgements_new.html") else set())
    assert not set(page_words.unwrapped((TEMPLATES / path).read_text(encoding="utf-8"))) - allowed


# ---- pages ----


@pytest.mark.parametrize("role", [*Role.values, "visitor"])
def test_japanese_pages_say_nothing_in_english(role, client, sign_in):
    world = every_page.everything()
    if role != "visitor":
        sign_in(world.people[Role(role)])
    english = {entry.msgid for entry in catalogue.read() if entry.msgstr.get(0) != entry.msgid}
    faults, walked = [], set()
    for name, address in world.pages():
        response = client.get(address, **JAPANESE)
        if response.status_code != 200 or not response.headers["Content-Type"].startswith("text/html"):
            continue
        html = response.content.decode()
        walked.add(name)
        if "<html" in html:
            assert language_of(response) == "ja", name
        for language, said in page_words.of_page(html):
            text = re.sub("「[^」]*」", "", said)  # what a person wrote, quoted
            if language in ("", "ja") and (text in english or re.search(r"\b[A-Za-z]{3,} [a-z]{2,}\b", text)):
                faults.append(f"{name}: {text}")
    assert not faults, "\n".join(sorted(set(faults)))
    assert len(walked) > {"visitor": 5, "annotator": 15}.get(role, 25)


def test_pages_of_trouble_are_in_the_language_too(client):
    lost = client.get("/nowhere/", **JAPANESE)
    assert (lost.status_code, language_of(lost)) == (404, "ja")
    assert "見つかりません" in lost.content.decode()
    refused = Client(enforce_csrf_checks=True).post("/accounts/login/", {"login": "x"}, **JAPANESE)
    assert "このページは期限が切れています" in refused.content.decode()
    wrong = client.post("/accounts/login/", {"login": "mio@example.org", "password": "no"}, **JAPANESE)
    assert not re.search(
        r"[A-Za-z]{3,} [a-z]{2,}", " ".join(text for _, text in page_words.of_page(wrong.content.decode()))
    )
    with translation.override("ja"):
        assert '<html lang="ja"' in (broken := render_to_string("500.html"))
    assert "問題が発生しました" in broken


def test_arabic_texts_run_their_own_way_on_every_page(sign_in):
    """Whoever shows a text of the project names its language and lets its own letters decide the direction."""
    texts = ("هل يمكننا الحصول على غرفة أهدأ؟", "האם נוכל לקבל חדר שקט יותר?", "حجرة هادئة")
    world = every_page.everything(languages=("ar", "he"), texts=texts, name="ردود الفندق", slug="funduq")
    client = sign_in(world.people[Role.MANAGER])
    Batch.objects.filter(project=world.project).update(name="دفعة أولى")
    faults, seen = [], 0
    for name, address in world.pages():
        response = client.get(address)
        if response.status_code == 200 and response.headers["Content-Type"].startswith("text/html"):
            parser = Directions()
            parser.feed(response.content.decode())
            seen += parser.seen
            faults += [f"{name}: {fault}" for fault in parser.faults]
    assert not faults, "\n".join(sorted(set(faults)))
    assert seen > 50


class Directions(HTMLParser):
    """Finds letters that run from right to left in elements that do not isolate them."""

    def __init__(self):
        super().__init__()
        self.stack, self.faults, self.seen = [("html", False)], [], 0

    def handle_starttag(self, tag, attrs):
        if tag not in page_words.VOID:
            given = dict(attrs)
            alone = tag in ("bdi", "option", "title") or "dir" in given or "hidden" in given
            self.stack.append((tag, alone if tag != "html" else False))

    def handle_endtag(self, tag):
        if any(open_tag == tag for open_tag, _ in self.stack):
            while self.stack.pop()[0] != tag:
                pass

    def handle_data(self, data):
        if re.search("[\u0590-\u06ff]", data):
            self.seen += 1
            if not any(alone for _, alone in self.stack):
                self.faults.append(f"<{self.stack[-1][0]}> {' '.join(data.split())[:60]}")
