"""A project's glossary: preferred translations of terms, edited by managers and looked up in prompts."""

import csv
import io
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, TextField, Value
from django.db.models.functions import StrIndex
from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from annotation.core.events import record
from annotation.models import GlossaryTerm, Project, User
from annotation.text.normalization import UNSPACED, folded
from annotation.text.typography import lookup_form

LIMITS = {"source": 200, "target": 200, "note": 300}
MAX_ROWS = 50_000
MAX_PROBLEMS = 50
SEARCHED = 20_000
MAX_HITS = 40


@dataclass(frozen=True)
class Hit:
    """A term that occurs in a text, with each preferred translation: (target, note)."""

    source: str
    targets: list[tuple[str, str]]


# ---- editing ----


def add_term(*, project: Project, source: str, target: str, note: str = "", actor: User | None) -> GlossaryTerm:
    """Raises InvalidInput by field; each pair of source and target exists once."""
    term = GlossaryTerm(project=project, created_by=actor)
    return write(term, {"source": source, "target": target, "note": note}, verb="glossary.added", actor=actor)


def change_term(*, term: GlossaryTerm, source: str, target: str, note: str = "", actor: User | None) -> GlossaryTerm:
    return write(term, {"source": source, "target": target, "note": note}, verb="glossary.changed", actor=actor)


def remove_term(*, term: GlossaryTerm, actor: User | None) -> None:
    """Removing a term again does nothing."""
    with transaction.atomic():
        before, pk = values(term), term.pk
        removed, _rows = GlossaryTerm.objects.filter(pk=pk).delete()
        if removed:
            term.pk = pk
            record(verb="glossary.removed", target=term, actor=actor, project=term.project, before=before)


def import_terms(*, project: Project, text: str, actor: User | None) -> tuple[int, int]:
    """Add the rows of a CSV or tab-separated text: source, target and, if it has one, note.

    A header row is recognised by its names. Returns (added, changed): an existing pair gets the row's note. Raises
    InvalidInput, naming each faulty row, and then writes nothing.
    """
    rows, problems = read_rows(text)
    if not rows and not problems:
        problems = [("text", _("No rows found. Each line needs a source and a target; a note is optional."))]
    if len(rows) > MAX_ROWS:
        problems = [("text", _("At most {limit} rows at once.").format(limit=f"{MAX_ROWS:,}"))]
    if problems:
        raise InvalidInput(_("Nothing was imported. Fix these rows first."), problems)
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        known = {(t.source, t.target): t for t in GlossaryTerm.objects.filter(project=project)}
        new, changed = [], []
        for (source, target), note in rows.items():
            term = known.get((source, target))
            if term is None:
                new.append(
                    GlossaryTerm(
                        project=project,
                        source=source,
                        target=target,
                        note=note,
                        folded=lookup_form(source),
                        created_by=actor,
                    )
                )
            elif term.note != note:
                term.note = note
                changed.append(term)
        GlossaryTerm.objects.bulk_create(new, batch_size=5_000)
        GlossaryTerm.objects.bulk_update(changed, ["note"], batch_size=5_000)
        after = {"added": len(new), "changed": len(changed)}
        record(verb="glossary.imported", target=project, actor=actor, project=project, after=after)
    return len(new), len(changed)


def read_rows(text: str) -> tuple[dict[tuple[str, str], str], list[tuple[str, str]]]:
    """({(source, target): note}, problems by row). Blank lines do not count."""
    text = text.removeprefix("\ufeff")
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in first else ",")
    rows: dict[tuple[str, str], str] = {}
    problems: list[tuple[str, str]] = []
    try:
        for number, cells in enumerate(reader, start=1):
            if number == 1 and [folded(cell) for cell in cells[:2]] == ["source", "target"]:
                continue
            if not any(cell.strip() for cell in cells):
                continue
            row = dict(zip(("source", "target", "note"), (clean(cell) for cell in cells), strict=False))
            faults = term_problems(row)
            if len(cells) > 3 and any(cell.strip() for cell in cells[3:]):
                faults.append(("", _("More than three cells: put cells that contain a comma in quotation marks.")))
            for _field, fault in faults[:1]:
                problems.append((_("Row {number}").format(number=number), fault))
            if len(problems) >= MAX_PROBLEMS:
                break
            if not faults:
                rows[row["source"], row["target"]] = row.get("note", "")
    except csv.Error as error:
        problems.append((_("Row {number}").format(number=reader.line_num), str(error)))
    return rows, problems


