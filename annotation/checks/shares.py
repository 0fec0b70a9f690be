"""How many tasks of a batch check people, and putting them in. One transaction puts in all of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from math import ceil
from random import Random
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.checks.gold import CHECKABLE, usable_gold
from annotation.checks.twins import new_twins
from annotation.core.checks import is_check, made_checks
from annotation.core.errors import InvalidInput
from annotation.core.events import record
from annotation.core.locks import Lock, key_of
from annotation.models import Batch, Gold, Task, TaskCheck, User
from annotation.queue.batches import open_batch
from annotation.queue.check_claims import REPEAT_AFTER
from annotation.queue.check_tasks import NewCheck, Place, append_practice, fill_places, lock_places

HIGHEST_SHARE, MOST_PRACTICE = 30, 50
What = TaskCheck.What


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Of a batch, in percent of its tasks: gold, repeats, twins; `tutorial` is the number of practice items."""

    gold: int = 0
    repeats: int = 0
    twins: int = 0
    tutorial: int = 0

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    def checked(self, kind: str) -> "Shares":
        """Raises InvalidInput by field."""
        problems: list[tuple[str, str]] = []
        for one in fields(self):
            value, most = getattr(self, one.name), MOST_PRACTICE if one.name == "tutorial" else HIGHEST_SHARE
            if not 0 <= value <= most:
                problems.append((one.name, _("From %(least)d to %(most)d.") % {"least": 0, "most": most}))
            elif value and one.name != "repeats" and kind not in CHECKABLE:
                problems.append((one.name, _("Only scoring and choosing can be checked.")))
        if problems:
            raise InvalidInput("; ".join(dict.fromkeys(message for _name, message in problems)), problems)
        return self


@dataclass(frozen=True)
class Amounts:
    """How many checks of each kind a batch is to get, and how many it can get now. `twins` are known once they are
    made: not every text can be damaged by rule."""

    wanted: dict[str, int] = field(default_factory=dict)
    possible: dict[str, int] = field(default_factory=dict)

    def sentences(self) -> list[str]:
        """What the batch gets, for the preview; a line for what there is too little of."""
        lines = []
        for what, count in self.wanted.items():
            if not count:
                continue
            possible = self.possible[what]
            lines.append(COUNTED[what](possible))
            if possible < count:
                values = {"wanted": f"{count:,}", "possible": f"{possible:,}"}
                lines.append(SHORT[what]() % values)
        return lines


COUNTED: dict[str, Callable[[int], str]] = {
    What.GOLD: lambda n: ngettext("%(n)s hidden gold task.", "%(n)s hidden gold tasks.", n) % {"n": f"{n:,}"},
    What.REPEAT: lambda n: ngettext("%(n)s repeated task.", "%(n)s repeated tasks.", n) % {"n": f"{n:,}"},
    What.TWIN: lambda n: ngettext("%(n)s damaged twin.", "%(n)s damaged twins.", n) % {"n": f"{n:,}"},
    What.TUTORIAL: lambda n: (
        ngettext("%(n)s practice item for each person.", "%(n)s practice items for each person.", n) % {"n": f"{n:,}"}
    ),
}
SHORT: dict[str, Callable[[], str]] = {
    What.GOLD: lambda: _("Gold: %(possible)s of the %(wanted)s wanted. Add more on the page “Gold and checks”."),
    What.REPEAT: lambda: _("Repeats: %(possible)s of the %(wanted)s wanted. The batch has too few tasks."),
    What.TWIN: lambda: _("Damaged twins: %(possible)s of the %(wanted)s wanted."),
    What.TUTORIAL: lambda: _(
        "Practice items: %(possible)s of the %(wanted)s wanted. Add gold with an explanation on the page “Gold and "
        "checks”."
    ),
}


def check_sentences(counts: Mapping[str, int]) -> list[str]:
    """What so many checks are, in words."""
    return [COUNTED[what](counts[what]) for what in COUNTED if counts.get(what)]


def open_checked_batch(
    *, shares: Shares, actor: User | None, report: Callable[[Amounts], None] = lambda _amounts: None, **options: Any
) -> Batch:
    """`open_batch` with checks put in by the same transaction; `report` gets how many. Raises what that raises, and
    InvalidInput."""
    shares.checked(options["kind"])
    with transaction.atomic():
        batch = open_batch(actor=actor, **options)
        if shares and not batch.checks:
            report(set_checks(batch=batch, shares=shares, actor=actor))
    return batch


def amounts_for(batch: Batch, shares: Shares) -> Amounts:
    """Of a batch without a row yet, as a preview has it. Raises InvalidInput."""
    project, kind, alternatives = batch.project, batch.kind, batch.alternatives
    tasks = int(batch.selection["tasks"])
    shares.checked(kind)
    wanted = wanted_of(shares, tasks)
    explained = wanted[What.TUTORIAL] and usable_gold(project, kind, alternatives).exclude(explanation="").count()
    tutorial = min(wanted[What.TUTORIAL], explained)
    usable = wanted[What.GOLD] and usable_gold(project, kind, alternatives).count() - tutorial
    possible = {
        What.GOLD: min(wanted[What.GOLD], max(usable, 0)),
        What.REPEAT: min(wanted[What.REPEAT], max(tasks - REPEAT_AFTER, 0)),
        What.TWIN: wanted[What.TWIN],
        What.TUTORIAL: tutorial,
    }
    return Amounts(wanted, {what.value: count for what, count in possible.items()})


