"""What the benchmark `annotate` does inside the site's environment, without its web part: fill, check, measure.

python -m tests.benchmarks._annotate_inside '{"what": "fill", "tasks": 1000}'
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ANNOTATORS = 32
# Both ways in turn, so that what else the machine does meets both; a round is a thousand calls.
ROUNDS, CALLS = 11, 1000


def main(question: dict) -> None:
    import django

    django.setup()
    work = {"fill": fill, "check": check, "limit": limit, "shortcuts": shortcuts}[question["what"]]
    print(json.dumps(work(question)))


def fill(question: dict) -> dict:
    """A project of so many prompts with two candidates each, one batch over all of them, and people with sessions."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.db import connection

    from annotation.core.counts import rebuild_counts
    from annotation.models import Kind, Membership, Role, User
    from annotation.projects.guidelines import publish_guideline
    from annotation.projects.settings import create_project
    from annotation.queue.batches import open_batch
    from deploy.sessions import SessionStore
    from tests.database import allow_test_statements

    tasks = question["tasks"]
    project = create_project(
        name=f"{tasks} tasks",
        goal="translation",
        source_language="en",
        target_language="ja",
        reason_tags=("Meaning", "Register", "Fluency"),
        actor=None,
    )
    publish_guideline(project=project, text="# Polite\n\nPrefer the polite one.", based_on=0, actor=None)
    allow_test_statements()
    with connection.cursor() as cursor:
        # Rows that cannot be wrong are not looked up one by one; everything else is as an import leaves it.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            """INSERT INTO annotation_prompt (project_id, text, source_document, external_id, metadata, digest,
                reference, held_out, created_at)
            SELECT %s, 'Could we have a quieter room for the night of the ' || n || 'th, please? ' || md5(n::text),
                '', '', '{}', md5(%s || n), '', false, now() FROM generate_series(1, %s) AS n""",
            [project.pk, f"{project.pk}-", tasks],
        )
        cursor.execute(
            """INSERT INTO annotation_candidate (prompt_id, text, origin, digest, generation, created_at)
            SELECT p.id, side.text || p.id || 'をお願いできますか。' || md5(p.id || side.origin), side.origin,
                md5(p.id || side.origin), '{}', now()
            FROM annotation_prompt p
                CROSS JOIN (VALUES ('静かなお部屋', 'checkpoint:1'), ('しずかな部屋', 'checkpoint:2'))
                AS side (text, origin)
            WHERE p.project_id = %s""",
            [project.pk],
        )
    batch = open_batch(
        project=project,
        kind=Kind.CHOOSING,
        name="Which is better?",
        actor=None,
        overlap=question.get("overlap", 1),
        seed=7,
    )
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = DEFAULT")
        rebuild_counts()  # without triggers nothing was counted
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
    sessions = []
    for number in range(question.get("people", ANNOTATORS)):
        user = User.objects.create_user(f"person{number}@{tasks}.example", None, name=f"Person {number}")
        Membership.objects.create(project=project, user=user, role=Role.ANNOTATOR)
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "annotation.members.auth_backend.PeopleBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        sessions.append(session.session_key)
    return {"batch": batch.pk, "sessions": sessions}


def check(question: dict) -> dict:
    """What was acknowledged against what is there."""
    from django.db.models import Count

    from annotation.models import Annotation, Assignment

    acknowledged = json.loads(Path(question["file"]).read_text())
    done = Assignment.objects.filter(batch=question["batch"], state=Assignment.State.DONE)
    answers = Annotation.objects.filter(assignment__batch=question["batch"], is_current=True)
    twice = [
        answers.values(*fields).annotate(n=Count("pk")).filter(n__gt=1).count()
        for fields in (("assignment",), ("task",), ("annotator", "task"))
    ]
    there = set(answers.values_list("assignment_id", flat=True)) & set(done.values_list("pk", flat=True))
    repeated = len(acknowledged) - len(set(acknowledged))
    return {"duplicates": sum(twice) + repeated, "lost": len(set(acknowledged) - there)}


def limit(question: dict) -> dict:
    """The product's own statements on the same tables, through psycopg alone: no HTTP, no Django, no page."""
    from datetime import timedelta

    import psycopg
    from django.db import connection

    from annotation.answers.submission import WRITE_ANSWER
    from annotation.models import Batch, User
    from annotation.queue.claims import AHEAD, CLAIM

    batch = Batch.objects.get(pk=question["batch"])
    people = list(User.objects.filter(memberships__project=batch.project_id).values_list("pk", flat=True))
    settings = {
        key: value
        for key, value in connection.get_connection_params().items()
        if key in ("dbname", "user", "host", "port", "password", "options")
    }
    # A claimed task would be served again.
    counts, failures = [0] * len(people), []
    start = time.perf_counter() + 1
    end = start + question["seconds"]

    def work(place: int) -> None:
        common = {
            "batch": batch.pk,
            "project": batch.project_id,
            "annotator": people[place],
            "written_by": f"human:{people[place]}",
            "lease": timedelta(hours=1),
        }
        payload = json.dumps({"choice": "tie", "chosen": None, "shown": [], "strength": None, "reasons": []})
        try:
            with psycopg.connect(**settings, autocommit=True) as own:
                while (now := time.perf_counter()) < end:
                    claim = CLAIM.format(where=AHEAD, unseen="", checks="")
                    row = own.execute(claim, common, prepare=True).fetchone()
                    if row is None:
                        row = own.execute(CLAIM.format(where="", unseen="", checks=""), common, prepare=True).fetchone()
                    given = {
                        **common,
                        "assignment": row[0],
                        "kind": "choosing",
                        "payload": payload,
                        "weight_set_id": None,
                        "locked": False,
                        "visit": f"bench-{row[0]}",
                        "active": 1.5,
                        "idle": 0.0,
                    }
                    own.execute(WRITE_ANSWER, given, prepare=True)
                    counts[place] += now >= start
        except Exception as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(people))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit(failures[0])
    return {"tasks_per_s": sum(counts) / question["seconds"]}


def shortcuts(question: dict) -> dict:
    """What each way of ours around Django saves in a request, in microseconds: Django's time less our own.

    Session and person are read with every request, the policy's header is written with every response.
    """
    from allauth.account.auth_backends import AuthenticationBackend
    from csp.middleware import CSPMiddleware
    from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
    from django.http import HttpRequest, HttpResponse

    from annotation.members.auth_backend import PeopleBackend
    from deploy.csp import OnePolicyMiddleware
    from deploy.sessions import SessionStore

    key = question["session"]
    person = int(SessionStore(key)["_auth_user_id"])
    ours, theirs = (kind(lambda request: HttpResponse()) for kind in (OnePolicyMiddleware, CSPMiddleware))
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "session": (lambda: SessionStore(key).load(), lambda: DatabaseStore(key).load()),
        "person": (lambda: PeopleBackend().get_user(person), lambda: AuthenticationBackend().get_user(person)),
        "policy": (lambda: ours(HttpRequest()), lambda: theirs(HttpRequest())),
    }
    return {
        f"{name}_saved_us": median(microseconds(plain) - microseconds(own) for _ in range(ROUNDS))
        for name, (own, plain) in pairs.items()
    }


def microseconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - begun) * 1e6 / CALLS


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
