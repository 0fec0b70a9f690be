"""Forms of imports and datasets."""

from dataclasses import fields
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from annotation.datasets.rows import ExportOptions
from annotation.datasets.without import Without, answered_in
from annotation.kinds.votes import CALIBRATED, POSTERIOR, VOTES
from annotation.models import Batch, DatasetVersion, Kind, Project
from annotation.preparation.encodings import KNOWN
from annotation.preparation.files import ReadOptions
from annotation.preparation.mapping import Mapping, MappingError, file_origin
from annotation.text.formatting import parse_comma_list
from annotation.web.parameters import whole_number

MEANINGS = [
    ("", _("– leave out –")),
    ("text", _("Prompt")),
    ("input", _("Input (below the prompt)")),
    ("system", _("System prompt")),
    ("history", _("Earlier turns")),
    ("messages", _("Chat (messages)")),
    ("candidate", _("Candidate")),
    ("candidate_list", _("List of candidates")),
    ("reference", _("Reference")),
    ("external_id", _("Id")),
    ("source_document", _("Source document")),
    ("context", _("Context")),
    ("held_out", _("Split (train or held out)")),
    ("metadata", _("Metadata")),
    ("metadata_object", _("Metadata object")),
]
# What people's files are in; the others of `encodings.KNOWN` go by their own names.
ENCODING_LABELS = {
    "utf-16-le": _("UTF-16 without a mark (little-endian)"),
    "utf-16-be": _("UTF-16 without a mark (big-endian)"),
    "cp932": "Shift JIS (cp932)",
    "euc-jp": "EUC-JP",
    "gb18030": _("Chinese (gb18030)"),
    "big5": _("Chinese, traditional (big5)"),
    "cp949": _("Korean (cp949)"),
    "cp1251": _("Cyrillic (cp1251)"),
    "cp1252": _("Western Europe (cp1252)"),
    "cp1250": _("Central Europe (cp1250)"),
    "cp1253": _("Greek (cp1253)"),
    "cp1254": _("Turkish (cp1254)"),
    "cp1255": _("Hebrew (cp1255)"),
    "cp1256": _("Arabic (cp1256)"),
    "cp1257": _("Baltic (cp1257)"),
    "cp1258": _("Vietnamese (cp1258)"),
    "cp874": _("Thai (cp874)"),
}
ENCODINGS = [
    ("", _("UTF-8, or by its byte order mark")),
    *ENCODING_LABELS.items(),
    *((name, name) for name in sorted(KNOWN - ENCODING_LABELS.keys())),
]
DELIMITERS = [
    *(("", _("Automatic")), (",", _("Comma")), (";", _("Semicolon")), ("tab", _("Tab")), ("|", _("Bar"))),
    *((mark, mark) for mark in "^:~"),
]
QUOTING = [
    ("", _("Automatic")),
    ("yes", _("Cells may be in quotation marks")),
    ("no", _("Quotation marks are text")),
]


class UploadForm(forms.Form):
    file = forms.FileField(
        label=_("File"),
        widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.tab,.jsonl,.ndjson,.json,.parquet"}),
        help_text=_(
            "CSV, TSV, JSONL, JSON or Parquet, in UTF-8 or UTF-16. You see its first rows before anything is added."
        ),
    )

    def limit_text(self) -> str:
        return f"{settings.UPLOAD_LIMIT_BYTES // 1024**2:,} MB"


class ReadForm(forms.Form):
    """How a text file is read."""

    encoding = forms.ChoiceField(choices=ENCODINGS, required=False, label=_("Encoding"))
    delimiter = forms.ChoiceField(choices=DELIMITERS, required=False, label=_("Cells are separated by"))
    quoted = forms.ChoiceField(choices=QUOTING, required=False, label=_("Quotation marks"))

    @classmethod
    def of(cls, options: dict[str, Any]) -> "ReadForm":
        read_options = ReadOptions(**options)
        quoted = {None: "", True: "yes", False: "no"}[read_options.quoted]
        return cls(initial={"encoding": read_options.encoding, "delimiter": read_options.delimiter, "quoted": quoted})

    def options(self) -> ReadOptions:
        cleaned = self.cleaned_data
        quoted = {"": None, "yes": True, "no": False}[cleaned["quoted"]]
        return ReadOptions(encoding=cleaned["encoding"], delimiter=cleaned["delimiter"], quoted=quoted)