def write(term: GlossaryTerm, fields: dict[str, str], *, verb: str, actor: User | None) -> GlossaryTerm:
    fields = {name: clean(value) for name, value in fields.items()}
    if problems := term_problems(fields):
        raise InvalidInput(problems[0][1], problems)
    before = values(GlossaryTerm.objects.get(pk=term.pk)) if term.pk else None
    term.source, term.target, term.note = fields["source"], fields["target"], fields["note"]
    term.folded = lookup_form(term.source)
    if before == values(term):
        return term
    try:
        with transaction.atomic():
            term.save()
            record(verb=verb, target=term, actor=actor, project=term.project, before=before, after=values(term))
    except IntegrityError as error:
        message = _("This pair is already in the glossary.")
        raise InvalidInput(message, [("target", message)]) from error
    return term


def clean(text: str) -> str:
    return " ".join(text.replace("\0", "").split())


def term_problems(fields: dict[str, str]) -> list[tuple[str, str]]:
    problems = [
        (name, _("At most {limit} characters; this has {length}.").format(limit=limit, length=len(fields[name])))
        for name, limit in LIMITS.items()
        if len(fields.get(name, "")) > limit
    ]
    if not fields.get("source") or not lookup_form(fields["source"]):
        problems.append(("source", _("The term is missing.")))
    if not fields.get("target"):
        problems.append(("target", _("The translation is missing.")))
    return problems


def values(term: GlossaryTerm) -> dict[str, Any]:
    return {name: getattr(term, name) for name in ("source", "target", "note")}


# ---- lookup ----


def terms_in(*, project: Project, text: str) -> list[Hit]:
    """The terms that occur in the text, in order of occurrence.

    Case, width, blanks and the forms of apostrophes, quotation marks and hyphens make no difference. Letters and digits
    must end where the term does, except in scripts without spaces; a match within a longer term does not count. One
    scan of the project's terms in the database, which returns only rows that match.
    """
    searched = lookup_form(text)[:SEARCHED]
    matches = (
        GlossaryTerm.objects.filter(project=project)
        .annotate(at=StrIndex(Value(searched, output_field=TextField()), F("folded")))
        .filter(at__gt=0)
        .order_by("id")
    )
    terms: dict[str, list[GlossaryTerm]] = {}
    for term in matches:
        terms.setdefault(term.folded, []).append(term)
    english = project.source_language.split("-")[0].lower() == "en"
    taken = bytearray(len(searched))
    first: dict[str, int] = {}
    for key in sorted(terms, key=len, reverse=True):
        for at in places(key, searched, plural=english):
            if not any(taken[at : at + len(key)]):
                taken[at : at + len(key)] = b"\1" * len(key)
                first.setdefault(key, at)
    order = sorted(first, key=first.__getitem__)[:MAX_HITS]
    # Two spellings of a term, such as guest's and guest’s, may have the same translation.
    targets = {key: list(dict.fromkeys((term.target, term.note) for term in terms[key])) for key in order}
    return [Hit(terms[key][0].source, targets[key]) for key in order]


def places(term: str, text: str, *, plural: bool) -> Iterator[int]:
    """Where the term occurs in the text as a separate word; with `plural` an English -s or -es may follow."""
    at = text.find(term)
    while at >= 0:
        end = at + len(term)
        endings = [end + len(s) for s in ("", "s", "es") if text.startswith(s, end)] if plural else [end]
        if is_edge(text, at) and any(is_edge(text, after) for after in endings):
            yield at
        at = text.find(term, at + 1)


def is_edge(text: str, at: int) -> bool:
    """Whether a word may begin or end here."""
    if at in (0, len(text)):
        return True
    left, right = text[at - 1], text[at]
    if unicodedata.category(right).startswith("M"):  # a vowel sign or an accent belongs to the letter before it
        return False
    # Korean particles follow a noun without a space; scripts without spaces show no edges at all.
    return not (left.isalnum() and right.isalnum()) or any(
        UNSPACED.match(sign) or "\uac00" <= sign <= "\ud7a3" for sign in (left, right)
    )
