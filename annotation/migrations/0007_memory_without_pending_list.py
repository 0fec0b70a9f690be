import django.contrib.postgres.indexes
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("annotation", "0006_folded_glossary_terms")]

    operations = [
        migrations.RemoveIndex("memoryentry", "memory_grams"),
        migrations.AddIndex(
            "memoryentry",
            django.contrib.postgres.indexes.GinIndex(fastupdate=False, fields=["grams"], name="memory_grams"),
        ),
    ]
