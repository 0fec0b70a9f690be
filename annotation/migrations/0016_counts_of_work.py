"""Counts of slots and of work, kept by triggers, and the time zone of a project.

A site has one zone until now: its projects keep it. The counts of what exists are made here.
"""

import annotation.models.project
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Statement triggers for what is written in bulk (a batch of 100,000 tasks is one statement), row triggers with a
# condition for what changes one row at a time: saving a draft renews a lease, which counts nothing.
TRIGGERS = """
    CREATE FUNCTION annotation_slot_state(state text, finished_at timestamptz) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE WHEN state = 'held' AND finished_at IS NOT NULL THEN 'reopened' ELSE state END
    $$;

    CREATE FUNCTION annotation_count_slots() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        sign integer := CASE WHEN TG_OP = 'DELETE' THEN -1 ELSE 1 END;
    BEGIN
        INSERT INTO annotation_slotcount (batch_id, state, slots, is_sum)
        SELECT batch_id, annotation_slot_state(state, finished_at), sign * count(*), false FROM rows GROUP BY 1, 2;
        INSERT INTO annotation_workcount
            (batch_id, annotator_id, day, hour, answered, changed, skipped, active_seconds, idle_seconds, is_sum)
        SELECT r.batch_id, r.annotator_id, local::date, extract(hour FROM local), 0, 0, sign * count(*), 0, 0, false
        FROM rows r JOIN annotation_batch b ON b.id = r.batch_id JOIN annotation_project p ON p.id = b.project_id
            CROSS JOIN LATERAL (SELECT r.finished_at AT TIME ZONE p.time_zone AS local) AS zone
        WHERE r.state = 'skipped' AND local IS NOT NULL GROUP BY 1, 2, 3, 4;
        RETURN NULL;
    END $$;
    CREATE TRIGGER annotation_slots_added AFTER INSERT ON annotation_assignment
        REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION annotation_count_slots();
    CREATE TRIGGER annotation_slots_deleted AFTER DELETE ON annotation_assignment
        REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION annotation_count_slots();

    CREATE FUNCTION annotation_count_slot_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO annotation_slotcount (batch_id, state, slots, is_sum) VALUES
            (OLD.batch_id, annotation_slot_state(OLD.state, OLD.finished_at), -1, false),
            (NEW.batch_id, annotation_slot_state(NEW.state, NEW.finished_at), 1, false);
        IF OLD.state = 'skipped' OR NEW.state = 'skipped' THEN
            INSERT INTO annotation_workcount
                (batch_id, annotator_id, day, hour, answered, changed, skipped, active_seconds, idle_seconds, is_sum)
            SELECT r.batch_id, r.annotator_id, local::date, extract(hour FROM local), 0, 0, r.sign, 0, 0, false
            FROM (VALUES
                (OLD.batch_id, OLD.annotator_id, OLD.finished_at, OLD.state, -1),
                (NEW.batch_id, NEW.annotator_id, NEW.finished_at, NEW.state, 1)
            ) AS r (batch_id, annotator_id, finished_at, state, sign)
                JOIN annotation_batch b ON b.id = r.batch_id JOIN annotation_project p ON p.id = b.project_id
                CROSS JOIN LATERAL (SELECT r.finished_at AT TIME ZONE p.time_zone AS local) AS zone
            WHERE r.state = 'skipped' AND local IS NOT NULL;
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER annotation_slot_changed AFTER UPDATE ON annotation_assignment FOR EACH ROW
        WHEN ((OLD.batch_id, annotation_slot_state(OLD.state, OLD.finished_at))
            IS DISTINCT FROM (NEW.batch_id, annotation_slot_state(NEW.state, NEW.finished_at))
            OR NEW.state = 'skipped' AND (OLD.annotator_id, OLD.finished_at)
                IS DISTINCT FROM (NEW.annotator_id, NEW.finished_at))
        EXECUTE FUNCTION annotation_count_slot_change();

    CREATE FUNCTION annotation_count_answers() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        sign integer := CASE WHEN TG_OP = 'DELETE' THEN -1 ELSE 1 END;
    BEGIN
        INSERT INTO annotation_workcount
            (batch_id, annotator_id, day, hour, answered, changed, skipped, active_seconds, idle_seconds, is_sum)
        SELECT a.batch_id, r.annotator_id, local::date, extract(hour FROM local),
            sign * count(*) FILTER (WHERE r.version = 1), sign * count(*) FILTER (WHERE r.version > 1),
            0, 0, 0, false
        FROM rows r JOIN annotation_assignment a ON a.id = r.assignment_id
            JOIN annotation_batch b ON b.id = a.batch_id JOIN annotation_project p ON p.id = b.project_id
            CROSS JOIN LATERAL (SELECT r.created_at AT TIME ZONE p.time_zone AS local) AS zone
        GROUP BY 1, 2, 3, 4;
        RETURN NULL;
    END $$;
    CREATE TRIGGER annotation_answers_added AFTER INSERT ON annotation_annotation
        REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION annotation_count_answers();
    CREATE TRIGGER annotation_answers_deleted AFTER DELETE ON annotation_annotation
        REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION annotation_count_answers();

    CREATE FUNCTION annotation_count_answer_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO annotation_workcount
            (batch_id, annotator_id, day, hour, answered, changed, skipped, active_seconds, idle_seconds, is_sum)
        SELECT a.batch_id, r.annotator_id, local::date, extract(hour FROM local),
            CASE WHEN r.version = 1 THEN sign ELSE 0 END, CASE WHEN r.version > 1 THEN sign ELSE 0 END, 0, 0, 0, false
        FROM (VALUES
            (OLD.assignment_id, OLD.annotator_id, OLD.version, OLD.created_at, -1),
            (NEW.assignment_id, NEW.annotator_id, NEW.version, NEW.created_at, 1)
        ) AS r (assignment_id, annotator_id, version, created_at, sign)
            JOIN annotation_assignment a ON a.id = r.assignment_id
            JOIN annotation_batch b ON b.id = a.batch_id JOIN annotation_project p ON p.id = b.project_id
            CROSS JOIN LATERAL (SELECT r.created_at AT TIME ZONE p.time_zone AS local) AS zone;
        RETURN NULL;
    END $$;
    CREATE TRIGGER annotation_answer_changed AFTER UPDATE ON annotation_annotation FOR EACH ROW
        WHEN ((OLD.assignment_id, OLD.annotator_id, OLD.version, OLD.created_at)
            IS DISTINCT FROM (NEW.assignment_id, NEW.annotator_id, NEW.version, NEW.created_at))
        EXECUTE FUNCTION annotation_count_answer_change();

    CREATE FUNCTION annotation_count_time() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        sign integer := CASE WHEN TG_OP = 'DELETE' THEN -1 ELSE 1 END;
    BEGIN
        INSERT INTO annotation_workcount
            (batch_id, annotator_id, day, hour, answered, changed, skipped, active_seconds, idle_seconds, is_sum)
        SELECT r.batch_id, r.annotator_id, local::date, extract(hour FROM local), 0, 0, 0,
            sign * sum(r.active_seconds), sign * sum(r.idle_seconds), false
        FROM rows r JOIN annotation_batch b ON b.id = r.batch_id JOIN annotation_project p ON p.id = b.project_id
            CROSS JOIN LATERAL (SELECT r.began_at AT TIME ZONE p.time_zone AS local) AS zone
        GROUP BY 1, 2, 3, 4;
        RETURN NULL;
    END $$;
    CREATE TRIGGER annotation_time_added AFTER INSERT ON annotation_timespent
        REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION annotation_count_time();
    CREATE TRIGGER annotation_time_deleted AFTER DELETE ON annotation_timespent
        REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION annotation_count_time();

    CREATE FUNCTION annotation_count_time_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO annotation_workcount
            (batch_id, annotator_id, day, hour, answered, changed, skipped, active_seconds, idle_seconds, is_sum)
        SELECT r.batch_id, r.annotator_id, local::date, extract(hour FROM local), 0, 0, 0,
            sum(r.active), sum(r.idle), false
        FROM (VALUES
            (OLD.batch_id, OLD.annotator_id, OLD.began_at, -OLD.active_seconds, -OLD.idle_seconds),
            (NEW.batch_id, NEW.annotator_id, NEW.began_at, NEW.active_seconds, NEW.idle_seconds)
        ) AS r (batch_id, annotator_id, began_at, active, idle)
            JOIN annotation_batch b ON b.id = r.batch_id JOIN annotation_project p ON p.id = b.project_id
            CROSS JOIN LATERAL (SELECT r.began_at AT TIME ZONE p.time_zone AS local) AS zone
        GROUP BY 1, 2, 3, 4;
        RETURN NULL;
    END $$;
    CREATE TRIGGER annotation_time_changed AFTER UPDATE ON annotation_timespent FOR EACH ROW
        WHEN ((OLD.batch_id, OLD.annotator_id, OLD.began_at, OLD.active_seconds, OLD.idle_seconds)
            IS DISTINCT FROM (NEW.batch_id, NEW.annotator_id, NEW.began_at, NEW.active_seconds, NEW.idle_seconds))
        EXECUTE FUNCTION annotation_count_time_change();
"""
REMOVE = """
    DROP TRIGGER annotation_time_changed ON annotation_timespent;
    DROP TRIGGER annotation_time_deleted ON annotation_timespent;
    DROP TRIGGER annotation_time_added ON annotation_timespent;
    DROP TRIGGER annotation_answer_changed ON annotation_annotation;
    DROP TRIGGER annotation_answers_deleted ON annotation_annotation;
    DROP TRIGGER annotation_answers_added ON annotation_annotation;
    DROP TRIGGER annotation_slot_changed ON annotation_assignment;
    DROP TRIGGER annotation_slots_deleted ON annotation_assignment;
    DROP TRIGGER annotation_slots_added ON annotation_assignment;
    DROP FUNCTION annotation_count_time_change(), annotation_count_time(), annotation_count_answer_change(),
        annotation_count_answers(), annotation_count_slot_change(), annotation_count_slots(), annotation_slot_state(text, timestamptz);
"""
FILL = """
    INSERT INTO annotation_slotcount (batch_id, state, slots, is_sum)
    SELECT batch_id, annotation_slot_state(state, finished_at), count(*), true FROM annotation_assignment GROUP BY 1, 2;
    INSERT INTO annotation_workcount
        (batch_id, annotator_id, day, hour, answered, changed, skipped, active_seconds, idle_seconds, is_sum)
    SELECT w.batch_id, w.annotator_id, local::date, extract(hour FROM local),
        sum(answered), sum(changed), sum(skipped), sum(active), sum(idle), true
    FROM (
        SELECT a.batch_id, n.annotator_id, n.created_at AS at, (n.version = 1)::int AS answered,
            (n.version > 1)::int AS changed, 0 AS skipped, 0::float8 AS active, 0::float8 AS idle
        FROM annotation_annotation n JOIN annotation_assignment a ON a.id = n.assignment_id
        UNION ALL SELECT batch_id, annotator_id, finished_at, 0, 0, 1, 0, 0 FROM annotation_assignment
            WHERE state = 'skipped' AND finished_at IS NOT NULL
        UNION ALL SELECT batch_id, annotator_id, began_at, 0, 0, 0, active_seconds, idle_seconds
            FROM annotation_timespent
    ) AS w JOIN annotation_batch b ON b.id = w.batch_id JOIN annotation_project p ON p.id = b.project_id
        CROSS JOIN LATERAL (SELECT w.at AT TIME ZONE p.time_zone AS local) AS zone
    GROUP BY 1, 2, 3, 4;
"""


