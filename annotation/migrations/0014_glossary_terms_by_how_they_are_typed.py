import re

from django.db import migrations

from annotation.migrations._reading_2026_11 import AS_TYPED, folded

VOWEL_SIGNS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0640\u064b-\u0652\u0670]")


def lookup_form(text):
    """`annotation.text.typography.lookup_form` when this migration was written."""
    plain = folded(text.translate(AS_TYPED)).translate(AS_TYPED)
    return VOWEL_SIGNS.sub("", plain).replace("i\u0307", "i").replace("ı", "i")


def fold(apps, schema_editor):
    """Terms with ´, vowel signs or a dotted capital I are found as people type them: the stored form follows."""
    GlossaryTerm = apps.get_model("annotation", "GlossaryTerm")
    changed = []
    for term in GlossaryTerm.objects.iterator():
        form = lookup_form(term.source)
        if term.folded != form:
            term.folded = form
            changed.append(term)
    GlossaryTerm.objects.bulk_update(changed, ["folded"], batch_size=5_000)


class Migration(migrations.Migration):
    dependencies = [("annotation", "0013_answer_exports")]

    operations = [migrations.RunPython(fold, migrations.RunPython.noop)]
