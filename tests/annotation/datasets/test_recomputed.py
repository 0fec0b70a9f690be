"""Frozen rows against an independent computation, from the same answers.

People answer at random through the queue (pairs, rankings, scores of one text and side by side, in several batches), or
their recorded answers are imported. Each answer goes into a plain log of texts and persons as well, and everything from
"THE RECOMPUTATION" on uses that log, exact fractions and the standard library, and none of the product's code.
"""

import json
import os
import random
import re
import unicodedata
from collections import Counter, defaultdict
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pytest
from django.core.management import call_command
from django.db import connection

from annotation.answers.submission import submit
from annotation.datasets.freeze import freeze_dataset
from annotation.datasets.rows import ExportOptions
from annotation.models import Annotation, Kind, Role, Task
from annotation.queue.batches import open_batch
from annotation.queue.claims import claim_next
from tests.factories import (
    AspectFactory,
    CandidateFactory,
    ProjectFactory,
    PromptFactory,
    UserFactory,
    WeightSetFactory,
    join,
)

pytestmark = pytest.mark.django_db
DATA = Path(os.environ.get("PREFERENCE_DATA", "../shared/data")) / "pandalm_testset_v1.jsonl"


class Choice(NamedTuple):
    """`groups` of equally good texts, best first; empty: all bad. `strength` 1 or 2 or None, of a pair. `best_only`:
    the first is better than each other one, of which nothing is said."""

    prompt: str
    person: int
    annotation: int
    shown: frozenset[str]
    groups: list[list[str]]
    strength: int | None = None
    best_only: bool = False


class Score(NamedTuple):
    """`points` of meaning (1 to 5, twice the weight) and register (1 to 3) by text; or a share of the scale."""

    prompt: str
    person: int
    annotation: int
    points: dict[str, tuple[int, int] | Fraction]


# ---- answering ----


@pytest.fixture
def hotel():
    project = ProjectFactory(slug="hotel", held_out_share=0)
    AspectFactory(project=project, key="meaning")
    AspectFactory(project=project, key="register", anchors=["Rude", "Plain", "Polite"])
    WeightSetFactory(project=project, weights={"meaning": 2, "register": 1})
    for number in range(14):
        prompt = PromptFactory(project=project, text=f"prompt {number}")
        for origin in range(4):
            CandidateFactory(prompt=prompt, text=f"text {number} {origin}", origin=f"import:{origin}")
        # The same text again: some batches ask about the one, some about the other.
        CandidateFactory(prompt=prompt, text=f"text {number} 0", origin="import:again")
    return project


def answer_all(project, kind, rng, *, overlap, seed, **asked):
    """Open a batch, have it answered at random by people who take turns, and log it."""
    batch = open_batch(project=project, kind=kind, name=kind, actor=None, overlap=overlap, seed=seed, **asked)
    people = list(project.members.order_by("id"))
    waiting = list(people)
    log = []
    while waiting:
        person = rng.choice(waiting)
        assignment = claim_next(batch=batch, annotator=person)
        if assignment is None:
            waiting.remove(person)
            continue
        texts = dict(assignment.task.prompt.candidates.values_list("id", "text"))
        payload, logged = respond(kind, assignment.task.candidate_ids, texts, rng)
        annotation = submit(assignment=assignment, payload=payload).annotation
        shape = Score if kind == Kind.SCORING else Choice
        log.append(shape(assignment.task.prompt.text, person.pk, annotation.pk, *logged))
    return log


def respond(kind, ids, texts, rng):
    """(payload as the page sends it, what the log says of it)."""
    # The first texts of a prompt are the better ones, and people disagree by a point or two.
    worth = {key: 4 - int(texts[key][-1]) + rng.gauss(0, 1.2) for key in ids}
    if kind == Kind.SCORING:
        points = {key: (min(max(round(value + 1), 1), 5), min(max(round(value), 1), 3)) for key, value in worth.items()}
        scores = {str(key): {"meaning": meaning, "register": register} for key, (meaning, register) in points.items()}
        return {"scores": scores, "comment": "", "spans": {}}, ({texts[key]: value for key, value in points.items()},)
    shown = sorted(ids, key=worth.__getitem__, reverse=True)
    payload = {"choice": "both_bad", "chosen": None, "shown": shown, "strength": None, "reasons": []}
    groups, strength = [], None
    verdict = rng.choice(["one", "one", "one", "tie", "both_bad"] if len(ids) == 2 else ["ranking"] * 8 + ["both_bad"])
    if verdict == "one":
        strength = rng.choice([None, 1, 2])
        payload |= {"choice": "one", "chosen": shown[0], "strength": strength}
        groups = [[shown[0]], [shown[1]]]
    elif verdict == "tie":
        payload |= {"choice": "tie"}
        groups = [shown]
    elif verdict == "ranking":
        places = {key: -round(value) for key, value in worth.items()}
        groups = [[key for key in shown if places[key] == place] for place in sorted(set(places.values()))]
        payload |= {"choice": "ranking", "ranking": groups}
    named = [[texts[key] for key in group] for group in groups]
    return payload, (frozenset(texts[key] for key in shown), named, strength)


