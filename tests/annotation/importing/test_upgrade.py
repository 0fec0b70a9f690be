"""Prompts that were imported before prompts were known by how they read."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from annotation.models import Prompt
from annotation.text.digests import prompt_digest
from tests.annotation.importing.helpers import as_jsonl
from tests.factories import ProjectFactory

BEFORE = [("annotation", "0007_memory_without_pending_list")]
PROMPTS = [
    # text, document, metadata, id, held out
    ("Hello", "", {}, "", False),
    ("Hello ", "", {}, "", True),  # reads the same, and stood on the other side: it stays there
    ("Close", "door manual", {"context": "verb"}, "", True),
    ("OK", "mail", {}, "a1", False),
]


@pytest.mark.django_db(transaction=True)
def test_prompts_of_before_keep_ids_and_sides_and_are_found_again(tmp_path):
    project = ProjectFactory(slug="hotel", held_out_share=0.5)
    try:
        MigrationExecutor(connection).migrate(BEFORE)
        old = MigrationExecutor(connection).loader.project_state(BEFORE).apps.get_model("annotation", "Prompt")
        for text, document, metadata, external_id, held_out in PROMPTS:
            old.objects.create(
                project_id=project.pk,
                text=text,
                source_document=document,
                metadata=metadata,
                external_id=external_id,
                digest=prompt_digest(text),
                held_out=held_out,
            )
        chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
        old.objects.create(project_id=project.pk, text="Hi", messages=chat, digest="c" * 64)
        before = list(old.objects.order_by("pk").values_list("pk", "text", "digest", "held_out"))
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
    assert list(Prompt.objects.order_by("pk").values_list("pk", "text", "digest", "held_out")) == before
    rows = [
        {"text": text, "document": document, "metadata": metadata, "id": external_id, "candidate_x": f"x {text}"}
        for text, document, metadata, external_id, _ in PROMPTS
    ]
    path = tmp_path / "again.jsonl"
    path.write_text(as_jsonl([*rows, {"system": "Be brief.", "text": "Hi"}]))
    call_command("import_prompts", "hotel", str(path))
    assert list(Prompt.objects.order_by("pk").values_list("pk", "text", "digest", "held_out")) == before
    first, second = Prompt.objects.order_by("pk")[:2]
    assert first.reads_as == second.reads_as
    assert [c.text for c in first.candidates.order_by("pk")] == ["x Hello", "x Hello "]
