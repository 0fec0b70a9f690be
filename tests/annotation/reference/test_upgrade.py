"""Sites of before: similar texts and glossary terms are found by how they read, without a command."""

import ast
import unicodedata
from importlib import import_module
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from hypothesis import given
from hypothesis import strategies as st

import annotation
from annotation.migrations import _reading_2026_11 as frozen
from annotation.models import GlossaryTerm, MemoryEntry, Role
from annotation.reference import translation_memory
from annotation.reference.glossary import terms_in
from annotation.text.digests import prompt_identity
from annotation.text.normalization import folded, normal_form
from annotation.text.typography import lookup_form
from tests.annotation.helpers import hotel
from tests.annotation.reference.test_translation_memory import answered
from tests.factories import join

typed = import_module("annotation.migrations.0014_glossary_terms_by_how_they_are_typed")
BEFORE = [("annotation", "0008_plain_wording")]
TEXTS = ["A zero\u200bwidth room", "10² rooms", "plain room", "ﬁne rooms", "room\u00ad number ①", "客室\u3000は"]


def folded_before(text):
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@pytest.mark.django_db(transaction=True)
def test_an_old_site_finds_similar_texts_and_terms_after_the_migration(monkeypatch, capsys):
    project = hotel(prompts=0)
    hana = join(project, Role.ANNOTATOR)
    term = GlossaryTerm.objects.create(project=project, source="guest’s room", target="客室", folded="guest’s room")
    others = [
        GlossaryTerm.objects.create(project=project, source=source, target="x", folded=folded(source))
        for source in ("d´hôte", "كِتَاب", "İzmir")
    ]
    with monkeypatch.context() as old:
        old.setattr(translation_memory, "folded", folded_before)
        for text in TEXTS:
            answered(project, hana, text, "x")
    assert any(e.grams != translation_memory.sketch(e.source, e.project_id) for e in MemoryEntry.objects.all())
    kept = MemoryEntry.objects.get(source="plain room").created_at
    try:
        MigrationExecutor(connection).migrate(BEFORE)
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
    assert "of 6 are found by how they read" in capsys.readouterr().out
    for entry in MemoryEntry.objects.all():
        assert entry.grams == translation_memory.sketch(entry.source, entry.project_id), entry.source
    assert MemoryEntry.objects.get(source="plain room").created_at == kept
    term.refresh_from_db()
    assert term.folded == "guest's room"
    for other in others:
        other.refresh_from_db()
        assert other.folded == lookup_form(other.source) != folded(other.source)
    assert [hit.source for hit in terms_in(project=project, text="a guest's room")] == ["guest’s room"]


def test_migrations_import_no_code_that_changes():
    for path in Path(annotation.__file__).parent.glob("migrations/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("annotation"):
                assert node.module.startswith("annotation.migrations."), path.name


@given(st.text(max_size=80))
def test_the_copy_is_what_the_code_was(text):
    """Delete this test with the first change of the normal form, and make the migration that goes with it. The form for
    looking terms up has changed: its copy is in a migration of its own."""
    assert frozen.normal_form(text) == normal_form(text)
    assert frozen.folded(text) == folded(text)
    assert typed.lookup_form(text) == lookup_form(text)
    message = [{"role": "user", "content": text}]
    assert frozen.prompt_identity(message) == prompt_identity(message)
    assert frozen.sketch(text, 7) == translation_memory.sketch(text, 7)
