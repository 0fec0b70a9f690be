"""Which columns of a file say who answered what, and when: named by a person, or detected (see `detection`)."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_noop

from annotation.core.messages import Message
from annotation.importing.judgements.numbers import SCHEMES
from annotation.importing.judgements.scores import Score, scale_of
from annotation.preparation.mapping import MappingError

# In this order of preference, compared without case.
NAMES = {
    "worker": (
        *("worker", "worker_id", "annotator", "annotator_id", "judge", "judge_id", "judgeid", "rater", "rater_id"),
        *("labeler", "labeler_id", "labeller", "labeller_id", "evaluator", "evaluator_id"),
    ),
    "answer": (
        *("answer", "choice", "winner", "preference", "preferred", "ranking", "judgement", "judgment", "verdict"),
        *("chosen_model", "preferred_model", "winner_model", "winning_model", "better_model", "best_model"),
        *("chosen_index", "preferred_index", "winner_index", "better_index", "best_index", "better_response_id"),
        *("best", "best_answer", "best_response", "better", "better_response", "label", "labels"),
        *("preference_strength", "overall_preference"),
    ),
    "time": ("time", "timestamp", "tstamp", "answered_at", "submitted_at", "created_at"),
    "seconds": ("seconds", "active_seconds", "duration", "work_time", "lead_time"),
    "tie": ("tie", "is_tie"),
    "answers": ("answers", "judgements", "judgments", "annotations", "votes"),
}
# Inside the objects of a list of candidates.
ITEM_NAMES = {
    "item_rank": ("rank", "place"),
    "item_best": ("chosen", "is_chosen", "is_best", "best", "preferred", "selected", "if_chosen"),
}
FIELDS = (*NAMES, *ITEM_NAMES)


@dataclass(frozen=True, kw_only=True)
class JudgementMapping:
    """Column names; empty means the file has none.

    worker, answer, time, seconds, tie: a row is one person's answer. answers: a row has a list of them, objects with
    these names. workers: columns that hold one person's answers each, the person being called like the column.
    worker_name: who answered, where no column says it. ranks: (column, text), the place of that text. winners:
    (column, text or `tie` or `both_bad`), of which one is true. best: the text that is better in every row. models:
    (column with a model's name, column of the text that it wrote). item_rank, item_best, item_scores: keys of the
    objects in a list of candidates. scores: columns of scores; aspect: what answers score, where they are numbers about
    the row's texts rather than a comparison. meanings: what an answer means, where it is not the name of a text: a
    text's name, `tie`, `both_bad` or `skip`. numbers: what numbers mean (`numbers.SCHEMES`). scales: an aspect's worst
    and best score, as “0..4”.
    """

    worker: str = ""
    answer: str = ""
    time: str = ""
    seconds: str = ""
    tie: str = ""
    answers: str = ""
    workers: tuple[str, ...] = ()
    worker_name: str = ""
    ranks: tuple[tuple[str, str], ...] = ()
    winners: tuple[tuple[str, str], ...] = ()
    best: str = ""
    models: tuple[tuple[str, str], ...] = ()
    item_rank: str = ""
    item_best: str = ""
    item_scores: tuple[str, ...] = ()
    scores: tuple[Score, ...] = ()
    aspect: str = ""
    meanings: dict[str, str] = field(default_factory=dict)
    numbers: str = ""
    scales: dict[str, str] = field(default_factory=dict)

    @property
    def is_scoring(self) -> bool:
        return bool(self.scores or self.aspect or self.item_scores)

    @property
    def compares(self) -> bool:
        """Whether something says which text is better."""
        lists = self.workers or self.ranks or self.winners
        return bool(lists or self.answer or self.answers or self.tie or self.best or self.item_rank or self.item_best)

    @property
    def names_people(self) -> bool:
        return bool(self.worker or self.workers or self.worker_name or self.answers)

    def used_columns(self) -> list[str]:
        named = [getattr(self, name) for name in NAMES]
        pairs = [column for column, *_ in (*self.ranks, *self.winners, *self.models, *self.scores)]
        return [column for column in [*named, *self.workers, *pairs] if column]

    def in_words(self) -> list[str]:
        """Such as “judge: worker”, for people to check."""
        named = [f"{getattr(self, name)}: {name}" for name in NAMES if getattr(self, name)]
        named += [f"{getattr(self, name)} in the list: {name}" for name in ITEM_NAMES if getattr(self, name)]
        named += [f"{key} in the list: score" for key in self.item_scores]
        named += [f"{column}: answers of {column}" for column in self.workers]
        named += [f"{column}: place of {text}" for column, text in self.ranks]
        named += [f"{column}: {text} is the answer" for column, text in self.winners]
        named += [f"{column}: model of {text}" for column, text in self.models]
        named += [f"{s.column}: score ({s.aspect}){f' of {s.text}' if s.text else ''}" for s in self.scores]
        named += [f"the answers score {self.aspect}"] if self.aspect else []
        named += [f"answered by {self.worker_name}"] if self.worker_name else []
        return [*named, f"{self.best} is better in every row"] if self.best else named

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"scores": [list(score) for score in self.scores]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "JudgementMapping":
        pairs = {name: tuple((str(a), str(b)) for a, b in values[name]) for name in ("ranks", "winners", "models")}
        lists = {name: tuple(values[name]) for name in ("workers", "item_scores")}
        return cls(**{**values, **pairs, **lists, "scores": tuple(Score(*score) for score in values["scores"])})


def names_among(keys: Iterable[str], names: dict[str, tuple[str, ...]] = NAMES) -> dict[str, str]:
    """The key that each field is found under, or an empty string."""
    by_name = {key.lower(): key for key in reversed(list(keys)) if key}
    return {field: next((by_name[name] for name in known if name in by_name), "") for field, known in names.items()}


@dataclass(frozen=True, kw_only=True)
class JudgementWords:
    """What a person says about columns and answers on the command line: `fields` such as worker=judge and time= (none),
    `ranks` such as rank_1=candidate_1, `meanings` such as 0=tie. The columns' names decide the rest."""

    fields: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    worker_name: str = ""
    ranks: tuple[str, ...] = ()
    winners: tuple[str, ...] = ()
    best: str = ""
    models: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    aspect: str = ""
    meanings: tuple[str, ...] = ()
    numbers: str = ""
    scales: tuple[str, ...] = ()

    def changes(self) -> dict[str, Any]:
        """The fields of a JudgementMapping that they name."""
        changes: dict[str, Any] = {}
        for word in self.fields:
            name, column = split(word, "--map", "FIELD=COLUMN")
            if name not in FIELDS:
                raise MappingError(f"--map {word}: FIELD is one of {', '.join(FIELDS)}")
            changes[name] = column
        if self.workers or self.ranks or self.winners or self.scores or self.best or changes.get("answers"):
            changes = {"answer": "", **changes}
        if self.workers:
            changes = {"worker": "", **changes}
        if self.numbers not in ("", *SCHEMES):
            raise MappingError(f"--numbers {self.numbers}: write one of {', '.join(SCHEMES)}")
        said = {
            "workers": self.workers,
            "worker_name": self.worker_name.strip(),
            "ranks": pairs(self.ranks, "--rank", "COLUMN=TEXT"),
            "winners": pairs(self.winners, "--winner-column", "COLUMN=TEXT"),
            "best": self.best.strip(),
            "models": pairs(self.models, "--model", "COLUMN=CANDIDATE_COLUMN"),
            "scores": tuple(map(score_of_word, self.scores)),
            "aspect": self.aspect.strip(),
            "meanings": dict(pairs(self.meanings, "--answer", "VALUE=MEANING")),
            "numbers": self.numbers,
            "scales": checked_scales(dict(pairs(self.scales, "--scale", "ASPECT=WORST..BEST"))),
        }
        return changes | {name: value for name, value in said.items() if value}


def pairs(words: Iterable[str], option: str, form: str) -> tuple[tuple[str, str], ...]:
    return tuple(split(word, option, form) for word in words)


def split(word: str, option: str, form: str) -> tuple[str, str]:
    last = option in ("--answer", "--scale")  # “A=B=tie”: an answer may have an equals sign
    name, equals, value = word.rpartition("=") if last else word.partition("=")
    if not equals or not name.strip():
        raise MappingError(f"{option} {word}: write {form}")
    return name.strip(), value.strip()


def score_of_word(word: str) -> Score:
    """COLUMN, COLUMN=ASPECT or COLUMN=ASPECT@TEXT."""
    column, _, rest = word.partition("=")
    aspect, _, text = rest.partition("@")
    if not column.strip():
        raise MappingError(f"--score {word}: write COLUMN=ASPECT, or COLUMN=ASPECT@TEXT")
    return Score(column.strip(), aspect.strip() or column.strip(), text.strip())


def checked_scales(scales: dict[str, str]) -> dict[str, str]:
    for aspect, text in scales.items():
        if scale_of(text) is None:
            raise MappingError(f"--scale {aspect}={text}: write ASPECT=WORST..BEST, such as helpfulness=0..4")
    return scales


def checked_judgements(
    mapping: JudgementMapping, columns: Sequence[str], taken: Iterable[str], filename: str, *, open_ended: bool
) -> JudgementMapping:
    """The mapping itself when it fits the file's columns, of which those in `taken` are the prompt's. `open_ended`:
    later rows may bring further columns (JSONL)."""
    listed = ", ".join(repr(column[:40]) for column in columns[:20] if column) or "–"
    used = mapping.used_columns()
    values: dict[str, Any] = {"file": filename, "columns": listed}
    missing = [column for column in used if column not in columns]
    if missing and not open_ended:
        text = gettext_noop("%(file)s: there is no column “%(name)s”. Columns: %(columns)s")
        raise MappingError(Message(text, **values, name=missing[0]))
    twice = sorted((set(used) & set(taken)) | {column for column in used if used.count(column) > 1})
    if twice:
        text = gettext_noop("%(file)s: the column “%(name)s” cannot have two meanings; choose one")
        raise MappingError(Message(text, **values, name=twice[0]))
    if not (mapping.compares or mapping.is_scoring):
        text = gettext_noop(
            "%(file)s: no column is the answer. Columns: %(columns)s. Say which one is, which hold the answers of one "
            "person each, which hold places, or which hold scores"
        )
        raise MappingError(
            Message(text, **values),
            options=("--map answer=COLUMN", "--worker-column COLUMN", "--rank COLUMN=TEXT", "--score COLUMN"),
        )
    if not mapping.names_people:
        text = gettext_noop(
            "%(file)s: no column says who answered. Columns: %(columns)s. Say which one does, or name the one person "
            "whose answers they are"
        )
        raise MappingError(Message(text, **values), options=("--map worker=COLUMN", "--worker NAME"))
    return mapping
