"""What the benchmark `exports` does in a process of its own, in a database of its own.

python -m tests.benchmarks._exports_inside '{"folder": "/tmp/x", "answers": [1000], "profile": ""}'
"""

import json
import sys
import time
from pathlib import Path

from tests.benchmarks._imports_inside import grown, timed

POLITE = "静かなお部屋をご用意できます。ご到着は三時からです。"
CASUAL = "静かな部屋がありますよ。三時から入れます。"
EDITED = "静かなお部屋をご用意いたします。ご到着は午後三時以降でお願いいたします。"


def main(question: dict) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    from annotation.exchange.writers import WRITERS
    from tests.database import allow_test_statements

    allow_test_statements()
    folder = Path(question["folder"])
    figures: dict[str, float] = {}
    for answers in question["answers"]:
        project = filled_project(answers)
        for format in WRITERS:
            export(
                project, format, folder / f"warm.{format}", "", nothing=True
            )  # what is imported once is no part of it
            path = folder / f"answers-{answers}.{format}"
            cpu = time.process_time()
            seconds = export(project, format, path, question.get("profile", ""))
            name = f"{format}_{answers // 1000}k"
            figures |= {
                f"{name}_s": seconds,
                f"{name}_cpu_s": time.process_time() - cpu,
                f"{name}_mib": grown.mib,
                f"{name}_mb": path.stat().st_size / 1e6,
            }
        figures[f"copy_{answers // 1000}k_s"] = copying(project, folder / "copy.txt")
    print(json.dumps(figures))


def export(project, format: str, path: Path, profile: str, *, nothing: bool = False) -> float:
    """Seconds."""
    from annotation.exchange.export import export_answers
    from annotation.exchange.selection import Selection

    selection = Selection(batches=(0,)) if nothing else Selection()
    seconds, _ = timed(
        lambda: export_answers(
            project=project, format=format, path=path, selection=selection, replace=True, actor=None
        ),
        "" if nothing else profile,
        f"export-{path.stem}-{format}",
    )
    return seconds


def filled_project(answers: int):
    """A project with so many answers: a quarter of each kind, three answers to a task, a tenth of them changed once;
    prompts and texts have some 20 words. Written by SQL."""
    from django.db import connection

    from annotation.core.counts import rebuild_counts
    from annotation.models import Aspect, Guideline, Project, User, WeightSet

    project = Project.objects.create(
        slug=f"answers-{answers}", name="Answers", goal="translation", source_language="en", target_language="ja"
    )
    for key in ("meaning", "register", "fluency"):
        Aspect.objects.create(project=project, key=key, name=key.title(), anchors=["1", "2", "3", "4", "5"])
    weights = WeightSet.objects.create(project=project, version=1, weights={"meaning": 2, "register": 1, "fluency": 1})
    guideline = Guideline.objects.create(project=project, version=1, text="Be polite.")
    people = [
        User.objects.get_or_create(email=f"person{n}@example.org", defaults={"name": f"Person {n}"})[0].pk
        for n in range(3)
    ]
    values = {
        "project": project.pk,
        "weights": weights.pk,
        "guideline": guideline.pk,
        "people": people,
        "tasks": answers // 3,
        "edited": EDITED,
        "polite": POLITE,
        "casual": CASUAL,
    }
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for statement in FILL.split(";\n"):
            cursor.execute(statement, values)
            cursor.execute("ANALYZE")
        cursor.execute("SET session_replication_role = DEFAULT")
    rebuild_counts()  # without triggers nothing was counted
    return project


