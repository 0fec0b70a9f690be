"""Answers as columns, and labels of pairs with votes, posterior and calibrated posterior: whole, without a database."""

import json
from itertools import count

import numpy as np
import pytest

from annotation.quality import agreements, columns
from annotation.quality.answers import Line, Texts
from annotation.quality.labels import PairLabels, labels_of
from annotation.quality.material import Check
from annotation.quality.reading import CHECKS, EXCLUDED, Reader
from annotation.quality.results import results_of
from tests.annotation.quality.planted import Person, crowd

NUMBERS = count(1)


def line(task, person, given, *, kind="choosing", prompt=None, counted=None, **fields):
    values = {"prompt": prompt or task, "annotation": next(NUMBERS), "task": task, "batch": 1, "person": person}
    values |= {"decided": False, "at": 0.0, "randomised": True, "excluded": False, "pending": None}
    counted = None if counted is None else json.dumps(counted)
    return Line(**values | {"kind": kind, "given": json.dumps(given), "counted": counted} | fields)


def material(lines, texts, checks=None, language="en"):
    """`texts` by prompt and candidate; candidates of odd ids are of origin "one", others of "two"."""
    reader = Reader(language, checks or {})
    said = reader.read(sorted(lines, key=lambda row: row.prompt))
    for prompt in sorted({one.line.prompt for one in said}):
        of_prompt = Texts(dict(texts[prompt]), {key: ("two", "one")[key % 2] for key in texts[prompt]})
        of_prompt.settle()
        reader.read_prompt([one for one in said if one.line.prompt == prompt], of_prompt)
    return reader.material()


def choice(shown, chosen=None, strength=None, choice=None):
    said = choice or ("tie" if chosen is None else "one")
    return {"choice": said, "chosen": chosen, "shown": shown, "strength": strength, "reasons": []}


def test_a_choice_is_of_texts_whatever_their_sides_and_origins():
    texts = {1: {1: "alpha", 2: "beta", 3: "alpha "}}
    lines = [
        line(1, 7, choice([1, 2], 1, strength=2)),
        line(1, 8, choice([2, 1], 2, strength=1)),
        line(2, 9, choice([2, 3], 3), prompt=1),  # reads like the first
        line(3, 7, choice([1, 2]), prompt=1),
        line(4, 8, choice([1, 3], 1), prompt=1),  # no choice
        line(1, 9, choice([1, 2], choice="both_bad")),
    ]
    found = material(lines, texts)
    assert found.rated.given.tolist() == [-2, 1, -1, 0, columns.BAD]
    assert found.rated.mirrored.tolist() == [False, True, True, False, False]
    assert len(found.pairs) == 1
    assert found.rated.occasion().tolist() == [0, 0, 0, 1, 1]
    assert [found.origins[at] for at in found.rated.one.tolist()] == ["one"] * 5
    labels = labels_of(found)
    # Person 7 preferred the first and then neither: as in datasets, most of one's answers count, here the first.
    assert labels.votes.tolist() == [[2 / 3, 0, 1 / 3]]
    of = PairLabels(found, labels).of
    assert of(1, 1, 2) == {"answers": 3, "votes": [2 / 3, 0, 1 / 3]}
    assert of(1, 2, 3) == {"answers": 3, "votes": [1 / 3, 0, 2 / 3]}
    assert of(1, 1, 3) is None


def test_what_was_answered_and_what_counts_are_both_kept_and_what_does_not_count_is_named():
    texts = {n: {2 * n: "a", 2 * n + 1: "b"} for n in range(1, 13)}
    lines = []
    for n in texts:
        one, two = texts[n]
        decided = {"counted": choice([one, two], one), "decided": True} if n <= 6 else {}
        lines += [line(n, 7, choice([one, two], one), **decided), line(n, 8, choice([one, two], two), **decided)]
        lines += [line(n, 9, choice([one, two], one), excluded=True)]
    lines += [line(1, 10, choice([2, 3], 2), pending="waiting"), line(99, 7, choice([2, 3], 2), prompt=1)]
    found = material(lines, texts, {99: Check("twin")})
    assert dict(found.left_out) == {EXCLUDED: 12, "waiting": 1, CHECKS: 1}
    (given,), (labels,) = agreements.of_project(found), agreements.of_labels(found)
    assert (given["percent"]["value"], labels["percent"]["value"]) == (0, 0.5)
    made = labels_of(found)
    assert made.decided.tolist() == [True] * 6 + [False] * 6
    assert made.best[0].tolist() == [1, 0, 0]
    assert made.best[11].max() < 0.9
    assert PairLabels(found, made).of(1, 3, 2)["decided"] is True


