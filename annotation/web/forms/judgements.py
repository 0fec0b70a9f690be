"""The form of a file of recorded judgements: what its columns, answers, numbers and scores mean."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.importing.judgements.mapping import NAMES, JudgementMapping
from annotation.importing.judgements.numbers import SCHEMES
from annotation.importing.judgements.scores import Score, decimal_of, named
from annotation.importing.judgements.survey import AspectScale, JudgementSurvey
from annotation.importing.judgements.uploads import Preview
from annotation.importing.judgements.verdicts import ALL_BAD, SKIP, TIE
from annotation.web.forms.data import MEANINGS, ColumnsForm

ANSWERS = [
    ("worker", _("Who answered")),
    ("answer", _("Answer")),
    ("person", _("Answers of one person")),
    ("answers", _("List of answers")),
    ("tie", _("Whether it is a tie")),
    ("rank", _("Place of a text")),
    ("winner", _("True if a text is the answer")),
    ("score", _("Score")),
    ("model", _("Model that wrote a text")),
    ("time", _("When it was answered")),
    ("seconds", _("Seconds of work")),
]
OF_A_TEXT = ("rank", "winner", "score", "model")
VALUES_SHOWN = 20
COLUMNS_LISTED = 40  # that each column may be about: the page grows with their square
SPECIAL = [(TIE, _("tie")), (ALL_BAD, _("all bad")), (SKIP, _("leave out"))]
LETTERS = "abcdef"


class JudgementColumnsForm(ColumnsForm):
    """`meaning-<n>`, `origin-<n>`, `of-<n>` (the text that a column is about) and `aspect-<n>` for each column;
    `value-<n>` and `means-<n>` for answers; `scale-<n>`, `worst-<n>` and `best-<n>` for aspects."""

    choices = [MEANINGS[0], (_("Texts"), MEANINGS[1:]), (_("Answers"), ANSWERS)]

    worker_name = forms.CharField(
        required=False,
        max_length=150,
        label=_("Who answered, if no column says it"),
        help_text=_("An e-mail or a name. It is the person behind every answer of the file."),
    )
    best = forms.ChoiceField(required=False, label=_("Better text in every row"))
    numbers = forms.ChoiceField(required=False, label=_("Numbers mean"))
    aspect = forms.CharField(
        required=False,
        max_length=80,
        label=_("Answers are scores of"),
        help_text=_("The aspect that the numbers are about, if people scored the row's text. Else leave it empty."),
    )
    name = forms.CharField(
        required=False,
        max_length=120,
        label=_("Name of the batch"),
        help_text=_("Otherwise it is named after the file."),
    )
    item_rank = forms.CharField(required=False, max_length=100, label=_("In the list: key of the place"))
    item_best = forms.CharField(required=False, max_length=100, label=_("In the list: key that marks the best text"))
    item_scores = forms.CharField(
        required=False, max_length=300, label=_("In the list: keys of scores"), help_text=_("Separated by commas.")
    )

    def __init__(self, *args: Any, preview: Preview, **kwargs: Any) -> None:
        self.judgements = preview.judgements
        initial = initial_of(preview.judgements) | kwargs.pop("initial", {})
        super().__init__(*args, columns=preview.columns, mapping=preview.mapping, initial=initial, **kwargs)
        self.preview = preview
        self.of_columns()
        # What was posted is chosen among all columns: which of them are texts is in the same form.
        candidates = [column for column, _origin in preview.mapping.candidates]
        texts = named_columns(self.columns if self.is_bound else candidates)
        self.choose_from("best", [("", _("– the answers say it –")), *texts])
        self.choose_from("numbers", [("", _("– as the file shows –")), *SCHEMES.items()])
        self.value_count = self.of_values(texts)
        self.scale_count = self.of_scales()

    def choose_from(self, name: str, choices: list[Any]) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]

    def of_columns(self) -> None:
        chosen = columns_of(self.judgements)
        candidates = [column for column, _origin in self.preview.mapping.candidates]
        listed = dict.fromkeys([*candidates, *self.columns[:COLUMNS_LISTED]])
        for number, column in enumerate(self.columns):
            meaning, of, aspect = chosen.get(column, ("", "", ""))
            if meaning:
                self.fields[f"meaning-{number}"].initial = meaning
            self.fields[f"of-{number}"] = forms.ChoiceField(
                choices=[
                    ("", _("– the row's text –")),
                    *named_columns(dict.fromkeys([*listed, *self.posted(f"of-{number}"), of])),
                    *SPECIAL[:2],
                ],
                required=False,
                initial=of,
                label=_("Text that %(name)s is about") % {"name": column},
            )
            self.fields[f"aspect-{number}"] = forms.CharField(
                required=False,
                max_length=80,
                initial=aspect or column,
                label=_("Aspect that %(name)s scores") % {"name": column},
            )

    def posted(self, name: str) -> list[str]:
        """A column that was chosen may be any of the file's."""
        value = str(self.data.get(name, ""))
        return [value] if value in self.columns else []

    def of_values(self, texts: list[tuple[str, str]]) -> int:
        """A choice for each answer of the file, of those that occur most and of all that mean nothing so far."""
        survey = self.preview.survey
        values = [str(value) for name, value in sorted(self.data.items()) if name.startswith("value-")]
        if survey is not None and not survey.judgements.is_scoring:
            words = [word for (word, _read_as), _count in survey.summary.values.most_common(VALUES_SHOWN)]
            known = [*survey.judgements.meanings, *survey.unknown, *words]
            values = list(dict.fromkeys([*values, *known]))[: 2 * VALUES_SHOWN]
        letters = [(letter, letter.upper()) for letter in LETTERS]
        names = [*texts, *letters] if self.is_bound else texts or letters
        for number, value in enumerate(values):
            self.fields[f"value-{number}"] = forms.CharField(
                required=False, initial=value, widget=forms.HiddenInput(), strip=False
            )
            self.fields[f"means-{number}"] = forms.ChoiceField(
                choices=[("", _("– as read –")), *names, *SPECIAL],
                required=False,
                initial=self.judgements.meanings.get(value, ""),
                label=_("Meaning of the answer “%(value)s”") % {"value": value[:40]},
            )
        return len(values)

    def of_scales(self) -> int:
        survey = self.preview.survey
        scales = survey.scales if survey is not None else []
        posted = [str(value) for name, value in sorted(self.data.items()) if name.startswith("scale-")]
        known = {scale.aspect for scale in scales}
        scales = [*scales, *(AspectScale(aspect, "", "", "") for aspect in posted if aspect not in known)]
        for number, scale in enumerate(scales):
            worst, _dots, best = (scale.scale or self.judgements.scales.get(scale.aspect, "")).partition("..")
            self.fields[f"scale-{number}"] = forms.CharField(
                required=False, initial=scale.aspect, widget=forms.HiddenInput()
            )
            for end, value, label in (("worst", worst, _("Worst score")), ("best", best, _("Best score"))):
                self.fields[f"{end}-{number}"] = forms.CharField(
                    required=False, max_length=20, initial=value, label=label
                )
        self.scales = scales
        return len(scales)

    # ---- for the template ----

    def heads(self) -> list[dict[str, Any]]:
        return [
            {**head, "of": self[f"of-{number}"], "aspect": self[f"aspect-{number}"]}
            for number, head in enumerate(super().heads())
        ]

    def answer_rows(self, survey: JudgementSurvey | None, readings: dict[str, str]) -> list[dict[str, Any]]:
        """(answer, how many, read as what, the field that changes it)."""
        counts: dict[str, tuple[int, str]] = {}
        if survey is not None:
            for (word, read_as), count in survey.summary.values.most_common():
                before = counts.get(word, (0, ""))
                also = f"{before[1]}, {readings[read_as]}" if before[1] else readings[read_as]
                counts[word] = (before[0] + count, also)
            for word, count in survey.unknown.items():
                counts[word] = (count + counts.get(word, (0, ""))[0], "")
        rows = []
        for number in range(self.value_count):
            value = self[f"value-{number}"].value() or ""
            count, read_as = counts.get(value, (0, ""))
            rows.append(
                {
                    "value": value,
                    "count": count,
                    "read_as": read_as,
                    "hidden": self[f"value-{number}"],
                    "field": self[f"means-{number}"],
                }
            )
        return rows

    def scale_rows(self) -> list[dict[str, Any]]:
        return [
            {"scale": scale, "hidden": self[f"scale-{n}"], "worst": self[f"worst-{n}"], "best": self[f"best-{n}"]}
            for n, scale in enumerate(self.scales)
        ]

    # ---- what was entered ----

    def clean(self) -> dict[str, Any]:
        own: list[tuple[int, str, str]] = []
        names = {name for name, _label in ANSWERS}
        for number, column in enumerate(self.columns):
            meaning = self.cleaned_data.get(f"meaning-{number}", "")
            if column and meaning in names:
                own.append((number, column, meaning))
                self.cleaned_data[f"meaning-{number}"] = ""  # for the texts it is a column left out
        cleaned = super().clean()
        for number, _column, meaning in own:
            cleaned[f"meaning-{number}"] = meaning
        parts = self.parts_of(own, cleaned)
        candidates = [column for column, _origin in cleaned["mapping"].candidates]
        if cleaned.get("best") and cleaned["best"] not in candidates:
            self.add_error("best", _("This column is not a candidate any more; choose another."))
        cleaned["judgements"] = JudgementMapping(
            **parts,
            worker_name=cleaned.get("worker_name", ""),
            best=cleaned.get("best", ""),
            numbers=cleaned.get("numbers", ""),
            aspect=named(cleaned.get("aspect", "")),
            item_rank=cleaned.get("item_rank", ""),
            item_best=cleaned.get("item_best", ""),
            item_scores=tuple(key.strip() for key in cleaned.get("item_scores", "").split(",") if key.strip()),
            meanings={
                cleaned[f"value-{n}"]: cleaned[f"means-{n}"]
                for n in range(self.value_count)
                if cleaned.get(f"value-{n}") and cleaned.get(f"means-{n}")
            },
            scales=self.scales_of(cleaned),
        )
        if cleaned["judgements"].is_scoring and (parts["ranks"] or parts["winners"] or cleaned.get("best")):
            self.add_error(None, _("Answers either compare texts or score them. Leave one kind of column out."))
        return cleaned

    def parts_of(self, own: list[tuple[int, str, str]], cleaned: dict[str, Any]) -> dict[str, Any]:
        """The fields of a JudgementMapping that columns give."""
        parts: dict[str, Any] = {"workers": (), "ranks": (), "winners": (), "models": (), "scores": ()}
        for number, column, meaning in own:
            of = cleaned.get(f"of-{number}", "")
            if meaning == "person":
                parts["workers"] += (column,)
            elif meaning == "score":
                aspect = named(cleaned.get(f"aspect-{number}", "")) or named(column)
                parts["scores"] += (Score(column, aspect, of),)
            elif meaning in OF_A_TEXT and not of:
                self.add_error(f"of-{number}", _("Say which text %(column)s is about.") % {"column": repr(column)})
            elif meaning in OF_A_TEXT:
                parts[f"{meaning}s"] += ((column, of),)
            elif meaning in parts:
                self.add_error(
                    f"meaning-{number}",
                    _("%(column)s has this meaning already; change one of them") % {"column": repr(parts[meaning])},
                )
            elif meaning in NAMES:
                parts[meaning] = column
        return parts

    def scales_of(self, cleaned: dict[str, Any]) -> dict[str, str]:
        scales = {}
        for number in range(self.scale_count):
            worst, best = cleaned.get(f"worst-{number}", "").strip(), cleaned.get(f"best-{number}", "").strip()
            if not worst and not best:
                continue
            ends = decimal_of(worst), decimal_of(best)
            if None in ends or ends[0] == ends[1]:
                self.add_error(f"worst-{number}", _("Give two different numbers: the worst and the best score."))
            else:
                scales[cleaned[f"scale-{number}"]] = f"{worst}..{best}"
        return scales


def named_columns(columns: Iterable[str]) -> list[tuple[str, str]]:
    return [(column, column) for column in columns if column]


def columns_of(judgements: JudgementMapping) -> dict[str, tuple[str, str, str]]:
    """Column → (its meaning, the text that it is about, the aspect)."""
    found = {getattr(judgements, name): (name, "", "") for name in NAMES if getattr(judgements, name)}
    found |= dict.fromkeys(judgements.workers, ("person", "", ""))
    for meaning in ("rank", "winner", "model"):
        found |= {column: (meaning, text, "") for column, text in getattr(judgements, f"{meaning}s")}
    return found | {score.column: ("score", score.text, score.aspect) for score in judgements.scores}


def initial_of(judgements: JudgementMapping) -> dict[str, Any]:
    names = ("worker_name", "best", "numbers", "aspect", "item_rank", "item_best")
    return {name: getattr(judgements, name) for name in names} | {"item_scores": ", ".join(judgements.item_scores)}
