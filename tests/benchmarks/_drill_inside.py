"""What the drill does inside the site's environment: the project and its people, and what is there in the end.

python -m tests.benchmarks._drill_inside '{"what": "prepare", "tasks": 1000, "people": 16, "managers": 4}'
"""

import json
import sys
from collections import Counter
from pathlib import Path

LEASE_MINUTES = 1


def main(question: dict) -> None:
    import django

    django.setup()
    print(json.dumps({"prepare": prepare, "waiting": waiting, "check": check}[question["what"]](question)))


def prepare(question: dict) -> dict:
    """A project, a batch of so many tasks, and people with sessions; the last of them are managers."""
    from annotation.models import Batch, Membership, Project, Role
    from tests.benchmarks._annotate_inside import fill

    made = fill({"tasks": question["tasks"], "people": question["people"]})
    project = Batch.objects.get(pk=made["batch"]).project
    Project.objects.filter(pk=project.pk).update(lease_minutes=LEASE_MINUTES)
    members = list(Membership.objects.filter(project=project).order_by("user_id"))
    for member in members[-question["managers"] :]:
        member.role = Role.MANAGER
        member.save()
    return {**made, "slug": project.slug, "people": [member.user_id for member in members]}


def waiting(question: dict) -> dict:
    """What is not at its end yet."""
    from annotation.models import Assignment, Import
    from training.models import Evaluation, Run

    live = ("queued", "running")
    slots = Assignment.objects.filter(batch=question["batch"]).exclude(state__in=("done", "skipped"))
    return {
        "assignments": list(slots.values_list("pk", "state")[:20]),
        "runs": [str(job) for model in (Run, Evaluation) for job in model.objects.filter(status__in=live)],
        "imports": list(Import.objects.filter(status__in=live).values_list("pk", flat=True)),
    }


def check(question: dict) -> dict:
    """What was acknowledged against what is there; `lost` and `duplicates` say what, in words."""
    entries = json.loads(Path(question["file"]).read_text())
    people = question["people"]
    return {
        "lost": [*lost_answers(entries, people), *lost_files(entries)],
        "duplicates": duplicates(question["batch"]),
        **waiting(question),
    }


def lost_answers(entries: list[dict], people: list[int]) -> list[str]:
    from annotation.models import Annotation, Assignment, Draft

    task_of = dict(Assignment.objects.values_list("pk", "task_id"))
    answers = {
        (answer.assignment_id, answer.annotator_id): answer.payload["choice"]
        for answer in Annotation.objects.filter(is_current=True)
    }
    finished = set(Assignment.objects.filter(state="done").values_list("task_id", "annotator_id"))
    drafts = {(draft.task_id, draft.annotator_id): draft.payload.get("choice") for draft in Draft.objects.all()}
    lost = []
    for entry in entries:
        if entry["what"] not in ("submit", "draft"):
            continue
        slot, person = entry["assignment"], people[entry["person"]]
        wanted = "tie" if entry["is_tie"] else "one"
        # A task may have been answered in another of its slots, after the lease of this one ran out.
        there = answers.get((slot, person))
        if entry["what"] == "draft":
            there = drafts.get((task_of[slot], person), there)
            if (task_of[slot], person) in finished:
                continue
        if there != wanted:
            lost.append(f"{entry['what']} of slot {slot} by person {person}: {there}, not {wanted}")
    return lost


def lost_files(entries: list[dict]) -> list[str]:
    """Imports, datasets and runs."""
    from django.conf import settings

    from annotation.datasets.files import file_facts
    from annotation.models import DatasetVersion, Import, Prompt
    from training.models import Run

    lost = []
    for entry in entries:
        if entry["what"] == "import":
            record = Import.objects.get(pk=entry["import"])
            rows = Prompt.objects.filter(external_id__startswith=entry["prefix"]).count()
            if record.status != Import.Status.DONE or rows != entry["rows"]:
                lost.append(f"import {record.pk}: {record.status}, {rows} of {entry['rows']} rows. {record.error}")
        elif entry["what"] == "freeze":
            version = DatasetVersion.objects.filter(pk=entry["dataset"]).first()
            folder = Path(settings.VAR) / version.directory if version else None
            if version is None or folder is None:
                lost.append(f"dataset {entry['dataset']}: no row")
            elif any(file_facts(folder / name) != facts for name, facts in version.manifest["files"].items()):
                lost.append(f"dataset {version.pk}: its files are not what its manifest says")
        elif entry["what"] == "run" and not Run.objects.filter(pk=entry["run"]).exists():
            lost.append(f"run {entry['run']}: no row")
    return lost


def duplicates(batch: int) -> list[str]:
    from annotation.models import Annotation, DatasetVersion, Event, Import, Prompt
    from training.models import Checkpoint

    answers = Annotation.objects.filter(assignment__batch=batch)
    counts = {
        "answers of slot": Counter(answers.values_list("assignment_id", flat=True)),
        "answers of task": Counter(answers.values_list("task_id", flat=True)),
        "events of answer": Counter(
            Event.objects.filter(verb="annotation.submitted").values_list("object_id", flat=True)
        ),
        "prompts": Counter(Prompt.objects.exclude(external_id="").values_list("external_id", flat=True)),
        "ends of import": Counter(Event.objects.filter(verb="prompts.imported").values_list("object_id", flat=True)),
        "datasets": Counter(DatasetVersion.objects.values_list("sha256", flat=True)),
        "checkpoints of run": Counter(Checkpoint.objects.values_list("run_id", flat=True)),
    }
    twice = [f"{n} {what} {key}" for what, counter in counts.items() for key, n in counter.items() if n > 1]
    imports = Counter(Import.objects.exclude(sha256="").filter(status="done").values_list("sha256", flat=True))
    return twice + [f"{n} imports of file {key[:8]}" for key, n in imports.items() if n > 1]


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
