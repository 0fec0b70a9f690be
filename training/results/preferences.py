"""Which of two models people preferred: counts, the share of decided comparisons and its interval."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.db.models import Count, Max, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.core import exclusions, reviews
from annotation.kinds import KINDS
from annotation.models import Annotation, Candidate
from annotation.models.typology import label
from annotation.text.formatting import percentage
from training.contract.statistics import share_interval
from training.models import Checkpoint
from training.results.generations import origin_of_base

AT_ONCE = 2_000
WIN_RATE = "win_rate"
COUNTS = ("wins", "losses", "ties", "both_bad", "decided", "people")
# What rules can name.
FIGURES = (*COUNTS, WIN_RATE, "win_rate_low", "win_rate_high")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How people judged one model's texts against another's.

    wins, losses, ties: comparisons of two texts; a ranking of n makes up to n(n-1)/2. both_bad: answers that prefer
    none. units: (wins, losses) of each prompt. reasons: what was ticked beside a win and beside a loss.
    """

    wins: int = 0
    losses: int = 0
    ties: int = 0
    both_bad: int = 0
    people: int = 0
    units: tuple[tuple[int, int], ...] = ()
    reasons: Counter[str] = field(default_factory=Counter)
    reasons_against: Counter[str] = field(default_factory=Counter)

    @property
    def decided(self) -> int:
        return self.wins + self.losses

    @property
    def win_rate(self) -> float | None:
        """Wins as a share of the decided comparisons; None without one."""
        return self.wins / self.decided if self.decided else None

    @property
    def interval(self) -> tuple[float, float] | None:
        return interval(self.units)

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out an even split."""
        bounds = self.interval
        return bounds is not None and not bounds[0] <= 0.5 <= bounds[1]

    def figures(self) -> dict[str, float]:
        """By the names that rules use."""
        figures: dict[str, float] = {name: getattr(self, name) for name in COUNTS}
        if self.win_rate is not None and self.interval is not None:
            figures |= {WIN_RATE: self.win_rate, "win_rate_low": self.interval[0], "win_rate_high": self.interval[1]}
        return figures


def interval(units: Iterable[tuple[int, int]]) -> tuple[float, float] | None:
    """95 % interval of a share of wins whose comparisons come in clusters: several people judge one prompt.

    Wilson's score interval, which holds at 0 and 1 and for few comparisons, with the number of comparisons divided by
    the design effect that the prompts show (Korn and Graubard, Survey Methodology 24, 1998), at least 1. None without a
    decided comparison.
    """
    counts = [(wins, wins + losses) for wins, losses in units if wins + losses]
    total = sum(size for _wins, size in counts)
    if not total:
        return None
    share = sum(wins for wins, _size in counts) / total
    effective = float(total)
    if len(counts) > 1 and 0 < share < 1:
        spread = sum((wins - share * size) ** 2 for wins, size in counts) * len(counts) / (len(counts) - 1)
        effective = total / max(1.0, spread / (share * (1 - share) * total))
    return share_interval(share, effective)


def opponent_of(checkpoint: Checkpoint) -> str:
    """The origin of the texts that a checkpoint is compared with: its parent's, or its base model's."""
    if checkpoint.parent is not None:
        return checkpoint.parent.origin
    return origin_of_base(checkpoint.base_model)


def outcome_of(checkpoint: Checkpoint, batches: Iterable[int] | None = None) -> Outcome:
    """The checkpoint's texts against its parent's, in the current answers of these batches (None: of all), without
    those that are excluded or do not count before their review.

    Annotators are counted once, prompts are the units of the interval. Answers are read in chunks, and again only when
    there are new ones: a page that asks every few seconds reads them once.
    """
    chosen = None if batches is None else tuple(sorted(batches))
    state = _answers(checkpoint, chosen).aggregate(Count("pk"), Max("pk"))
    project = checkpoint.project
    return counted(checkpoint, chosen, (*state.values(), *exclusions.state_of(project), *reviews.state_of(project)))


def comparing(answers: QuerySet[Annotation]) -> QuerySet[Annotation]:
    """Of these those in effect that compare texts."""
    kinds = [name for name, kind in KINDS.items() if kind.compares]
    return answers.filter(is_current=True, assignment__state="done", kind__in=kinds)


def _answers(checkpoint: Checkpoint, batches: tuple[int, ...] | None) -> QuerySet[Annotation]:
    answers = comparing(Annotation.objects.filter(task__batch__project=checkpoint.project))
    return answers if batches is None else answers.filter(task__batch__in=batches)


@lru_cache(maxsize=256)
def counted(checkpoint: Checkpoint, batches: tuple[int, ...] | None, state: tuple[Any, ...]) -> Outcome:
    """`outcome_of`, for callers that know the state of the answers: how many there are, and the newest (they never
    change, a correction is a new one), how many exclusions were made and lifted, and the newest review."""
    answers = _answers(checkpoint, batches).exclude(exclusions.is_excluded(project="task__batch__project"))
    answers = answers.exclude(reviews.is_pending()).annotate(counted=reviews.counted_payload())
    candidates = Candidate.objects.filter(prompt__project=checkpoint.project)
    if batches is not None:
        candidates = candidates.filter(prompt__tasks__batch__in=batches)
    own = set(candidates.filter(origin=checkpoint.origin).values_list("pk", flat=True))
    other = set(candidates.filter(origin=opponent_of(checkpoint)).values_list("pk", flat=True))
    if not own or not other:
        return Outcome()
    ties = both_bad = 0
    people: set[int] = set()
    units: dict[int, list[int]] = {}
    reasons: Counter[str] = Counter()
    against: Counter[str] = Counter()
    rows = answers.values_list("kind", "counted", "task__prompt_id", "annotator_id")
    for name, stored, prompt, annotator in rows.iterator(chunk_size=AT_ONCE):
        kind = KINDS[name]
        answer = kind.parse(stored)
        shown = set(kind.candidates(answer))
        if not (shown & own and shown & other):
            continue
        people.add(annotator)
        both_bad += kind.prefers_none(answer)
        for better, worse, value in kind.preferences(answer):
            if not ((better in own and worse in other) or (better in other and worse in own)):
                continue
            if value == 0.5:
                ties += 1
                continue
            has_won = better in own
            units.setdefault(prompt, [0, 0])[0 if has_won else 1] += 1
            (reasons if has_won else against).update(kind.reasons(answer))
    return Outcome(
        wins=sum(wins for wins, _losses in units.values()),
        losses=sum(losses for _wins, losses in units.values()),
        ties=ties,
        both_bad=both_bad,
        people=len(people),
        units=tuple((wins, losses) for wins, losses in units.values()),
        reasons=reasons,
        reasons_against=against,
    )


def in_words(outcome: Outcome, checkpoint: Checkpoint) -> str:
    """One sentence; empty where nobody compared the two."""
    if not (outcome.decided or outcome.ties or outcome.both_bad):
        return ""
    other = (
        _("checkpoint %(number)s") % {"number": checkpoint.parent_id} if checkpoint.parent_id else _("the base model")
    )
    ties = ngettext("%(count)s tie", "%(count)s ties", outcome.ties) % {"count": f"{outcome.ties:,}"}
    if outcome.both_bad:
        ties = f"{ties}, " + _("%(count)s both bad") % {"count": f"{outcome.both_bad:,}"}
    if outcome.win_rate is None or outcome.interval is None:
        return _("Nothing decided between checkpoint %(number)s and %(other)s: %(ties)s") % {
            "number": checkpoint.pk,
            "other": other,
            "ties": ties,
        }
    has_won = outcome.win_rate > 0.5
    share = outcome.win_rate if has_won or not outcome.is_clear else 1 - outcome.win_rate
    bounds = outcome.interval if share == outcome.win_rate else tuple(1 - bound for bound in reversed(outcome.interval))
    values = {
        "number": checkpoint.pk,
        "other": other,
        "more": f"{outcome.wins if share == outcome.win_rate else outcome.losses:,}",
        "fewer": f"{outcome.losses if share == outcome.win_rate else outcome.wins:,}",
        "ties": ties,
        "share": percentage(share, 0),
        "low": percentage(bounds[0], 0),
        "high": percentage(bounds[1], 0),
    }
    if not outcome.is_clear:
        return (
            _(
                "No clear preference between checkpoint %(number)s and %(other)s: %(more)s to %(fewer)s, %(ties)s; "
                "checkpoint %(number)s has %(share)s of decided (95 %%: %(low)s to %(high)s)"
            )
            % values
        )
    if has_won:
        return (
            _(
                "Checkpoint %(number)s preferred to %(other)s: %(more)s to %(fewer)s, %(ties)s; %(share)s of decided "
                "(95 %%: %(low)s to %(high)s)"
            )
            % values
        )
    return (
        _(
            "Checkpoint %(number)s is not preferred: %(other)s has %(more)s to %(fewer)s, %(ties)s; %(share)s of "
            "decided (95 %%: %(low)s to %(high)s)"
        )
        % values
    )


def reasons_in_words(outcome: Outcome, most: int = 5) -> str:
    """The most frequent reasons, beside wins and beside losses; empty where none was ticked."""
    parts = []
    for reasons, sentence in (
        (outcome.reasons, _("Reasons for it: %(reasons)s")),
        (outcome.reasons_against, _("Reasons against it: %(reasons)s")),
    ):
        if reasons:
            named = ", ".join(f"{label(name)} ({count:,})" for name, count in reasons.most_common(most))
            parts.append(sentence % {"reasons": named})
    return " · ".join(parts)