def test_gold_calibrates_and_tells_who_is_right():
    people = [Person(0.08), Person(0.12), Person(0.3), Person(0.15), Person(0.1, left=0.2)]
    made = crowd(np.random.default_rng(4), people, units=700, overlap=3, hardness=0.3)
    texts = {n + 1: {2 * n + 1: "a", 2 * n + 2: "b"} for n in range(700)}
    lines, checks = [], {}
    for unit, person, answer, mirrored in zip(
        made.answers.unit.tolist(),
        made.answers.person.tolist(),
        made.answers.answer.tolist(),
        made.answers.mirrored.tolist(),
        strict=True,
    ):
        both = [2 * unit + 1, 2 * unit + 2]
        chosen = None if answer == 1 else both[answer // 2]
        lines.append(line(unit + 1, person + 7, choice(both[::-1] if mirrored else both, chosen)))
    for unit in range(100):
        truth = made.truth[unit]
        both = [2 * unit + 1, 2 * unit + 2]
        checks[unit + 1] = Check("gold", choice(both, None if truth == 1 else both[truth // 2]))
    found = material(lines, texts, checks)
    labels = labels_of(found)
    assert (labels.gold, len(labels.unit), found.left_out[CHECKS]) == (100, 600, 300)
    alone = labels_of(material([row for row in lines if row.task > 100], texts))
    right = [(one.posterior.argmax(axis=1) == made.truth[100:]).mean() for one in (alone, labels)]
    assert right[1] >= right[0] - 0.005, "to know the truth of some does not hurt"
    assert (alone.calibrated, alone.calibration) == (None, None)
    assert labels.calibrated.max(axis=1).mean() < labels.posterior.max(axis=1).mean() - 0.03
    few = labels_of(material(lines, texts, {key: check for key, check in checks.items() if key < 50}))
    assert (few.gold, few.calibrated) == (49, None)
    result = results_of(found)
    json.dumps(result, allow_nan=False)
    assert result["labels"]["source"] == "calibrated"
    assert result["calibration"]["fit"]["gold"] == 100
    people = {row["person"]: row for row in result["people"]}
    assert people[9]["flips"]["value"] > people[7]["flips"]["value"]
    assert people[9]["right"]["high"] < 0.9
    assert people[9]["accuracy"]["high"] < people[7]["accuracy"]["value"]
    claimed = {row["person"] for row in result["people"] if row["left"]["claimed"]}
    assert claimed == {11}


def test_rankings_marks_and_texts_of_two_people_are_compared():
    texts = {n: {10 * n + k: f"text {k}" for k in range(3)} for n in range(1, 13)}
    lines = []
    for n in texts:
        keys = list(texts[n])
        ranked = {"choice": "ranking", "chosen": None, "shown": keys, "strength": None, "reasons": []}
        spans = {str(keys[0]): [{"start": 0, "end": 4, "category": "Grammar", "severity": "major"}]}
        scores = {str(keys[0]): {"meaning": 3 + n % 2}}
        marked = {"scores": scores, "comment": "", "spans": spans}
        lines += [
            line(n, 7, ranked | {"ranking": [[key] for key in keys]}),
            line(n, 8, ranked | {"ranking": [keys[:2], keys[2:]]}),
            line(100 + n, 7, marked, kind="scoring", prompt=n),
            line(100 + n, 8, {**marked, "spans": {}}, kind="scoring", prompt=n),
            line(200 + n, 7, {"text": "It is late."}, kind="writing", prompt=n),
            line(200 + n, 8, {"text": "It is too late."}, kind="writing", prompt=n),
            line(300 + n, 7, {"candidate": keys[0], "text": "text", "unchanged": False}, kind="postediting", prompt=n),
        ]
    result = results_of(material(lines, texts))
    json.dumps(result, allow_nan=False)
    rows = {(row["kind"], row["measure"]): row for row in result["agreement"]}
    assert rows["choosing", "order"]["mean"]["value"] == pytest.approx(2 / 6**0.5)
    assert rows["scoring", "marks"]["mean"]["value"] == 0
    assert rows["scoring", "score"]["alpha"]["value"] == 1
    assert rows["scoring", "score"]["percent"]["n"] == 12
    assert rows["writing", "edit_rate"]["mean"]["value"] == pytest.approx((1 / 5 + 1 / 4) / 2)
    assert 0.4 < rows["writing", "chrf"]["mean"]["value"] < 1
    assert [row["mean"]["value"] for row in result["marks"]] == [2.5], "half of those who looked marked it"
    assert result["edits_by_person"] == [{"person": 7, "mean": result["edits_by_person"][0]["mean"]}]
    assert result["edits_by_person"][0]["mean"]["value"] == pytest.approx(1)
    assert {(row["one"], row["other"]) for row in result["pairs"]} == {(7, 8)}
    assert result["compared"] == [12, 12]


def test_an_empty_project_and_one_without_variation_have_results():
    empty = results_of(material([], {}))
    json.dumps(empty, allow_nan=False)
    assert (empty["answers"], empty["agreement"], empty["labels"]["pairs"]) == (0, [], 0)
    texts = {n: {2 * n: "a", 2 * n + 1: "b"} for n in range(1, 13)}
    same = [line(n, person, choice(list(texts[n]), 2 * n)) for n in texts for person in (7, 8)]
    result = results_of(material(same, texts))
    json.dumps(result, allow_nan=False)
    (row,) = result["agreement"]
    assert (row["alpha"]["value"], row["alpha"]["undefined"]) == (None, "no variation")
    assert row["percent"]["value"] == 1
    (cell,) = result["pairs"]
    assert cell["coefficient"]["undefined"] == "no variation"


def test_oneself_and_weeks_and_batches():
    texts = {n: {2 * n: "a", 2 * n + 1: "b"} for n in range(1, 25)}
    week = 7 * 86_400
    lines = []
    for n in texts:
        first, second = texts[n]
        fields = {"batch": 1 + n % 2, "at": 4 * 86_400 + 60 + week * (n % 2)}
        lines += [line(n, 7, choice([first, second], first), **fields), line(n, 8, choice([first, second]), **fields)]
        if n > 12:
            again = first if n > 15 else second
            lines.append(line(100 + n, 7, choice([first, second], again), prompt=n, batch=3, at=fields["at"]))
    result = results_of(material(lines, texts))
    (own,) = result["oneself"]
    assert (own["person"], own["n"], own["percent"]["value"]) == (7, 12, 9 / 12)
    assert [(row["week"], row["percent"]["n"]) for row in result["weeks"]] == [("1970-01-05", 12), ("1970-01-12", 12)]
    assert [(row["batch"], row["percent"]["undefined"]) for row in result["batches"]] == [
        (3, "too few"),
        (2, ""),
        (1, ""),
    ]
    assert result["agreement"][0]["percent"]["n"] == 24
