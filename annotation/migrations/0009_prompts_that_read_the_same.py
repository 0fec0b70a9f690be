"""Prompts are known by how they read, and by document, context and id; imports say what they merged and left out.

Rows keep their ids, texts, digests and their side of the held-out split. Where two prompts of a project read the same
(until now a blank at the end made another prompt), the first is the one that later imports find.
"""

from itertools import islice

from django.db import migrations, models

from annotation.migrations._reading_2026_11 import context_key, distinction, normal_form, prompt_identity

CHUNK = 5000


def identify(apps, schema_editor):
    connection = schema_editor.connection
    table = apps.get_model("annotation", "Prompt")
    columns = ("pk", "project_id", "text", "messages", "source_document", "metadata", "external_id")
    rows = table.objects.order_by("project_id", "pk").values_list(*columns).iterator(CHUNK)
    project, seen = None, set()
    while chunk := list(islice(rows, CHUNK)):
        keys = []
        for pk, project_id, text, messages, document, metadata, external_id in chunk:
            if project_id != project:
                project, seen = project_id, set()
            reads_as = prompt_identity(messages or [{"role": "user", "content": text}])
            apart = distinction(normal_form(document), context_key(metadata), external_id)
            if (reads_as, apart) in seen:
                apart = f"prompt {pk}"
            seen.add((reads_as, apart))
            keys.append((pk, reads_as, apart))
        with connection.cursor() as cursor:
            cursor.execute(
                """UPDATE annotation_prompt p SET reads_as = n.reads_as, distinction = n.distinction
                FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS n (id, reads_as, distinction) WHERE p.id = n.id""",
                [list(column) for column in zip(*keys, strict=True)],
            )


class Migration(migrations.Migration):
    dependencies = [("annotation", "0008_plain_wording")]

    operations = [
        migrations.AddField(
            "import",
            "report",
            models.JSONField(default=dict, help_text="What was merged or not read: see `annotation.importing.report`."),
        ),
        migrations.AlterField(
            "prompt", "digest", models.CharField(max_length=64, help_text="sha256 of the messages as they are.")
        ),
        migrations.AddField(
            "prompt",
            "reads_as",
            models.CharField(
                max_length=64,
                default="",
                db_default="",
                help_text="sha256 of the messages in their normal form: equal for what reads the same.",
            ),
        ),
        migrations.AddField(
            "prompt",
            "distinction",
            models.CharField(
                max_length=64,
                default="",
                db_default="",
                blank=True,
                help_text="sha256 of what tells it apart from prompts that read the same: document, context and id.",
            ),
        ),
        migrations.RunPython(identify, migrations.RunPython.noop),
        migrations.RemoveConstraint("prompt", "prompt_once"),
        migrations.AddConstraint(
            "prompt",
            models.UniqueConstraint(
                fields=["project", "reads_as", "distinction"], condition=~models.Q(reads_as=""), name="prompt_once"
            ),
        ),
    ]
