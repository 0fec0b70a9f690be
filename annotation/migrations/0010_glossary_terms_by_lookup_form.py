from django.db import migrations, models

from annotation.migrations._reading_2026_11 import lookup_form


def fold(apps, schema_editor):
    """Terms are looked for by a form in which guest's and guest’s are the same: the stored one follows."""
    GlossaryTerm = apps.get_model("annotation", "GlossaryTerm")
    changed = []
    for term in GlossaryTerm.objects.iterator():
        folded = lookup_form(term.source)
        if term.folded != folded:
            term.folded = folded
            changed.append(term)
    GlossaryTerm.objects.bulk_update(changed, ["folded"], batch_size=5_000)


class Migration(migrations.Migration):
    dependencies = [("annotation", "0009_prompts_that_read_the_same")]

    operations = [
        migrations.RunPython(fold, migrations.RunPython.noop),
        migrations.AlterField(
            "glossaryterm",
            "folded",
            models.TextField(help_text="The source as it is looked for: see `annotation.text.typography`."),
        ),
    ]
