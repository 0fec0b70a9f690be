"""What the columns' names, and the first rows, suggest."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from annotation.importing.judgements.cells import unpacked
from annotation.importing.judgements.mapping import ITEM_NAMES, NAMES, JudgementMapping, JudgementWords, names_among
from annotation.importing.judgements.naming import suffix_of
from annotation.importing.judgements.scores import Score, decimal_of, score_of
from annotation.importing.judgements.verdicts import ALL_BAD, TIE
from annotation.preparation.chats import is_message
from annotation.preparation.mapping import Mapping, MappingWords, detect_mapping, file_origin, preference_pairs

FIRST_ROWS = 20
WORKER_COLUMN = re.compile(r"(?:worker|annotator|judge|rater|evaluator|labell?er)[ _.-]?\d{1,3}", re.IGNORECASE)
RANK_COLUMN = re.compile(r"rank[ _.-]?(.+)|(.+?)[ _.-]?rank", re.IGNORECASE)
WINNER_COLUMN = re.compile(r"(?:winner|wins|win|won|preferred|is_best)[ _.-](.+)", re.IGNORECASE)
MODEL_COLUMN = re.compile(
    r"(?:model|system|generator|policy)(?:[ _.-]?(?:name|id))?[ _.-]?([a-z]|\d{1,2})", re.IGNORECASE
)
MODEL_NAMES = ("model", "model_name", "system", "system_id", "generator", "policy")
# A text by itself, where it is scored.
SCORED_TEXTS = ("response", "completion", "output", "answer", "mt", "translation", "hypothesis", "summary")
SCORE_NAMES = (
    *("score", "scores", "rating", "ratings", "grade", "quality", "overall", "overall_score", "overall_rating"),
    *("helpfulness", "correctness", "coherence", "complexity", "verbosity", "honesty", "truthfulness", "harmlessness"),
    *("instruction_following", "accuracy", "adequacy", "fluency", "relevance", "style", "da_score", "da_scores"),
)
SCORE_COLUMN = re.compile(rf"({'|'.join(SCORE_NAMES)})[ _.-]?([a-z]|\d{{1,2}})", re.IGNORECASE)
WINNER_WORDS = {"tie": TIE, "draw": TIE, "both_bad": ALL_BAD, "bothbad": ALL_BAD, "both bad": ALL_BAD}


def choose(
    texts: MappingWords, judgements: JudgementWords, columns: Sequence[str], first: Sequence[dict[str, Any]] = ()
) -> tuple[Mapping, JudgementMapping]:
    """What the columns mean, by what was chosen and by their names; `first` are rows to look into."""
    said = judgements.changes()
    found: dict[str, Any] = {**names_among(columns), **said}
    if "answers" not in said and found["answers"] and not asks_about(columns, found):
        found["answers"] = ""  # these are the texts
    pair = preferred_texts(columns)
    if pair and found["answer"] in pair and "answer" not in said:
        found["answer"] = ""  # the better text itself
    if found["answers"]:  # each object of the list has its own
        found |= {name: "" for name in ("worker", "answer", "time", "seconds", "tie") if name not in said}
    mapping = text_mapping(texts, JudgementMapping(**found), columns)
    if not said.get("answer"):
        found |= by_structure(found, said, mapping, columns)
    item = first_item(mapping, first)
    if not JudgementMapping(**found).compares and not said.keys() & {"scores", "aspect"}:
        found |= {name: key for name, key in names_among(item, ITEM_NAMES).items() if key and name not in said}
    mapping = text_mapping(texts, JudgementMapping(**found), columns)
    if not mapping.candidates and not mapping.candidate_list:
        mapping = with_scored_text(mapping, columns, {*JudgementMapping(**found).used_columns(), *texts.ignored})
    found |= scores_of(found, said, mapping, columns, item)
    found.setdefault("models", models_of(mapping, columns))
    chosen = JudgementMapping(**found)
    return without(mapping, chosen, named_in(texts)), chosen


def asks_about(columns: Sequence[str], found: dict[str, Any]) -> bool:
    """Whether the texts stand elsewhere than in the list that may be one of answers."""
    rest = detect_mapping([column for column in columns if column != found["answers"]])
    taken = {column for name, column in found.items() if name in NAMES and column}
    texts = [*rest.candidates, *([(rest.candidate_list, "")] if rest.candidate_list else [])]
    if any(column not in taken for column, _ in texts):
        return True
    return any(column.lower() in SCORED_TEXTS for column in columns if column not in taken)


def text_mapping(words: MappingWords, judgements: JudgementMapping, columns: Sequence[str]) -> Mapping:
    """What the other columns mean. “answer” and “choice” are names of texts elsewhere: here they are what people
    answered."""
    named = named_in(words)
    taken = tuple(column for column in judgements.used_columns() if column not in named)
    return dataclasses.replace(words, ignored=(*words.ignored, *taken)).on(columns)


def named_in(words: MappingWords) -> set[str]:
    """The columns that somebody gave a meaning as texts."""
    fields = {word.partition("=")[2].strip() for word in words.fields}
    return fields | {word.partition("=")[0].strip() for word in words.candidates}


def by_structure(
    found: dict[str, Any], said: dict[str, Any], mapping: Mapping, columns: Sequence[str]
) -> dict[str, Any]:
    """Columns that come several at a time: of persons, places, winners; or a chosen and a rejected text."""
    by_name = {column.lower(): column for column in reversed(columns) if column}
    texts = [column for column, _ in mapping.candidates]
    if "chosen" in by_name and "rejected" not in by_name and not found["answer"]:
        return {"answer": by_name["chosen"]}
    if found["answer"] or found["answers"] or said.keys() & {"workers", "ranks", "winners", "best", "scores", "aspect"}:
        return {}
    workers = tuple(column for column in columns if WORKER_COLUMN.fullmatch(column) and column not in texts)
    if workers and not found["worker"]:
        return {"workers": workers}
    suffixes = {suffix_of(column) or column.casefold(): column for column in texts}
    ranks = paired(RANK_COLUMN, columns, suffixes)
    if len(ranks) > 1:
        return {"ranks": ranks}
    winners = paired(WINNER_COLUMN, columns, {**suffixes, **WINNER_WORDS}, ending=True)
    if len(winners) > 1:
        return {"winners": winners}
    pair = preferred_texts(texts)
    return {"best": pair[0]} if pair and not found["tie"] else {}


def preferred_texts(columns: Sequence[str]) -> tuple[str, str] | None:
    """The columns of a better text and of the other one."""
    return next(iter(preference_pairs(columns)), None)


def paired(
    pattern: re.Pattern[str], columns: Sequence[str], texts: dict[str, str], *, ending: bool = False
) -> tuple[tuple[str, str], ...]:
    """(column, text) of the columns that name one of the texts; with `ending`, by the last part of what they name
    (winner_model_a)."""
    pairs = []
    for column in columns:
        if not (match := pattern.fullmatch(column)):
            continue
        key = next(group for group in match.groups() if group).casefold()
        if key not in texts:
            key = re.split(r"[ _.-]", key)[-1] if ending else suffix_of(key)
        if key in texts:
            pairs.append((column, texts[key]))
    return tuple(pairs)


def with_scored_text(mapping: Mapping, columns: Sequence[str], taken: set[str]) -> Mapping:
    """One text in a row, which is scored: elsewhere “response” is an answer known to be good."""
    by_name = {column.lower(): column for column in reversed(columns) if column and column not in taken}
    column = next((by_name[name] for name in SCORED_TEXTS if name in by_name), "")
    if not column or column in (mapping.text, mapping.messages):
        return mapping
    reference = "" if mapping.reference == column else mapping.reference
    return dataclasses.replace(mapping, reference=reference, candidates=((column, file_origin(column)),))


def scores_of(
    found: dict[str, Any], said: dict[str, Any], mapping: Mapping, columns: Sequence[str], item: dict[str, Any]
) -> dict[str, Any]:
    """Scores, where nothing compares the row's texts; or where there is only one, so that nothing could."""
    alone = len(mapping.candidates) == 1 and not mapping.candidate_list
    if said.keys() & {"scores", "aspect", "item_scores"}:
        return {}
    if alone and (found["answer"] or found.get("workers")):
        plain = found["answer"].lower() in ("", "answer", "label", "labels")
        return {"aspect": "score" if plain else found["answer"]}
    if JudgementMapping(**found).compares and not (alone and found["answers"]):
        return {}
    if found["answers"]:
        return {"aspect": "score"}
    suffixes = {suffix_of(column): column for column, _ in mapping.candidates if suffix_of(column)}
    scores = [
        Score(column, match[1].casefold(), suffixes[match[2].casefold()])
        for column in columns
        if (match := SCORE_COLUMN.fullmatch(column)) and match[2].casefold() in suffixes
    ]
    scores = scores or [Score(column, column) for column in columns if column.lower() in SCORE_NAMES]
    if scores:
        return {"scores": tuple(scores)}
    return {"item_scores": score_keys(item)}


