"""Frozen means frozen, in the database itself; and an import says how far it has come."""

from django.db import migrations, models

# The test runner empties the tables of its own database (test_…) by TRUNCATE; nobody else may.
FREEZE = """
    CREATE FUNCTION annotation_refuse_dataset_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'TRUNCATE' AND current_database() LIKE 'test\\_%' THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION 'a dataset version is frozen: % refused', TG_OP
            USING ERRCODE = 'restrict_violation', HINT = 'Freeze a new version instead.';
    END $$;
    CREATE TRIGGER annotation_dataset_frozen BEFORE UPDATE OR DELETE ON annotation_datasetversion
        FOR EACH ROW EXECUTE FUNCTION annotation_refuse_dataset_change();
    CREATE TRIGGER annotation_dataset_kept BEFORE TRUNCATE ON annotation_datasetversion
        FOR EACH STATEMENT EXECUTE FUNCTION annotation_refuse_dataset_change();
"""
THAW = """
    DROP TRIGGER annotation_dataset_kept ON annotation_datasetversion;
    DROP TRIGGER annotation_dataset_frozen ON annotation_datasetversion;
    DROP FUNCTION annotation_refuse_dataset_change();
"""


class Migration(migrations.Migration):
    dependencies = [("annotation", "0002_draft_of_person")]

    operations = [
        migrations.RunSQL(FREEZE, THAW),
        migrations.AddField(
            model_name="import",
            name="share_read",
            field=models.FloatField(default=0, help_text="How much of the file has been read, 0 to 1."),
        ),
        migrations.AlterField(
            model_name="import",
            name="status",
            field=models.CharField(
                choices=[
                    ("uploaded", "Columns not confirmed yet"),
                    ("queued", "Waiting"),
                    ("running", "Reading"),
                    ("done", "Done"),
                    ("refused", "Refused"),
                    ("failed", "Failed"),
                ],
                default="queued",
                max_length=16,
            ),
        ),
    ]
