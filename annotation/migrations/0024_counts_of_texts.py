"""Counts of prompts and candidates, kept by triggers, and indexes that pages of many prompts and answers are read from.

The counts of what exists are made here: about a second for a million candidates.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Statement triggers for what is added and deleted, as imports do in bulk; row triggers with a condition for what hardly
# ever changes. The join with the prompts is planned each time (EXECUTE): a plan for one row would be kept for the
# 200,000 of an import, and the other way round.
TRIGGERS = """
    CREATE FUNCTION annotation_count_prompts() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO annotation_promptcount (project_id, held_out, prompts, is_sum)
        SELECT project_id, held_out, CASE WHEN TG_OP = 'DELETE' THEN -1 ELSE 1 END * count(*), false
        FROM rows GROUP BY 1, 2;
        RETURN NULL;
    END $$;
    CREATE TRIGGER annotation_prompts_added AFTER INSERT ON annotation_prompt
        REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION annotation_count_prompts();
    CREATE TRIGGER annotation_prompts_deleted AFTER DELETE ON annotation_prompt
        REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION annotation_count_prompts();

    CREATE FUNCTION annotation_count_prompt_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO annotation_promptcount (project_id, held_out, prompts, is_sum)
        VALUES (OLD.project_id, OLD.held_out, -1, false), (NEW.project_id, NEW.held_out, 1, false);
        IF OLD.project_id <> NEW.project_id THEN
            INSERT INTO annotation_candidatecount (project_id, origin, candidates, is_sum)
            SELECT p.id, c.origin, p.sign * count(*), false
            FROM annotation_candidate c, (VALUES (OLD.project_id, -1), (NEW.project_id, 1)) AS p (id, sign)
            WHERE c.prompt_id = NEW.id GROUP BY p.id, p.sign, c.origin;
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER annotation_prompt_changed AFTER UPDATE ON annotation_prompt FOR EACH ROW
        WHEN ((OLD.project_id, OLD.held_out) IS DISTINCT FROM (NEW.project_id, NEW.held_out))
        EXECUTE FUNCTION annotation_count_prompt_change();

    CREATE FUNCTION annotation_count_candidates() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE 'INSERT INTO annotation_candidatecount (project_id, origin, candidates, is_sum)
            SELECT p.project_id, r.origin, $1 * count(*), false
            FROM rows r JOIN annotation_prompt p ON p.id = r.prompt_id GROUP BY 1, 2'
            USING CASE WHEN TG_OP = 'DELETE' THEN -1 ELSE 1 END;
        RETURN NULL;
    END $$;
    CREATE TRIGGER annotation_candidates_added AFTER INSERT ON annotation_candidate
        REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION annotation_count_candidates();
    CREATE TRIGGER annotation_candidates_deleted AFTER DELETE ON annotation_candidate
        REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION annotation_count_candidates();

    CREATE FUNCTION annotation_count_candidate_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO annotation_candidatecount (project_id, origin, candidates, is_sum)
        SELECT p.project_id, r.origin, r.sign, false
        FROM (VALUES (OLD.prompt_id, OLD.origin, -1), (NEW.prompt_id, NEW.origin, 1)) AS r (prompt_id, origin, sign)
            JOIN annotation_prompt p ON p.id = r.prompt_id;
        RETURN NULL;
    END $$;
    CREATE TRIGGER annotation_candidate_changed AFTER UPDATE ON annotation_candidate FOR EACH ROW
        WHEN ((OLD.prompt_id, OLD.origin) IS DISTINCT FROM (NEW.prompt_id, NEW.origin))
        EXECUTE FUNCTION annotation_count_candidate_change();
"""
REMOVE = """
    DROP TRIGGER annotation_candidate_changed ON annotation_candidate;
    DROP TRIGGER annotation_candidates_deleted ON annotation_candidate;
    DROP TRIGGER annotation_candidates_added ON annotation_candidate;
    DROP TRIGGER annotation_prompt_changed ON annotation_prompt;
    DROP TRIGGER annotation_prompts_deleted ON annotation_prompt;
    DROP TRIGGER annotation_prompts_added ON annotation_prompt;
    DROP FUNCTION annotation_count_candidate_change(), annotation_count_candidates(), annotation_count_prompt_change(),
        annotation_count_prompts();
"""
FILL = """
    INSERT INTO annotation_promptcount (project_id, held_out, prompts, is_sum)
    SELECT project_id, held_out, count(*), true FROM annotation_prompt GROUP BY 1, 2;
    INSERT INTO annotation_candidatecount (project_id, origin, candidates, is_sum)
    SELECT p.project_id, c.origin, count(*), true
    FROM annotation_candidate c JOIN annotation_prompt p ON p.id = c.prompt_id GROUP BY 1, 2;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('annotation', '0023_plans'),
    ]

    operations = [
        migrations.CreateModel(
            name='PromptCount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('held_out', models.BooleanField()),
                ('prompts', models.IntegerField()),
                ('is_sum', models.BooleanField(default=False)),
                ('project', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='annotation.project')),
            ],
            options={
                'indexes': [models.Index(fields=['project', 'held_out'], include=('prompts',), name='prompt_count_of_project'), models.Index(condition=models.Q(('is_sum', False)), fields=['id'], name='prompt_count_to_fold')],
            },
        ),
        migrations.CreateModel(
            name='CandidateCount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('origin', models.CharField(max_length=200)),
                ('candidates', models.IntegerField()),
                ('is_sum', models.BooleanField(default=False)),
                ('project', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='annotation.project')),
            ],
            options={
                'indexes': [models.Index(fields=['project', 'origin'], include=('candidates',), name='candidate_count_of_project'), models.Index(condition=models.Q(('is_sum', False)), fields=['id'], name='candidate_count_to_fold')],
            },
        ),
        migrations.RunSQL(TRIGGERS, REMOVE),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RemoveIndex(model_name='prompt', name='prompt_document'),
        migrations.AddIndex(
            model_name='prompt',
            index=models.Index(fields=['project', 'id'], include=('held_out',), name='prompt_of_project'),
        ),
        migrations.AddIndex(
            model_name='prompt',
            index=models.Index(condition=models.Q(('source_document', ''), _negated=True), fields=['project', 'source_document'], name='prompt_document'),
        ),
        migrations.RemoveIndex(model_name='annotation', name='annotation_by_person'),
        migrations.AlterField(
            model_name='annotation',
            name='annotator',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='annotations', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='annotation',
            index=models.Index(fields=['annotator', '-created_at', '-id'], include=('is_current', 'kind'), name='annotation_by_person'),
        ),
        # Indexes that repeat the beginning of another one, and two key checks that bulk writes waited for.
        migrations.AlterField(
            model_name='task',
            name='batch',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='tasks', to='annotation.batch'),
        ),
        migrations.AlterField(
            model_name='assignment',
            name='task',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='assignments', to='annotation.task'),
        ),
        migrations.AlterField(
            model_name='assignment',
            name='batch',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='assignments', to='annotation.batch'),
        ),
        migrations.AlterField(
            model_name='assignment',
            name='annotator',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='assignments', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AlterField(
            model_name='annotation',
            name='assignment',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='annotations', to='annotation.assignment'),
        ),
        migrations.AlterField(
            model_name='prompt',
            name='imported_in',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='annotation.import'),
        ),
    ]