def score_keys(item: dict[str, Any]) -> tuple[str, ...]:
    """The keys of an object that hold scores, by their names: a number, or an object with some."""
    keys = []
    for key, value in item.items():
        inner = value.values() if type(value) is dict else ()
        numbers = decimal_of(value) is not None or any(decimal_of(score_of(each)) is not None for each in inner)
        if numbers and (key.lower() in SCORE_NAMES or key.lower() in NAMES["answers"]):
            keys.append(key)
    return tuple(keys)


def first_item(mapping: Mapping, first: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The keys of the first objects in the list of candidates."""
    keys: dict[str, Any] = {}
    for values in first:
        listed = unpacked(values.get(mapping.candidate_list)) if mapping.candidate_list else None
        for item in listed if type(listed) is list else []:
            if type(item) is dict and not is_message(item):
                keys = {**item, **keys}
    return keys


def models_of(mapping: Mapping, columns: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Columns of models' names: model_a beside response_a, or “model” beside the row's only text."""
    texts = [column for column, _ in mapping.candidates]
    suffixes = {suffix_of(column): column for column in texts if suffix_of(column)}
    pairs = paired(MODEL_COLUMN, [column for column in columns if column not in mapping.used_columns()], suffixes)
    if not pairs and len(texts) == 1 and not mapping.candidate_list:
        pairs = tuple((column, texts[0]) for column in columns if column.lower() in MODEL_NAMES)[:1]
    return pairs if len({text for _, text in pairs}) == len(pairs) else ()


def without(mapping: Mapping, judgements: JudgementMapping, named: set[str]) -> Mapping:
    """The texts' mapping without what turned out to be part of the answers, unless somebody named it."""
    taken = set(judgements.used_columns()) - named
    fields: dict[str, Any] = {
        name: "" for name in ("reference", "context", "input", "system") if getattr(mapping, name) in taken
    }
    candidates = tuple(pair for pair in mapping.candidates if pair[0] not in taken)
    return dataclasses.replace(mapping, **fields, candidates=candidates)
