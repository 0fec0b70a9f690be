from django.db import migrations, models

from annotation.migrations._reading_2026_11 import folded


def fold(apps, schema_editor):
    for term in apps.get_model("annotation", "GlossaryTerm").objects.iterator():
        term.folded = folded(term.source)
        term.save(update_fields=["folded"])


class Migration(migrations.Migration):
    dependencies = [("annotation", "0005_the_best_eight_hours")]

    operations = [
        migrations.AddField("glossaryterm", "folded", models.TextField(default=""), preserve_default=False),
        migrations.RunPython(fold, migrations.RunPython.noop),
        migrations.AlterField(
            "glossaryterm",
            "folded",
            models.TextField(help_text="The source as it is looked for: see `annotation.text.normalization`."),
        ),
    ]
