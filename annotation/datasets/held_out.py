"""What must not be trained on: held-out prompts, and whatever reads like one."""

from dataclasses import dataclass, field

from django.db import connection
from django.utils.translation import gettext as _

from annotation.core.errors import DomainError
from annotation.datasets.rows import LabelledPrompt
from annotation.models import Project, Prompt
from annotation.text.normalization import normal_form


class Leak(DomainError):
    """A training row shares its prompt, its text or its source document with a held-out prompt."""


READS_LIKE_HELD_OUT = """
    SELECT p.id FROM annotation_prompt p
    WHERE p.project_id = %(project)s AND NOT p.held_out AND p.reads_as <> '' AND p.reads_as IN (
        SELECT reads_as FROM annotation_prompt WHERE project_id = %(project)s AND held_out AND reads_as <> '')
"""


@dataclass
class HeldOutPrompts:
    """The project's held-out prompts: no training row may share a prompt, text or document with one."""

    ids: set[int] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)
    documents: set[str] = field(default_factory=set)
    document_names: set[str] = field(default_factory=set)  # in their normal form
    alike: set[int] = field(default_factory=set)  # prompts for training whose text reads like a held-out one's

    @classmethod
    def of(cls, project: Project) -> "HeldOutPrompts":
        barred = cls()
        prompts = Prompt.objects.filter(project=project, held_out=True)
        for pk, digest, document in prompts.values_list("pk", "digest", "source_document").iterator(5000):
            barred.ids.add(pk)
            barred.digests.add(digest)
            if document:
                barred.documents.add(document)
        barred.document_names = {normal_form(document) for document in barred.documents}
        with connection.cursor() as cursor:
            cursor.execute(READS_LIKE_HELD_OUT, {"project": project.pk})
            barred.alike = {pk for (pk,) in cursor.fetchall()}
        return barred

    def reads_like(self, prompt: LabelledPrompt) -> str | None:
        """Why rows for training are left out, or None. One text may occur in documents of both sides."""
        if prompt.prompt_id in self.alike or prompt.digest in self.digests:
            return "rows whose prompt reads the same as a held-out one"
        if prompt.source_document and normal_form(prompt.source_document) in self.document_names:
            return "rows whose document reads the same as a held-out one"
        return None

    def check(self, prompt: LabelledPrompt) -> None:
        """Raise Leak if a training row of this prompt would reveal a held-out one."""
        if prompt.prompt_id in self.ids:
            shared = _("it is held out itself")
        elif prompt.source_document in self.documents:
            document = {"document": repr(prompt.source_document)}
            shared = _("it shares the source document %(document)s with a held-out prompt") % document
        else:
            return
        raise Leak(
            _(
                "prompt %(prompt_id)s would be trained on, but %(shared)s. Nothing was frozen. A "
                "document is wholly held out or wholly not: correct `held_out` of its prompts, or leave its "
                "batch out"
            )
            % {"prompt_id": prompt.prompt_id, "shared": shared}
        )
