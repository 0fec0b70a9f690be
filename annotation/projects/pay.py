"""What annotation costs: rates by hour or by answer, for a project or one person, and the budget."""

from datetime import date
from decimal import Decimal
from typing import Any

from babel.core import get_global
from django.db import transaction
from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from annotation.core.events import record
from annotation.models import Membership, PayRate, Project, User

MOST = Decimal(10**8)


def currencies() -> frozenset[str]:
    """The codes of ISO 4217 that are in use somewhere today."""
    in_use = {
        code
        for region in get_global("territory_currencies").values()
        for code, _since, until, is_tender in region
        if until is None and is_tender
    }
    return frozenset(in_use)


def set_rate(
    *, project: Project, unit: str, amount: Decimal, since: date, annotator: User | None, actor: User | None
) -> PayRate:
    """The rate from that day on, of one person, or (None) of all who have none of their own.

    It replaces the rate of that day. Raises `InvalidInput` by field.
    """
    problems = []
    if unit not in PayRate.Unit.values:
        problems.append(("unit", _("Choose what the rate is for: an hour, or an answer.")))
    if not amount.is_finite() or not 0 <= amount < MOST:
        problems.append(("amount", _("Give an amount from 0 to {most}.").format(most=f"{MOST:,}")))
    elif amount != amount.quantize(Decimal("0.0001")):
        problems.append(("amount", _("At most four decimals.")))
    if annotator is not None and not Membership.objects.filter(project=project, user=annotator).exists():
        problems.append(("annotator", _("This person is not a member of the project.")))
    if not project.currency:
        problems.append(("unit", _("Choose the currency first.")))
    if problems:
        raise InvalidInput("; ".join(message for _field, message in problems), problems)
    with transaction.atomic():
        key: dict[str, Any] = {"project": project, "annotator": annotator, "since": since}
        before = PayRate.objects.select_for_update().filter(**key).first()
        old = values_of(before) if before else None
        rate, _created = PayRate.objects.update_or_create(**key, defaults={"unit": unit, "amount": amount})
        record(verb="pay_rate.set", target=rate, actor=actor, project=project, before=old, after=values_of(rate))
    return rate


def delete_rate(*, rate: PayRate, actor: User | None) -> None:
    """Work of its days then has the rate before it. Deleting it again does nothing."""
    with transaction.atomic():
        row = PayRate.objects.select_for_update().filter(pk=rate.pk).first()
        if row is None:
            return
        record(verb="pay_rate.deleted", target=row, actor=actor, project=row.project, before=values_of(row))
        row.delete()


def values_of(rate: PayRate) -> dict[str, object]:
    return {
        "annotator": rate.annotator_id,
        "unit": rate.unit,
        "amount": str(rate.amount),
        "since": rate.since.isoformat(),
    }
