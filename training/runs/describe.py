"""What people call a run, and why they started it. Neither changes what it trains."""

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.core.errors import InvalidInput
from annotation.core.events import record
from annotation.models import User
from training.models import Run
from training.models.run import NAME_LENGTH, NOTE_LENGTH

LENGTHS = {"name": NAME_LENGTH, "note": NOTE_LENGTH}


def clean_description(*, name: str, note: str) -> dict[str, str]:
    """Both on one line, without blanks around them. Raises InvalidInput where one is too long."""
    cleaned = {"name": " ".join(name.split()), "note": " ".join(note.split())}
    for field, text in cleaned.items():
        if len(text) > LENGTHS[field]:
            sentence = ngettext(
                "at most %(limit)s character, got %(length)s", "at most %(limit)s characters, got %(length)s", len(text)
            ) % {"limit": LENGTHS[field], "length": len(text)}
            label = _("name") if field == "name" else _("note")
            raise InvalidInput(f"{label}: {sentence}", [(field, sentence)])
    return cleaned


@transaction.atomic
def describe_run(*, run: Run, actor: User | None, name: str, note: str) -> bool:
    """Change a run's name and note at any time; whether anything changed. Raises InvalidInput as above."""
    cleaned = clean_description(name=name, note=note)
    run = Run.objects.select_for_update().get(pk=run.pk)
    before = {"name": run.name, "note": run.note}
    if cleaned == before:
        return False
    run.name, run.note = cleaned["name"], cleaned["note"]
    run.save(update_fields=["name", "note"])
    record(verb="run.described", target=run, actor=actor, project=run.project, before=before, after=cleaned)
    return True
