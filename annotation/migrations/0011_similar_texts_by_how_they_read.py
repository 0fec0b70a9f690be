"""The translation memory finds texts by how they read, as prompts are known: sketches of before are made again.

Only texts that the former folding (NFKC, case, spaces) treated otherwise are touched: those with characters without ink
or with superscripts, fractions and circled signs. Running it again changes nothing.
"""

import unicodedata
from itertools import islice

from django.db import migrations

from annotation.migrations._reading_2026_11 import folded, sketch

CHUNK = 5_000


def folded_before(text):
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def sketch_again(apps, schema_editor):
    connection = schema_editor.connection
    entries = apps.get_model("annotation", "MemoryEntry").objects.order_by("pk")
    rows = entries.values_list("pk", "project_id", "source").iterator(CHUNK)
    done = changed = 0
    while chunk := list(islice(rows, CHUNK)):
        sketches = [
            (pk, ",".join(map(str, sketch(source, project))))
            for pk, project, source in chunk
            if not source.isascii() and folded(source) != folded_before(source)
        ]
        if sketches:
            with connection.cursor() as cursor:
                cursor.execute(
                    """UPDATE annotation_memoryentry m SET grams = string_to_array(n.grams, ',')::integer[]
                    FROM unnest(%s::bigint[], %s::text[]) AS n (id, grams) WHERE m.id = n.id""",
                    [list(column) for column in zip(*sketches, strict=True)],
                )
        done, changed = done + len(chunk), changed + len(sketches)
    if changed:
        print(f"  Similar texts: {changed:,} of {done:,} are found by how they read from now on.", flush=True)


class Migration(migrations.Migration):
    dependencies = [("annotation", "0010_glossary_terms_by_lookup_form")]

    operations = [migrations.RunPython(sketch_again, migrations.RunPython.noop)]