def frozen(project, purpose, settings, **options):
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as the server does by itself, but not inside a test's transaction
    version = freeze_dataset(
        project=project, purpose=purpose, format="standard", actor=None, options=ExportOptions(**options)
    )
    lines = (settings.VAR / version.directory / "train.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines], version.manifest


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("people", [3, 5])
def test_rows_of_a_project_with_every_way_of_asking(hotel, settings, seed, people):
    rng = random.Random(seed)
    for _ in range(people):
        join(hotel, Role.ANNOTATOR)
    log = []
    for kind, asked in [
        (Kind.CHOOSING, {}),
        (Kind.CHOOSING, {}),  # another pair of the same prompts, or the same pair again
        (Kind.CHOOSING, {"alternatives": 4}),
        (Kind.SCORING, {}),
        (Kind.SCORING, {"alternatives": 4}),
    ]:
        log += answer_all(hotel, kind, rng, overlap=3, seed=rng.randrange(10**6), **asked)
    examples, verdicts = compare(hotel, settings, log)
    assert len(examples) > 3
    assert {good for good, *_ in verdicts.values()} == {True, False}


@pytest.mark.parametrize("asked", [{}, {"alternatives": 2}, {"alternatives": 6}])
def test_rows_of_scores_one_text_a_task_and_side_by_side(hotel, settings, asked):
    """Five people, of whom three score each text: one text a task, not everybody scores both of two."""
    for _ in range(5):
        join(hotel, Role.ANNOTATOR)
    compare(hotel, settings, answer_all(hotel, Kind.SCORING, random.Random(1), overlap=3, seed=2, **asked))


def test_scores_are_the_same_labels_one_text_a_task_and_side_by_side(hotel, settings):
    """What three people think of each text is asked in both ways: the same rows, but for the annotations."""
    for _ in range(3):
        join(hotel, Role.ANNOTATOR)
    log = answer_all(hotel, Kind.SCORING, random.Random(3), overlap=3, seed=4, alternatives=6)
    together = [without_sources(row) for row in frozen(hotel, "dpo", settings)[0]]
    assert any(row["probability"] < 1 for row in together)
    opinion = {(item.prompt, item.person, text): points for item in log for text, points in item.points.items()}
    alone = open_batch(project=hotel, kind=Kind.SCORING, name="alone", actor=None, overlap=3, seed=5)
    for person in hotel.members.all():
        while (assignment := claim_next(batch=alone, annotator=person)) is not None:
            (candidate,) = assignment.task.candidate_ids
            text = assignment.task.prompt.candidates.get(pk=candidate).text
            meaning, register = opinion[assignment.task.prompt.text, person.pk, text]
            scores = {str(candidate): {"meaning": meaning, "register": register}}
            submit(assignment=assignment, payload={"scores": scores, "comment": "", "spans": {}})
    version = freeze_dataset(project=hotel, purpose="dpo", format="standard", actor=None, batches=[alone.pk])
    lines = (settings.VAR / version.directory / "train.jsonl").read_text().splitlines()
    assert sorted(map(key_of, map(without_sources, map(json.loads, lines)))) == sorted(map(key_of, together))


def without_sources(row):
    return {key: value for key, value in row.items() if key not in ("annotation_ids", "candidate_ids")}


def key_of(row):
    return json.dumps(row, sort_keys=True)


def compare(project, settings, log):
    """All rows of all purposes."""
    rows, manifest = frozen(project, "dpo", settings, keep_ties=True)
    # The order of an even split means nothing: it is taken from the rows.
    expected = pairs_of(log, first={dpo_key(row): row["chosen"] for row in rows})
    assert {dpo_key(row): dpo_values(row) for row in rows} == expected
    assert len(rows) == len(expected)
    assert manifest["annotations"]["count"] == len(log)
    decided = {key: values for key, values in expected.items() if values["probability"] != 0.5}
    rows, manifest = frozen(project, "dpo", settings)
    assert {dpo_key(row): dpo_values(row) for row in rows} == decided
    assert manifest["left_out"].get("pairs evenly split or tied", 0) == len(expected) - len(decided)
    if examples := examples_of(log):
        rows, _ = frozen(project, "sft", settings, chosen_as_sft=True)
        found = {(row["prompt"].strip(), row["completion"]): (row["votes"], row["annotation_ids"]) for row in rows}
        assert found == examples
    if verdicts := verdicts_of(log):
        rows, _ = frozen(project, "kto", settings)
        assert {
            (row["prompt"].strip(), row["completion"]): (row["label"], round(row["probability"], 6), row["votes"])
            for row in rows
        } == verdicts
    return examples, verdicts


def dpo_key(row):
    return row["prompt"].strip(), frozenset((row["chosen"], row["rejected"]))


def dpo_values(row):
    return {
        "chosen": row["chosen"],
        "probability": row["probability"],
        "tie": row["tie"],
        "strength": row["strength"],
        "votes": row["votes"],
        "annotations": row["annotation_ids"],
    }


# ---- recorded answers, imported ----


def test_rows_of_imported_rankings(settings, tmp_path):
    """As in translation campaigns: five systems ranked at a time, ties allowed, some rank the same five again."""
    project = ProjectFactory(slug="ranked", held_out_share=0)
    rng = random.Random(8)
    path = tmp_path / "ranks.jsonl"
    answers = []
    with path.open("w", encoding="utf-8") as file:
        for number in range(160):
            segment, judge = rng.randrange(12), f"judge{rng.randrange(6)}"
            systems = rng.sample(range(8), 5)
            ranks = [rng.randint(1, 5) for _ in systems]
            row = {"source": f"segment {segment}", "judge": judge, "time": 1_380_000_000 + 60 * number, "item": number}
            row |= {f"candidate_{place}": f"{segment} by {system}" for place, system in enumerate(systems)}
            row |= {f"rank_{place}": rank for place, rank in enumerate(ranks)}
            file.write(json.dumps(row) + "\n")
            groups = [
                [f"{segment} by {system}" for system, own in zip(systems, ranks, strict=True) if own == rank]
                for rank in sorted(set(ranks))
            ]
            answers.append((f"segment {segment}", judge, groups))
    ranks = [option for place in range(5) for option in ("--rank", f"rank_{place}=candidate_{place}")]
    call_command("import_judgements", "ranked", str(path), *ranks)
    examples, _ = compare(project, settings, logged(answers))
    assert examples


def test_rows_of_imported_pairs_of_models(settings, tmp_path):
    """Two of five models a row, in either order; ties, both bad, clear preferences, and people who answer again."""
    project = ProjectFactory(slug="arena", held_out_share=0)
    rng = random.Random(11)
    path = tmp_path / "pairs.jsonl"
    answers = []
    with path.open("w", encoding="utf-8") as file:
        for number in range(220):
            prompt, judge = f"prompt {rng.randrange(8)}", f"judge{rng.randrange(5)}"
            one, two = rng.sample(["m:1", "m:2", "m:3", "m:4", "m:5"], 2)
            texts = [f"{prompt} by {one}", f"{prompt} by {two}"]
            said, groups, strength = rng.choice(
                [
                    ("model_a", [[texts[0]], [texts[1]]], None),
                    (two, [[texts[1]], [texts[0]]], None),
                    ("A>>B", [[texts[0]], [texts[1]]], 2),
                    ("tie", [texts], None),
                    ("tie (bothbad)", [], None),
                ]
            )
            row = {"prompt": prompt, "response_a": texts[0], "response_b": texts[1], "model_a": one, "model_b": two}
            file.write(json.dumps({**row, "winner": said, "judge": judge, "tstamp": 1_690_000_000.5 + number}) + "\n")
            answers.append((prompt, judge, groups, {"shown": frozenset(texts), "strength": strength}))
    call_command("import_judgements", "arena", str(path))
    examples, verdicts = compare(project, settings, logged(answers))
    assert examples
    assert verdicts


@pytest.mark.parametrize("texts", [3, 4, 6])
def test_rows_of_the_imported_best_of_several(settings, tmp_path, texts):
    """By index, and some texts are empty: nothing is known of the others, and an index counts empty ones."""
    project = ProjectFactory(slug="best", held_out_share=0)
    rng = random.Random(texts)
    path = tmp_path / "best.jsonl"
    answers = []
    with path.open("w", encoding="utf-8") as file:
        for number in range(150):
            prompt, worker = f"prompt {rng.randrange(6)}", f"w{rng.randrange(5)}"
            responses = [f"{prompt} text {key}" for key in rng.sample(range(8), texts)]
            if number % 5 == 0:
                responses[rng.randrange(texts)] = ""
            best = rng.randrange(texts) if number > 1 else number * (texts - 1)
            row = {"prompt": prompt, "responses": responses, "best_index": best, "worker": worker}
            file.write(json.dumps({**row, "time": 1_690_000_000 + number}) + "\n")
            if not responses[best]:
                continue
            others = [text for key, text in enumerate(responses) if key != best and text]
            answers.append((prompt, worker, [[responses[best]], others], {"best_only": True}))
    call_command("import_judgements", "best", str(path))
    examples, _ = compare(project, settings, logged(answers))
    assert examples


@pytest.mark.parametrize("several", [False, True])
def test_rows_of_imported_scores(settings, tmp_path, several):
    """Two aspects, of which one is scored in halves and one where few is good; one text a row, or three in a list."""
    project = ProjectFactory(slug="scored", held_out_share=0)
    rng = random.Random(several)
    path = tmp_path / "scores.jsonl"
    people = [f"w{number}" for number in range(6)]
    given = []
    with path.open("w", encoding="utf-8") as file:
        for number in range(160):
            prompt, person = f"prompt {rng.randrange(7)}", rng.choice(people)
            keys = rng.sample(range(5), 3 if several else 1)
            scores = {key: (rng.randint(2, 10) / 2, max(0, min(21, round(rng.gauss(4 * key, 5))))) for key in keys}
            texts = {key: f"{prompt} text {key}" for key in keys}
            row = {"prompt": prompt, "worker": person, "time": 1_690_000_000 + number}
            if several:
                row["responses"] = [
                    {"text": texts[key], "style": style, "scores": {"errors": errors}}
                    for key, (style, errors) in scores.items()
                ]
            else:
                ((style, errors),) = scores.values()
                row |= {"response": texts[keys[0]], "style": style, "errors": errors}
            file.write(json.dumps(row) + "\n")
            shares = {
                texts[key]: (Fraction(2 * style - 2) / 8 + Fraction(21 - errors, 21)) / 2
                for key, (style, errors) in scores.items()
            }
            given.append((prompt, person, shares))
    columns = [] if several else ["--score", "style", "--score", "errors"]
    call_command("import_judgements", "scored", str(path), *columns, "--scale", "style=1..5", "--scale", "errors=21..0")
    ids = Annotation.objects.order_by("id").values_list("id", flat=True)
    names = dict(UserFactory._meta.model.objects.values_list("name", "id"))
    log = [Score(prompt, names[person], key, shares) for (prompt, person, shares), key in zip(given, ids, strict=True)]
    examples, verdicts = compare(project, settings, log)
    assert examples
    assert {good for good, *_ in verdicts.values()} == {True, False}


@pytest.mark.skipif(not DATA.is_file(), reason="PREFERENCE_DATA has no pandalm_testset_v1.jsonl")
def test_rows_of_pandalm(settings, tmp_path, capsys):
    """999 pairs of public data with three annotators each, a column a person: 0 is a tie."""
    project = ProjectFactory(slug="pandalm", held_out_share=0)
    path = tmp_path / "pandalm.jsonl"
    answers: list[tuple[str, str, list[list[str]]]] = []
    not_texts = empty = 0
    people = ("annotator1", "annotator2", "annotator3")
    majority: Counter[str | int] = Counter()
    with DATA.open(encoding="utf-8") as source, path.open("w", encoding="utf-8") as file:
        for line in source:
            row = json.loads(line)
            row["prompt"] = f"{row.pop('instruction')}\n\n{row.pop('input')}"
            file.write(json.dumps(row) + "\n")
            one, two = row["response1"], row["response2"]
            unusable = type(one) is bool or type(two) is bool
            if unusable or not one.strip() or not two.strip():
                not_texts, empty = not_texts + unusable, empty + (not unusable)
                said = Counter(row[person] or "tie" for person in people)
                majority[max(said, key=said.__getitem__)] += 1
                continue
            for person in people:
                groups = {0: [[one, two]], 1: [[one], [two]], 2: [[two], [one]]}[row[person]]
                answers.append((row["prompt"].strip(), person, groups))
    columns = [option for person in people for option in ("--worker-column", person)]
    texts = ["--candidate", "response1=import:one", "--candidate", "response2=import:two"]
    meanings = ["--answer", "0=tie", "--answer", "1=one", "--answer", "2=two"]
    call_command("import_judgements", "pandalm", str(path), *columns, *texts, *meanings, "--keep-good")
    said = capsys.readouterr().out
    assert f"{empty} rows have fewer than two texts and were left out" in said
    assert re.search(rf"^{not_texts} rows? with errors (was|were) left out", said, re.MULTILINE)
    assert not any(reads_the_same(groups) for _, _, groups in answers)
    assert f" {len(answers):,} answers added" in said
    # The publisher's majorities of three, of which those that were left out are counted from the file.
    for task in Task.objects.prefetch_related("annotations"):
        said = Counter(
            "tie" if a.payload["choice"] == "tie" else a.payload["shown"].index(a.payload["chosen"]) + 1
            for a in task.annotations.all()
        )
        majority[max(said, key=said.__getitem__)] += 1
    assert majority == {"tie": 105, 1: 422, 2: 472}
    version = freeze_dataset(project=project, purpose="dpo", actor=None, options=ExportOptions(keep_ties=True))
    lines = (settings.VAR / version.directory / "train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [
        {**row, **{name: row[name][-1]["content"] for name in ("prompt", "chosen", "rejected")}}
        for row in map(json.loads, lines)
    ]
    expected = pairs_of(logged(answers), first={dpo_key(row): row["chosen"] for row in rows})
    assert {dpo_key(row): dpo_values(row) for row in rows} == expected


def logged(answers):
    """Imported answers as a log, with the ids that their annotations were given: in the order of the file."""
    people = dict(UserFactory._meta.model.objects.values_list("name", "id"))
    ids = Annotation.objects.order_by("id").values_list("id", flat=True)
    log, waiting, first = [], iter(ids), {}
    for prompt, person, groups, *more in answers:
        if groups and reads_the_same(groups):
            continue
        # Texts of different rows that read the same are one text: the first.
        groups = [[first.setdefault((prompt, reading(text)), text) for text in group] for group in groups]
        values = {"shown": frozenset(text for group in groups for text in group), **(more[0] if more else {})}
        log.append(Choice(prompt, people[person], next(waiting), groups=groups, **values))
    assert next(waiting, None) is None, "every answer was imported once"
    return log


# ---- THE RECOMPUTATION ----


def reading(text):
    """Plainly: NFKC and single blanks, which is enough for the public data."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def reads_the_same(groups):
    return len({reading(text) for group in groups for text in group}) == 1


def sign(number):
    return (number > 0) - (number < 0)


def worth(points):
    if isinstance(points, Fraction):
        return points
    meaning, register = points
    return (2 * Fraction(meaning - 1, 4) + Fraction(register - 1, 2)) / 3


def mean(numbers):
    numbers = list(numbers)
    return sum(numbers, Fraction(0)) / len(numbers)


def by_prompt(log):
    prompts = defaultdict(list)
    for item in log:
        prompts[item.prompt].append(item)
    return prompts


def opinions(items):
    """text → person → (their mean, the annotations it is from)."""
    given = defaultdict(lambda: defaultdict(list))
    for item in items:
        if isinstance(item, Score):
            for text, points in item.points.items():
                given[text][item.person].append((worth(points), item.annotation))
    return {
        text: {who: (mean(w for w, _ in own), {a for _, a in own}) for who, own in people.items()}
        for text, people in given.items()
    }


def overall(people):
    return mean(own for own, _ in people.values())


def place_of(text, groups):
    return next(place for place, group in enumerate(groups) if text in group)


def pairs_of(log, first):
    """(prompt, two texts) → what the row about them says; an even one in the order that has `first` first."""
    rows = {}
    for prompt, items in by_prompt(log).items():
        scored = opinions(items)
        texts = {text for item in items if isinstance(item, Choice) for text in item.shown} | set(scored)
        for one, two in combinations(sorted(texts), 2):
            # person → their statements: (+1 for one, −1 for two, 0), how strongly, annotations
            said = defaultdict(list)
            for item in items:
                if isinstance(item, Choice) and {one, two} <= item.shown and item.groups:
                    if item.best_only and not {one, two} & set(item.groups[0]):
                        continue
                    side = sign(place_of(two, item.groups) - place_of(one, item.groups))
                    how = {None: None, 1: Fraction(1, 2), 2: Fraction(1)}[item.strength]
                    how = Fraction(0) if not side else None if how is None else how * side
                    said[item.person].append((side, how, {item.annotation}))
            if one in scored and two in scored and abs(overall(scored[one]) - overall(scored[two])) >= Fraction(1, 5):
                both = scored[one].keys() & scored[two].keys()
                for who in both:
                    difference = scored[one][who][0] - scored[two][who][0]
                    sources = scored[one][who][1] | scored[two][who][1]
                    said[who].append((sign(difference), difference, sources))
                if not both:
                    difference = overall(scored[one]) - overall(scored[two])
                    sources = {a for text in (one, two) for _, own in scored[text].values() for a in own}
                    said["nobody"].append((sign(difference), difference, sources))
            if not said:
                continue
            sides = [sign(sum(side for side, _, _ in own)) for own in said.values()]
            total = sum(sides)
            key = prompt, frozenset((one, two))
            lead = sign(total) or (1 if first.get(key) == one else -1)
            strengths = [
                mean(how for _, how, _ in own if how is not None)
                for own in said.values()
                if any(how is not None for _, how, _ in own)
            ]
            values = {
                "chosen": one if lead > 0 else two,
                "probability": round(float(Fraction(1, 2) + Fraction(abs(total), 2 * len(sides))), 6),
                "tie": round(sides.count(0) / len(sides), 6),
                "strength": round(float(max(Fraction(0), lead * mean(strengths))), 6) if strengths else None,
                "votes": len(sides),
                "annotations": sorted({a for own in said.values() for _, _, sources in own for a in sources}),
            }
            rows[key] = values
    return rows


def examples_of(log):
    """(prompt, text) → (how many people, their annotations): well scored, or put first by more than half."""
    rows = {}
    for prompt, items in by_prompt(log).items():
        backers = defaultdict(lambda: defaultdict(set))
        for text, people in opinions(items).items():
            if overall(people) >= Fraction(3, 4):
                for who, (_, sources) in people.items():
                    backers[text][who] |= sources
        choices = [item for item in items if isinstance(item, Choice)]
        bad = {text for item in choices if not item.groups for text in item.shown}
        for text in {text for item in choices for text in item.shown}:
            judges = defaultdict(list)
            for item in choices:
                if text in item.shown:
                    first = set(item.groups[0]) if item.groups else set()
                    judges[item.person].append(Fraction(text in first, len(first) or 1))
            if text not in bad and mean(mean(own) for own in judges.values()) > Fraction(1, 2):
                for item in choices:
                    if text in item.shown:
                        backers[text][item.person].add(item.annotation)
        for text, people in backers.items():
            rows[prompt, text] = len(people), sorted({a for sources in people.values() for a in sources})
    return rows


def verdicts_of(log):
    """(prompt, text) → (good?, share of people who say so, people): by scores, or called bad."""
    rows = {}
    for prompt, items in by_prompt(log).items():
        said = defaultdict(lambda: defaultdict(list))
        for text, people in opinions(items).items():
            if not Fraction(35, 100) < overall(people) < Fraction(3, 4):
                for who, (own, _) in people.items():
                    said[text][who].append(1 if own >= Fraction(3, 4) else -1 if own <= Fraction(35, 100) else 0)
        for item in items:
            if isinstance(item, Choice) and not item.groups:
                for text in item.shown:
                    said[text][item.person].append(-1)
        for text, people in said.items():
            sides = [sign(sum(own)) for own in people.values()]
            if total := sum(sides):
                share = Fraction(1, 2) + Fraction(abs(total), 2 * len(sides))
                rows[prompt, text] = total > 0, round(float(share), 6), len(sides)
    return rows
