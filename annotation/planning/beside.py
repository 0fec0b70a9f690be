"""A plan beside what happens, in words: rows of planned, so far and expected, and one sentence for all of it."""

from dataclasses import dataclass
from datetime import date

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.dashboards.forecast import Interval
from annotation.dashboards.wording import day_range, money, money_range, number
from annotation.planning.comparison import Actual
from annotation.planning.estimate import Results
from annotation.planning.sentences import UNKNOWN, finish, hours, hours_range, working_days
from annotation.planning.wanted import Wanted
from annotation.queue.overlap import annotators_per_task
from annotation.queue.progress import Progress
from annotation.text.formatting import percentage

NEAR = 0.005  # a share that is written as 0 %


@dataclass(frozen=True)
class Row:
    label: str
    planned: str
    so_far: str
    expected: str
    verdict: str = ""


def rows(wanted: Wanted, results: Results, actual: Actual) -> list[Row]:
    """Answers, hours, working days, date and cost."""
    progress, today = actual.progress, actual.today
    expected = actual.finish
    return [
        Row(_("Answers"), number(wanted.answers), number(progress.done), answers_expected(progress),
            answers_verdict(wanted.answers, progress)),
        Row(_("Hours"), hours_range(results.hours), _("%(hours)s h") % {"hours": hours(actual.hours)},
            hours_range(actual.expected_hours) if actual.expected_hours else UNKNOWN,
            amount_verdict(for_as_many(results.hours, wanted, actual), actual.expected_hours)),
        Row(_("Working days"), working_days(results.days), number(actual.days), UNKNOWN),
        Row(_("Done"), finish(results.finish, today),
            _("since %(day)s") % {"day": day_range(actual.first, actual.first, today)} if actual.first else UNKNOWN,
            finish(expected, today) if expected else UNKNOWN, days_verdict(results, actual)),
        cost_row(wanted, results, actual),
    ]  # fmt: skip


def cost_row(wanted: Wanted, results: Results, actual: Actual) -> Row:
    """Compared only while the project has the plan's currency."""
    currency, verdict = actual.currency, ""
    if currency == results.currency:
        verdict = amount_verdict(for_as_many(results.money, wanted, actual), actual.expected_money)
    return Row(
        _("Cost"),
        money_range(results.money, results.currency) if results.money else UNKNOWN,
        money(actual.money, currency) if actual.money is not None and currency else UNKNOWN,
        money_range(actual.expected_money, currency) if actual.expected_money and currency else UNKNOWN,
        verdict,
    )


def answers_expected(progress: Progress) -> str:
    """A range where the overlap is adaptive."""
    total, most = number(progress.total), number(progress.total + progress.more)
    return f"{total}–{most}" if progress.more else total


def answers_verdict(planned: int, progress: Progress) -> str:
    """A batch of another size than planned makes all other rows differ."""
    total = progress.total
    if progress.more and total <= planned <= total + progress.more:
        return annotators_per_task(progress.batch.overlap, progress.batch.overlap_most)
    if planned == total:
        return _("as planned")
    if total > planned:
        return _("%(count)s more than planned") % {"count": number(total - planned)}
    return _("%(count)s fewer than planned") % {"count": number(planned - total)}


def for_as_many(planned: Interval | None, wanted: Wanted, actual: Actual) -> Interval | None:
    """What the plan says of as many answers as the batch asks for, or got: a batch of another size is no other pace."""
    if planned is None:
        return None
    progress = actual.progress
    factor = (progress.done if actual.is_over else progress.total) / wanted.answers
    return Interval(planned.middle * factor, planned.low * factor, planned.high * factor)


def amount_verdict(planned: Interval | None, expected: Interval | None) -> str:
    """By how much the middle differs, and whether the plan's interval contains it."""
    if planned is None or expected is None or not planned.middle:
        return ""
    ratio = expected.middle / planned.middle - 1
    if abs(ratio) < NEAR:
        return _("as planned")
    sentence = _("%(share)s over") if ratio > 0 else _("%(share)s under")
    verdict = sentence % {"share": percentage(abs(ratio), 0)}
    if planned.low <= expected.middle <= planned.high:
        return _("%(verdict)s, within the plan’s interval") % {"verdict": verdict}
    return _("%(verdict)s, outside the plan’s interval") % {"verdict": verdict}


def days_verdict(results: Results, actual: Actual) -> str:
    planned, expected = results.finish[1], actual.finish[1] if actual.finish else None
    if planned is None or expected is None:
        return ""
    return later(planned, expected)


def later(planned: date, expected: date) -> str:
    days = (expected - planned).days
    if not days:
        return _("as planned")
    if days > 0:
        return ngettext("%(days)s day later", "%(days)s days later", days) % {"days": number(days)}
    return ngettext("%(days)s day earlier", "%(days)s days earlier", -days) % {"days": number(-days)}


def sentence(wanted: Wanted, results: Results, actual: Actual) -> str:
    """“Planned 12–16 December; now expected 14–20 December; 6 % over in hours.”"""
    planned = finish(results.finish, actual.today)
    if actual.finish is None or actual.expected_hours is None:
        return _("Planned %(planned)s; too early to say what is expected.") % {"planned": planned}
    values = {
        "planned": planned,
        "days": finish(actual.finish, actual.today),
        "hours": amount_verdict(for_as_many(results.hours, wanted, actual), actual.expected_hours),
    }
    if actual.is_over:
        return _("Planned %(planned)s; done %(days)s; hours: %(hours)s.") % values
    return _("Planned %(planned)s; now expected %(days)s; hours: %(hours)s.") % values