FILL = """
INSERT INTO annotation_prompt (project_id, text, reference, external_id, source_document, metadata, digest, held_out,
    created_at)
SELECT %(project)s, 'Sentence number ' || n || ': could we have a quieter room for two nights, please, with a view of '
    'the garden and breakfast included in the price?', '', 'id-' || n, 'mail ' || n / 10, '{"file": "hotel.csv"}',
    'x' || n, n %% 10 = 0, now() FROM generate_series(1, %(tasks)s) AS n;
INSERT INTO annotation_candidate (prompt_id, text, origin, digest, generation, created_at)
SELECT id, (ARRAY[%(polite)s, %(casual)s])[side] || id, 'checkpoint:' || side, 'y' || id || side,
    '{"temperature": 0.8, "seed": 7}', now()
FROM annotation_prompt, generate_series(1, 2) AS side WHERE project_id = %(project)s;
INSERT INTO annotation_batch (project_id, name, kind, overlap, priority, alternatives, requires_review, status, seed,
    selection, created_at, sure, assessed, saved, checks, trial_arm)
SELECT %(project)s, kind, kind, 3, 0, 2, false, 'open', 7, '{}', now(), 0.95, 0, 0, '{}', ''
FROM unnest(ARRAY['writing', 'postediting', 'scoring', 'choosing']) AS kind;
INSERT INTO annotation_task (batch_id, prompt_id, candidate_ids, position, created_at)
SELECT b.id, p.id, CASE b.kind WHEN 'writing' THEN '{}' WHEN 'postediting' THEN ids[1:1] ELSE ids END, p.id, now()
FROM annotation_prompt AS p
    JOIN (SELECT prompt_id, array_agg(id ORDER BY id) AS ids FROM annotation_candidate GROUP BY prompt_id) AS c
        ON c.prompt_id = p.id
    JOIN annotation_batch AS b ON b.project_id = p.project_id
        AND b.kind = (ARRAY['writing', 'postediting', 'scoring', 'choosing'])[1 + p.id %% 4]
WHERE p.project_id = %(project)s;
INSERT INTO annotation_assignment (task_id, batch_id, slot, priority, position, state, annotator_id, claimed_at,
    finished_at, skip_reason, skip_comment)
SELECT t.id, t.batch_id, slot, 0, t.position, 'done', (%(people)s::bigint[])[slot], now(), now(), '', ''
FROM annotation_task AS t JOIN annotation_batch AS b ON b.id = t.batch_id, generate_series(1, 3) AS slot
WHERE b.project_id = %(project)s;
INSERT INTO annotation_annotation (assignment_id, task_id, annotator_id, kind, payload, version, is_current,
    guideline_id, weight_set_id, active_seconds, idle_seconds, created_at)
SELECT a.id, t.id, a.annotator_id, b.kind, CASE b.kind
    WHEN 'writing' THEN jsonb_build_object('text', %(edited)s::text || t.id)
    WHEN 'postediting' THEN jsonb_build_object('candidate', t.candidate_ids[1], 'text', %(edited)s::text || t.id,
        'unchanged', false)
    WHEN 'scoring' THEN jsonb_build_object('comment', 'Too casual.', 'scores', jsonb_build_object(
        t.candidate_ids[1], '{"meaning": 4, "register": 5, "fluency": 3}'::jsonb,
        t.candidate_ids[2], '{"meaning": 3, "register": 1, "fluency": 4}'::jsonb), 'spans', jsonb_build_object(
        t.candidate_ids[2], '[{"start": 0, "end": 5, "category": "Register", "severity": "major"}]'::jsonb))
    ELSE jsonb_build_object('choice', 'one', 'chosen', t.candidate_ids[1], 'shown', t.candidate_ids, 'strength', 2,
        'reasons', '["Register", "Fluency"]'::jsonb) END,
    version, version = 1 + (a.id %% 10 = 0)::int, %(guideline)s, %(weights)s, 12.5, 1.5, now()
FROM annotation_assignment AS a JOIN annotation_task AS t ON t.id = a.task_id
    JOIN annotation_batch AS b ON b.id = t.batch_id, generate_series(1, 2) AS version
WHERE b.project_id = %(project)s AND version <= 1 + (a.id %% 10 = 0)::int
"""


def copying(project, path: Path) -> float:
    """The raw limit: the same answers with their prompts, by COPY into a file."""
    from django.db import connection

    start = time.perf_counter()
    with connection.cursor() as cursor, path.open("wb") as file:
        statement = (
            "COPY (SELECT a.*, p.*, (SELECT json_agg(c) FROM annotation_candidate c WHERE c.id = ANY(t.candidate_ids)) "
            "FROM annotation_annotation a JOIN annotation_task t ON t.id = a.task_id JOIN annotation_prompt p "
            f"ON p.id = t.prompt_id WHERE p.project_id = {project.pk} ORDER BY t.id) TO STDOUT"
        )
        with cursor.copy(statement) as copy:
            for data in copy:
                file.write(data)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
