"""Which prompts a batch asks about, decided alike for the page and the command."""

from dataclasses import dataclass

from django.db.models import CharField, Exists, F, OuterRef, QuerySet, Value
from django.db.models.functions import MD5, Cast, Concat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.core.checks import is_check
from annotation.core.errors import InvalidInput
from annotation.core.exclusions import usable_prompts
from annotation.models import Batch, Prompt, Task
from annotation.queue.arms import RANDOM, RANDOM_SHARE

WITHOUT_KIND, FRESH, ALL = "without", "fresh", "all"
WHICH = {
    WITHOUT_KIND: gettext_lazy("Those without a task of this kind yet"),
    FRESH: gettext_lazy("Those without a task in any batch"),
    ALL: gettext_lazy("All prompts of the project"),
}
TRAINING, HELD_OUT = "train", "held-out"
SIDES = {
    "": gettext_lazy("For training and held out"),
    TRAINING: gettext_lazy("For training"),
    HELD_OUT: gettext_lazy("Held out"),
}


@dataclass(frozen=True, kw_only=True)
class PromptSelection:
    """`which` is a key of WHICH, `side` one of SIDES; with `limit`, a random sample by the batch's seed, or what
    `select` says (a key of `queue.arms.SELECT`), with `random_share` of them drawn at random all the same."""

    which: str = WITHOUT_KIND
    side: str = ""
    limit: int | None = None
    select: str = RANDOM
    random_share: float = RANDOM_SHARE

    def prompts_for(self, batch: Batch) -> QuerySet[Prompt]:
        """Withdrawn prompts are never chosen. All of them, where `arms.select_tasks` keeps some of what they yield.
        Raises InvalidInput for a limit below 1."""
        if self.limit is not None and self.limit < 1:
            raise InvalidInput(_("At least one prompt."), [("limit", _("at least 1"))])
        rows = usable_prompts(batch.project)
        if self.side:
            rows = rows.filter(held_out=self.side == HELD_OUT)
        if self.which != ALL:
            tasks = Task.objects.filter(prompt=OuterRef("pk")).exclude(is_check("pk"))
            rows = rows.filter(~Exists(tasks.filter(batch__kind=batch.kind) if self.which == WITHOUT_KIND else tasks))
        if self.limit is not None and self.select == RANDOM:
            drawn = MD5(Concat(Value(f"{batch.seed}:prompt:"), Cast(F("pk"), CharField())))
            rows = rows.order_by(drawn, "pk")[: self.limit]
        return rows