def refuse_unknown_zone(apps, schema_editor):
    """A zone that the database does not know would let no answer be written."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_timezone_names WHERE name = %s", [settings.TIME_ZONE])
        known = cursor.fetchone()[0]
    if not known:
        raise ValueError(f"PostgreSQL does not know the time zone {settings.TIME_ZONE}: change KONOMI_TIME_ZONE")


class Migration(migrations.Migration):

    dependencies = [
        ('annotation', '0015_exclusions'),
    ]

    operations = [
        migrations.RunPython(refuse_unknown_zone, migrations.RunPython.noop),
        migrations.AddField(
            model_name='project',
            name='time_zone',
            field=models.CharField(default=annotation.models.project.site_time_zone, help_text='Where a day begins and ends: for time sheets, dashboards and cost. A name such as Asia/Tokyo.', max_length=60),
        ),
        migrations.CreateModel(
            name='SlotCount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('free', 'Free'), ('held', 'In progress'), ('reopened', 'Reopened'), ('done', 'Done'), ('skipped', 'Skipped')], max_length=8)),
                ('slots', models.IntegerField()),
                ('is_sum', models.BooleanField(default=False)),
                ('batch', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='annotation.batch')),
            ],
            options={
                'indexes': [models.Index(fields=['batch', 'state'], include=('slots',), name='slot_count_of_batch'), models.Index(condition=models.Q(('is_sum', False)), fields=['id'], name='slot_count_to_fold')],
            },
        ),
        migrations.CreateModel(
            name='WorkCount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('hour', models.PositiveSmallIntegerField()),
                ('answered', models.IntegerField(default=0)),
                ('changed', models.IntegerField(default=0, help_text='Later versions of answers.')),
                ('skipped', models.IntegerField(default=0)),
                ('active_seconds', models.FloatField(default=0)),
                ('idle_seconds', models.FloatField(default=0)),
                ('is_sum', models.BooleanField(default=False)),
                ('annotator', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('batch', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='annotation.batch')),
            ],
            options={
                'indexes': [models.Index(fields=['batch', 'day'], name='work_count_of_batch'), models.Index(fields=['annotator', 'day'], name='work_count_of_person'), models.Index(condition=models.Q(('is_sum', False)), fields=['id'], name='work_count_to_fold')],
            },
        ),
        migrations.RunSQL(TRIGGERS, REMOVE),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