def wanted_of(shares: Shares, tasks: int) -> dict[str, int]:
    return {
        What.GOLD.value: ceil(tasks * shares.gold / 100),
        What.REPEAT.value: ceil(tasks * shares.repeats / 100),
        What.TWIN.value: ceil(tasks * shares.twins / 100),
        What.TUTORIAL.value: shares.tutorial,
    }


def set_checks(*, batch: Batch, shares: Shares, actor: User | None) -> Amounts:
    """Put checks into the batch until it has these shares; returns how many were put in of those that were missing. A
    share that is lowered removes none. Raises InvalidInput by field."""
    shares.checked(batch.kind)
    with transaction.atomic():
        row = Batch.objects.select_for_update(no_key=True).select_related("project").get(pk=batch.pk)
        with connection.cursor() as cursor:  # no prompt of the project is withdrawn or restored meanwhile
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", [Lock.TASKS, key_of(row.project_id)])
        present = made_checks(row)
        tasks = Task.objects.filter(batch=row).exclude(is_check("pk")).count()
        missing = {what: max(count - present[what], 0) for what, count in wanted_of(shares, tasks).items()}
        made = put_in(row, missing)
        before, row.checks = row.checks, asdict(shares)
        if before == row.checks and not any(made.values()):
            return Amounts(missing, made)
        row.save(update_fields=["checks"])
        batch.checks = row.checks
        after = {**row.checks, "added": made}
        record(verb="batch.checks", target=row, actor=actor, project=row.project, before=before, after=after)
    return Amounts(missing, made)


def put_in(batch: Batch, missing: dict[str, int]) -> dict[str, int]:
    """How many of each were put in."""
    used = set(TaskCheck.objects.filter(batch=batch, gold__isnull=False).values_list("gold__prompt", flat=True))
    practice = list(take_gold(batch, missing[What.TUTORIAL], used, explained=True))
    append_practice(batch, [check_of_gold(gold, What.TUTORIAL) for gold in practice])
    used |= {gold.prompt_id for gold in practice}
    checks = [check_of_gold(gold, What.GOLD) for gold in take_gold(batch, missing[What.GOLD], used)]
    checks += new_twins(batch, missing[What.TWIN])
    draw = Random(f"{batch.seed}:{sum(missing.values())}")
    repeats = repeats_of(batch, missing[What.REPEAT], draw)
    taken = {place for place, _check in repeats}
    free = [place for place in lock_places(batch, len(checks) + len(taken)) if place not in taken]
    draw.shuffle(free)
    filled = [*zip(free, checks, strict=False), *repeats]
    fill_places(batch, filled)
    made = {what.value: 0 for what in What} | {What.TUTORIAL.value: len(practice)}
    for _place, check in filled:
        made[check.what] += 1
    return made


def check_of_gold(gold: Gold, what: str) -> NewCheck:
    return NewCheck(what=what, prompt=gold.prompt_id, candidate_ids=gold.candidate_ids, gold=gold.pk)


def take_gold(batch: Batch, count: int, used: Iterable[int], *, explained: bool = False) -> list[Gold]:
    """Gold for the batch, what was used least first. Its prompts are not in the batch otherwise."""
    if not count:
        return []
    in_batch = Task.objects.filter(batch=batch, prompt=OuterRef("prompt")).exclude(is_check("pk"))
    rows = usable_gold(batch.project, batch.kind, batch.alternatives)
    rows = rows.filter(~Exists(in_batch)).exclude(prompt__in=list(used)).annotate(times=Count("uses"))
    if explained:
        rows = rows.exclude(explanation="")
    taken: dict[int, Gold] = {}
    for gold in sorted(rows, key=lambda gold: (gold.times, Random(f"{batch.seed}:{gold.pk}").random())):
        taken.setdefault(gold.prompt_id, gold)
    return list(taken.values())[:count]


def repeats_of(batch: Batch, count: int, draw: Random) -> list[tuple[Place, NewCheck]]:
    """Repeats in random places of the queue, each of a task well before its place."""
    if not count:
        return []
    places = lock_places(batch, count, after=2 * REPEAT_AFTER) or lock_places(batch, count, after=REPEAT_AFTER + 1)
    taken = {place.task for place in places}
    known = TaskCheck.objects.filter(of_task=OuterRef("pk"))
    rows = Task.objects.filter(batch=batch).exclude(is_check("pk")).exclude(Exists(known))
    tasks = [task for task in rows.order_by("position") if task.pk not in taken]
    draw.shuffle(tasks)
    made: list[tuple[Place, NewCheck]] = []
    for place in places:
        earlier = next((task for task in tasks if task.position < place.position - REPEAT_AFTER), None)
        if earlier is None:
            continue
        tasks.remove(earlier)
        check = NewCheck(
            what=What.REPEAT, prompt=earlier.prompt_id, candidate_ids=earlier.candidate_ids, of_task=earlier.pk
        )
        made.append((place, check))
    return made
