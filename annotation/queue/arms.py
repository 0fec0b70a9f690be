"""Which tasks next: of the tasks that could be dealt, those that are most uncertain to a checkpoint, or least alike.

A share is always drawn at random (the *random arm*), so that the selection can be compared with chance: nothing here is
known to be better for a model. Which prompt was selected how is recorded task by task (`TaskArm`).
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import connection
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from annotation.core.errors import InvalidInput
from annotation.models import Batch, PairMargin, Prompt, TaskArm
from annotation.queue.diversity import farthest_first, vectors

RANDOM, UNCERTAIN, DIVERSE = TaskArm.Arm.RANDOM.value, TaskArm.Arm.UNCERTAIN.value, TaskArm.Arm.DIVERSE.value
MIX = "mix"
SELECT: Mapping[str, str | Promise] = {
    RANDOM: gettext_lazy("Random"),
    UNCERTAIN: gettext_lazy("Most uncertain to the checkpoint"),
    DIVERSE: gettext_lazy("Most diverse"),
    MIX: gettext_lazy("Half uncertain, half diverse"),
}
RANDOM_SHARE = 0.2
MOST_SELECTED = 2_000  # prompts of one batch, where they are not all drawn at random
MOST_COMPARED = 4_000  # prompts whose texts are compared with each other; of more, a random sample
COMPUTE_MARGINS = "manage.py compute_margins"
# The smallest margin of any two texts that a task of the prompt shows, or of any two of the prompt where it shows one.
UNCERTAINTY = """
    SELECT made.prompt_id, min(abs(margin.margin)) FROM made
        JOIN annotation_pairmargin margin ON margin.prompt_id = made.prompt_id
            AND (cardinality(made.candidate_ids) < 2
                OR margin.one = ANY(made.candidate_ids) AND margin.other = ANY(made.candidate_ids))
    GROUP BY made.prompt_id
