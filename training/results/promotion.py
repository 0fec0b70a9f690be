"""Promotion: the checkpoint that the next round judges, chosen by a person or by rules on its figures."""

import operator
import re
from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.core.locks import Lock, lock_until_commit
from annotation.models import User
from training.models import Checkpoint
from training.results import preferences
from training.results.checkpoints import last_evaluation, promoted_checkpoint
from training.results.withdrawals import refuse_withdrawn_checkpoint

RULE = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(>=|<=|==|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")
COMPARISONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq}


class RuleNotMet(Conflict):
    """A checkpoint's figures do not satisfy the promotion rule; the text gives them."""


@transaction.atomic
def promote(*, checkpoint: Checkpoint, actor: User | None, note: str = "", rules: Iterable[str] = ()) -> Checkpoint:
    """Make this the checkpoint that the next round judges; by a person (with a note) or by rules on its figures.

    A rule is `figure>=number` (also <=, >, <, ==) on the newest evaluation, or on what people preferred (`win_rate`,
    see `preferences.Outcome.figures`); all must hold. Raises RuleNotMet with the figures, InvalidInput for a rule that
    cannot be read, Conflict when there is no evaluation or comparison to apply a rule to, and
    for a checkpoint that contains answers of somebody who withdrew consent.
    Promoting the promoted one again changes nothing.
    """
    rules = list(rules)
    # A receipt says that no promoted checkpoint contains withdrawn answers: it waits, or is first.
    lock_until_commit(Lock.CONSENT, checkpoint.project_id)
    refuse_withdrawn_checkpoint(checkpoint)
    held = _check_rules(checkpoint, rules)
    current = promoted_checkpoint(checkpoint.project)
    if current is not None and current.pk == checkpoint.pk:
        return current
    checkpoint.promoted_at = timezone.now()
    checkpoint.promoted_by = actor
    checkpoint.promotion_note = "; ".join(part for part in (note.strip(), held) if part)[:300]
    checkpoint.save(update_fields=["promoted_at", "promoted_by", "promotion_note"])
    record(
        verb="checkpoint.promoted",
        target=checkpoint,
        actor=actor,
        project=checkpoint.project,
        before={"promoted": current.pk if current else None},
        after={"promoted": checkpoint.pk, "note": checkpoint.promotion_note},
    )
    return checkpoint


def _check_rules(checkpoint: Checkpoint, rules: list[str]) -> str:
    if not rules:
        return ""
    parsed = []
    for rule in rules:
        match = RULE.fullmatch(rule)
        if match is None:
            raise InvalidInput(f"the rule {rule!r} is not of the form 'figure>=number', such as 'reward_accuracy>=0.6'")
        parsed.append((match[1], match[2], float(match[3])))
    figures, source = _figures_for(checkpoint, {name for name, _sign, _number in parsed})
    held: list[str] = []
    failed: list[str] = []
    for name, sign, number in parsed:
        value = figures.get(name)
        if value is None:
            raise InvalidInput(f"{source} has no figure {name!r} (it has {', '.join(sorted(figures))})")
        outcome = f"{name} is {value:.4g}, the rule asks for {sign} {number:g}"
        (held if COMPARISONS[sign](value, number) else failed).append(outcome)
    if failed:
        outcome = "; ".join(failed)
        raise RuleNotMet(f"checkpoint {checkpoint.pk} was not promoted: {outcome} ({source})")
    return "; ".join(held)


def _figures_for(checkpoint: Checkpoint, names: set[str]) -> tuple[dict[str, float], str]:
    """The figures that rules of these names need, and where they are from."""
    preferred: dict[str, float] = {}
    if names & set(preferences.FIGURES):
        preferred = preferences.outcome_of(checkpoint).figures()
        if preferences.WIN_RATE not in preferred:
            raise Conflict(
                f"nobody has decided between the texts of checkpoint {checkpoint.pk} and those of "
                f"{preferences.opponent_of(checkpoint)}: generate both with manage.py generate, and open a batch of "
                "choosing"
            )
    if preferred and names <= set(preferences.FIGURES):
        return preferred, "what people preferred"
    evaluation = last_evaluation(checkpoint)
    if evaluation is None:
        raise Conflict(f"checkpoint {checkpoint.pk} has no finished evaluation: run manage.py evaluate {checkpoint.pk}")
    metrics = (evaluation.result or {}).get("metrics", {})
    figures = {key: float(figure) for key, figure in metrics.items() if isinstance(figure, int | float)}
    return {**figures, **preferred}, f"evaluation {evaluation.pk}"