class ColumnsForm(forms.Form):
    """What each column of an upload means: `meaning-<n>` and, for a candidate, `origin-<n>`."""

    keep_good = forms.BooleanField(
        required=False,
        label=_("Import the valid rows if some are faulty"),
        help_text=_("Otherwise a single faulty row rejects the file. You can download the rows left out."),
    )
    choices: ClassVar[list[Any]] = MEANINGS

    def __init__(
        self,
        *args: Any,
        columns: list[str],
        mapping: Mapping,
        samples: dict[str, tuple[int, str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.columns, self.is_own = columns, mapping.is_own
        self.samples = samples or {}
        column_meanings, origins = meanings(mapping), dict(mapping.candidates)
        for number, column in enumerate(columns):
            name = column or _("column %(number)s") % {"number": number + 1}
            self.fields[f"meaning-{number}"] = forms.ChoiceField(
                choices=self.choices,
                required=False,
                initial=column_meanings.get(column, ""),
                label=_("Meaning of %(name)s") % {"name": name},
            )
            self.fields[f"origin-{number}"] = forms.CharField(
                required=False,
                max_length=180,
                label=_("Origin of %(name)s") % {"name": name},
                initial=origins.get(column, f"import:{column}").removeprefix("import:"),
            )

    def heads(self) -> list[dict[str, Any]]:
        """For the table's head: a column with its two fields."""
        return [
            {
                "name": column,
                "meaning": self[f"meaning-{n}"],
                "origin": self[f"origin-{n}"],
                "sample": self.samples.get(column),
            }
            for n, column in enumerate(self.columns)
        ]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        fields: dict[str, Any] = {}
        metadata: dict[str, str] = {}
        candidates: list[tuple[str, str]] = []
        for number, column in enumerate(self.columns):
            meaning = cleaned.get(f"meaning-{number}", "")
            if not meaning or not column:
                continue
            if meaning == "candidate":
                try:
                    candidates.append((column, file_origin(cleaned.get(f"origin-{number}") or column)))
                except MappingError as error:
                    self.add_error(f"origin-{number}", str(error))
            elif meaning == "metadata":
                prefix, dot, key = column.partition(".")
                metadata[key if dot and prefix.lower() in ("meta", "metadata") and key else column] = column
            elif meaning in fields:
                self.add_error(
                    f"meaning-{number}",
                    _("%(column)s has this meaning already; change one of them") % {"column": repr(fields[meaning])},
                )
            else:
                fields[meaning] = column
        cleaned["mapping"] = Mapping(**fields, metadata=metadata, candidates=tuple(candidates), is_own=self.is_own)
        return cleaned


def meanings(mapping: Mapping) -> dict[str, str]:
    """Column → its meaning in MEANINGS."""
    column_meanings = dict.fromkeys(mapping.metadata.values(), "metadata")
    column_meanings |= {column: "candidate" for column, _ in mapping.candidates}
    single = [name for name, _ in MEANINGS if name and name not in ("candidate", "metadata")]
    return column_meanings | {getattr(mapping, name): name for name in single if getattr(mapping, name)}


class FreezeForm(forms.Form):
    """What `freeze_dataset` needs, in a manager's words."""

    purpose = forms.ChoiceField(
        choices=DatasetVersion.Purpose.choices, label=_("For"), widget=forms.RadioSelect, initial="dpo"
    )
    format = forms.ChoiceField(choices=DatasetVersion.Format.choices, initial="conversational", label=_("Format"))
    batches = forms.MultipleChoiceField(
        required=False,
        label=_("Batches"),
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Leave empty for all."),
    )
    kinds = forms.MultipleChoiceField(
        label=_("Kinds"),
        choices=Kind.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Leave empty for all kinds."),
    )
    chosen_as_sft = forms.BooleanField(
        required=False,
        label=_("SFT: texts that most annotators put first count as good"),
        help_text=_("More than half of those who judged the text. The best of a few is not yet a model answer."),
    )
    keep_ties = forms.BooleanField(
        required=False, label=_("DPO: keep pairs that are evenly split"), help_text=_("They get the probability 0.5.")
    )
    split_pairs = forms.BooleanField(
        required=False,
        label=_("KTO: take pairs apart"),
        help_text=_("The chosen text counts as desirable, the rejected one as undesirable."),
    )
    score_difference = forms.FloatField(
        min_value=0.01,
        max_value=1,
        label=_("Scores make a pair from this difference up"),
        help_text=_("As a share of the scale, weighted over the aspects."),
    )
    score_good = forms.FloatField(min_value=0, max_value=1, label=_("A score is good from"))
    score_bad = forms.FloatField(min_value=0, max_value=1, label=_("A score is bad up to"))

    min_agreement = forms.FloatField(
        min_value=0.01,
        max_value=1,
        required=False,
        label=_("Minimum agreement"),
        help_text=_(
            "Rows of two or more annotators are left out unless this share of them is for the row's side, ties not "
            "counted: 0.67 takes two of three. Rows of one annotator are kept."
        ),
    )
    labels = forms.ChoiceField(
        choices=[
            (VOTES, _("Share of the votes")),
            (POSTERIOR, _("Posterior of a model of who errs how")),
            (CALIBRATED, _("Posterior, calibrated on gold")),
        ],
        initial=VOTES,
        required=False,
        label=_("DPO: a row's probability is"),
        help_text=_("A posterior that is not calibrated is surer than it is right. Calibration needs 50 gold items."),
    )
    without_simulated = forms.BooleanField(
        required=False, label=_("Leave out simulated annotators"), help_text=_("Programs that answer like people.")
    )
    without_people = forms.MultipleChoiceField(
        required=False, label=_("Leave out people"), widget=forms.CheckboxSelectMultiple
    )
    without_answers = forms.CharField(
        required=False,
        label=_("Leave out answers"),
        help_text=_("Their numbers, separated by commas; a batch's page shows them."),
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["without_people"].choices = [  # type: ignore[attr-defined]
            (str(user.pk), str(user)) for user in answered_in(project)
        ]
        rows = Batch.objects.filter(project=project).order_by("-id").values_list("pk", "name", "kind")
        self.fields["batches"].choices = [  # type: ignore[attr-defined]
            (str(pk), f"{name} ({Kind(kind).label.lower()})") for pk, name, kind in rows
        ]
        defaults = ExportOptions()
        for name in ("score_difference", "score_good", "score_bad"):
            self.fields[name].initial = getattr(defaults, name)
            self.fields[name].widget.attrs["step"] = "0.01"
        self.fields["min_agreement"].widget.attrs["step"] = "0.01"

    def clean_labels(self) -> str:
        return self.cleaned_data["labels"] or VOTES

    def clean_without_answers(self) -> tuple[int, ...]:
        numbers = [whole_number(part) for part in parse_comma_list(self.cleaned_data["without_answers"])]
        if None in numbers:
            raise forms.ValidationError(_("Give numbers of answers, separated by commas."))
        return tuple(sorted({number for number in numbers if number is not None}))

    def values(self) -> dict[str, Any]:
        """The keyword arguments of `freeze_dataset` beside project and actor.

        Raises InvalidInput for options that contradict each other.
        """
        cleaned = self.cleaned_data
        return {
            "purpose": cleaned["purpose"],
            "format": cleaned["format"],
            "batches": [int(key) for key in cleaned["batches"]] or None,
            "kinds": cleaned["kinds"] or None,
            "options": ExportOptions(**{option.name: cleaned[option.name] for option in fields(ExportOptions)}),
            "without": Without(
                people=tuple(sorted(map(int, cleaned["without_people"]))),
                answers=cleaned["without_answers"],
                simulated=cleaned["without_simulated"],
            ),
        }