"""


def select_tasks(batch: Batch, *, how: str, limit: int | None, random_share: float) -> dict[str, Any]:
    """Keep `limit` prompts of the temporary table `made`, with their tasks, and set `batch.arms`; returns
    `Batch.selection["select"]`: how, the seed, the share that is random, how many prompts there were, of how many the
    texts were compared, the prompts of each arm, whose margins they are, and how many prompts were drawn at random
    because too few others had a margin.

    Raises InvalidInput by field, also where no margins are stored.
    """
    check(how, limit, random_share)
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT prompt_id FROM made")
        pool = sorted((prompt for (prompt,) in cursor.fetchall()), key=lambda prompt: drawn(batch.seed, prompt))
    count = min(limit or 0, len(pool))
    arms = dict.fromkeys(pool[: random_count(count, random_share)], RANDOM)
    left = count - len(arms)
    facts: dict[str, Any] = {"how": how, "seed": batch.seed, "random_share": random_share, "pool": len(pool)}
    if how in (UNCERTAIN, MIX):
        margins, facts["origin"] = margins_of(batch)
        certain_first = sorted((p for p in pool if p in margins and p not in arms), key=lambda p: margins[p])
        arms |= dict.fromkeys(certain_first[: left if how == UNCERTAIN else (left + 1) // 2], UNCERTAIN)
    if how in (DIVERSE, MIX):
        compared = [*arms, *(prompt for prompt in pool if prompt not in arms)][:MOST_COMPARED]
        facts["compared"] = len(compared)
        arms |= dict.fromkeys(most_diverse(compared, len(arms), count - len(arms)), DIVERSE)
    if missing := count - len(arms):
        facts["filled"] = missing
        arms |= dict.fromkeys([prompt for prompt in pool if prompt not in arms][:missing], RANDOM)
    keep(pool, arms)
    batch.arms = arms
    counts = Counter(arms.values())
    return facts | {"arms": {arm: counts[arm] for arm in TaskArm.Arm.values if counts[arm]}}


def check(how: str, limit: int | None, random_share: float) -> None:
    if how not in SELECT:
        values = {"how": how[:40], "known": ", ".join(SELECT)}
        raise InvalidInput(
            _("Unknown selection “%(how)s”. It is one of %(known)s.") % values, [("select", _("Unknown"))]
        )
    if not 0 < random_share <= 1:
        message = _("A random share is always kept: more than 0, at most 1.")
        raise InvalidInput(message, [("random_share", message)])
    if limit is None or not 1 <= limit <= MOST_SELECTED:
        message = _("Say how many prompts to select: 1 to %(most)s.") % {"most": f"{MOST_SELECTED:,}"}
        raise InvalidInput(message, [("limit", message)])


def random_count(count: int, random_share: float) -> int:
    """How many of so many prompts are drawn at random: at least one."""
    return min(count, max(1, round(count * random_share)))


def drawn(seed: int, prompt: int) -> tuple[bytes, int]:
    """Sorts prompts at random by the seed, as the limit of a random batch does."""
    return hashlib.md5(f"{seed}:prompt:{prompt}".encode(), usedforsecurity=False).digest(), prompt


def margins_of(batch: Batch) -> tuple[dict[int, float], str]:
    """The uncertainty of each prompt of `made` that has a margin, and whose margins they are. Raises InvalidInput."""
    newest = PairMargin.objects.filter(project=batch.project).order_by("-computed_at").first()
    command = f"{COMPUTE_MARGINS} {batch.project.slug}"
    if newest is None:
        message = _(
            "No checkpoint's margins are stored, so nothing says what it is uncertain of. Compute them: %(command)s"
        ) % {"command": command}
        raise InvalidInput(message, [("select", message)])
    with connection.cursor() as cursor:
        cursor.execute(UNCERTAINTY)
        margins = dict(cursor.fetchall())
    if not margins:
        message = _(
            "None of these prompts has a margin of %(origin)s between its texts. Compute them again: %(command)s"
        ) % {"origin": newest.origin, "command": command}
        raise InvalidInput(message, [("select", message)])
    return margins, newest.origin


def most_diverse(prompts: Sequence[int], taken: int, count: int) -> list[int]:
    """`count` of these prompts, the first `taken` of which are selected already."""
    texts = dict(Prompt.objects.filter(pk__in=prompts).values_list("pk", "text"))
    rows = vectors([texts[prompt] for prompt in prompts])
    return [prompts[place] for place in farthest_first(rows, count, range(min(taken, len(prompts))))]


def keep(pool: Collection[int], arms: Mapping[int, str]) -> None:
    """Forget the other prompts, which are not left out but not selected."""
    others = [prompt for prompt in pool if prompt not in arms]
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM made WHERE prompt_id = ANY(%s)", [others])
        cursor.execute("DELETE FROM chosen WHERE id = ANY(%s)", [others])


def insert_arms(batch: Batch) -> None:
    """Record how each task of the batch was selected, once the tasks are there."""
    if not batch.arms:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO annotation_taskarm (task_id, batch_id, arm)
            SELECT t.id, t.batch_id, selected.arm FROM annotation_task t
                JOIN unnest(%s::bigint[], %s::text[]) AS selected (prompt, arm) ON selected.prompt = t.prompt_id
            WHERE t.batch_id = %s""",
            [list(batch.arms), list(batch.arms.values()), batch.pk],
        )


def selection_sentences(selection: Mapping[str, Any]) -> list[str]:
    """How the tasks of a batch were selected; nothing where all were drawn at random."""
    facts = selection.get("select")
    if not facts:
        return []
    texts = {
        RANDOM: _("%(n)s at random"),
        UNCERTAIN: _("%(n)s most uncertain to %(origin)s"),
        DIVERSE: _("%(n)s most diverse"),
    }
    values = {"origin": facts.get("origin", "")}
    parts = [texts[arm] % {**values, "n": f"{count:,}"} for arm, count in facts["arms"].items()]
    sentences = [
        _("Selected from %(pool)s prompts: %(parts)s.") % {"pool": f"{facts['pool']:,}", "parts": ", ".join(parts)}
    ]
    if filled := facts.get("filled"):
        sentence = ngettext(
            "%(count)s of the random prompts was drawn because too few others have a margin.",
            "%(count)s of the random prompts were drawn because too few others have a margin.",
            filled,
        )
        sentences.append(sentence % {"count": f"{filled:,}"})
    if facts.get("compared", facts["pool"]) < facts["pool"]:
        sentence = _("The texts of %(count)s of them, a random sample, were compared with each other.")
        sentences.append(sentence % {"count": f"{facts['compared']:,}"})
    return sentences
