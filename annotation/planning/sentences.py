"""A plan in words, for its pages and its command: figures with their intervals, and what they lack."""

from dataclasses import dataclass
from datetime import date

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.dashboards.forecast import Interval
from annotation.dashboards.wording import day_range, money, money_range, number
from annotation.models import Plan
from annotation.planning.estimate import FEWEST_SHARED, Basis, Dates, Planned, Range, Results, shared_tasks
from annotation.planning.wanted import Wanted
from annotation.quality.agreement import Agreement
from annotation.text.formatting import percentage

UNKNOWN = "–"


@dataclass(frozen=True)
class Figure:
    """`value` is empty where nothing can be said; `note` then says why, and otherwise how it is meant."""

    label: str
    value: str
    interval: str = ""
    note: str = ""


def answers(count: int) -> str:
    return ngettext("%(count)s answer", "%(count)s answers", count) % {"count": number(count)}


def hours(value: float) -> str:
    return number_format(round(value, 1 if value < 9.95 else None), 1 if value < 9.95 else 0, force_grouping=True)


def hours_range(interval: Interval) -> str:
    low, high = hours(interval.low), hours(interval.high)
    return _("%(range)s h") % {"range": low if low == high else f"{low}–{high}"}


def working_days(interval: Interval) -> str:
    low, high = number(max(interval.low, 1)), number(max(interval.high, 1))
    return low if low == high else f"{low}–{high}"


def finish(ends: Dates, today: date) -> str:
    first, _middle, last = ends
    if first is None:
        return _("not within eight years")
    if last is None:
        return _("after %(day)s") % {"day": day_range(first, first, today)}
    return day_range(first, last, today)


def chance(share: float) -> str:
    """No chance is called certain, or none."""
    if share > 0.995:
        return f"> {percentage(0.99, 0)}"
    return f"< {percentage(0.01, 0)}" if share < 0.005 else percentage(share, 0)


def share_range(found: Range) -> str:
    low, high = chance(found.low), chance(found.high)
    return low if low == high else f"{low} – {high}"


def points(width: float) -> str:
    return number_format(width, 2 if abs(width) >= 0.01 else 3)


def agreement_sentence(observed: Agreement) -> str:
    """Of the pilot, with intervals."""
    values = {
        "percent": percentage(observed.percent, 0),
        "percents": f"{round(100 * observed.percent_low)}–{percentage(observed.percent_high, 0)}",
        "tasks": ngettext("%(count)s task", "%(count)s tasks", observed.tasks) % {"count": number(observed.tasks)},
    }
    sentence = (
        _("In the pilot, two answers to a question are equal in %(percent)s (%(percents)s) of %(tasks)s.") % values
    )
    if observed.alpha is None or observed.alpha_low is None or observed.alpha_high is None:
        return sentence + " " + _("Krippendorff’s alpha is undefined: no variation.")
    alphas = {
        "alpha": points(observed.alpha),
        "low": points(observed.alpha_low),
        "high": points(observed.alpha_high),
    }
    return sentence + " " + _("Krippendorff’s alpha is %(alpha)s (%(low)s to %(high)s).") % alphas


def no_width_reason(basis: Basis, wanted: Wanted) -> str:
    """Why the width of agreement cannot be said."""
    if wanted.overlap < 2:
        return _("With one answer a task there is no agreement to measure.")
    if not len(basis.pilot.counts):
        return _("Texts that people write are not compared.")
    if basis.observed is not None:
        return _("All compared answers of the pilot are equal: alpha is undefined.")
    tasks = shared_tasks(basis.pilot)
    if not tasks:
        return _("The pilot has no task with two answers.")
    return _("Too few tasks of the pilot have two answers: %(count)s of %(fewest)s.") % {
        "count": number(tasks),
        "fewest": FEWEST_SHARED,
    }


def figures(planned: Planned, today: date) -> list[Figure]:
    """What is wanted, as label, value, interval and note."""
    results, basis, wanted = planned.results, planned.basis, planned.wanted
    if results is None or basis is None:
        return []
    rows = [*amounts(results, today)]
    if results.width:
        percent, width = results.width
        rows.append(
            Figure(
                _("Agreement will be known within"),
                _("± %(points)s of alpha") % {"points": points(width)},
                note=_("± %(share)s of equal answers.") % {"share": percentage(percent)},
            )
        )
    else:
        rows.append(Figure(_("Agreement will be known within"), "", note=no_width_reason(basis, wanted)))
    rows.append(power_figure(results, basis, wanted))
    return rows


def amounts(results: Results, today: date) -> list[Figure]:
    """Hours, days, date and money."""
    rows = [
        Figure(_("Hours of all people"), _("%(hours)s h") % {"hours": hours(results.hours.middle)},
               hours_range(results.hours)),
        Figure(_("Working days"), number(max(results.days.middle, 1)), working_days(results.days)),
    ]  # fmt: skip
    first, middle, _last = results.finish
    if middle is None or first is None:
        rows.append(Figure(_("Done"), "", note=_("Not within eight years.")))
    else:
        rows.append(Figure(_("Done"), day_range(middle, middle, today), finish(results.finish, today)))
    if results.money is not None:
        rows.append(
            Figure(
                _("Cost"),
                money(results.money.middle, results.currency),
                money_range(results.money, results.currency),
            )
        )
    else:
        rows.append(Figure(_("Cost"), "", note=no_rate_reason(results)))
    return rows


def no_rate_reason(results: Results) -> str:
    return ngettext(
        "No rate is set for %(count)s person of the pilot.",
        "No rate is set for %(count)s people of the pilot.",
        results.unpriced,
    ) % {"count": number(results.unpriced)}


def power_figure(results: Results, basis: Basis, wanted: Wanted) -> Figure:
    label = _("Chance to see 55/45 between two checkpoints")
    if results.power is None:
        return Figure(label, "", note=_("Only a kind in which people choose between texts compares checkpoints."))
    note = ""
    if basis.pilot.ties is not None:
        note = _("%(share)s of the pilot’s comparisons prefer neither text.") % {
            "share": percentage(basis.pilot.ties, 0)
        }
    if not results.power.is_known:
        note += " " + _(
            "Too few tasks of the pilot have two decided answers: it lies between answers that repeat each other and "
            "answers that are independent."
        )
    elif wanted.overlap > 1 and basis.correlation is not None:
        note += " " + _("Answers to one task resemble each other: correlation %(value)s.") % {
            "value": points(basis.correlation)
        }
    if results.needed is not None:
        note += " " + needed_sentence(results.needed, wanted.overlap)
    return Figure(label, share_range(results.power), note=note.strip())


def needed_sentence(needed: Range, overlap: int) -> str:
    low, high = number(needed.low), number(needed.high)
    return _("A chance of 80 %% needs %(tasks)s tasks with %(overlap)s answers each.") % {
        "tasks": low if low == high else f"{low}–{high}",
        "overlap": overlap,
    }


def cells(wanted: Wanted, results: Results, today: date) -> list[str]:
    """A row of the table of alternatives: answers, hours, done, cost, ± alpha, chance."""
    return [
        number(wanted.answers),
        hours_range(results.hours),
        finish(results.finish, today),
        money_range(results.money, results.currency) if results.money else UNKNOWN,
        f"± {points(results.width[1])}" if results.width else UNKNOWN,
        share_range(results.power) if results.power else UNKNOWN,
    ]


def wanted_sentence(wanted: Wanted) -> str:
    parts = {
        "tasks": ngettext("%(count)s task", "%(count)s tasks", wanted.tasks) % {"count": number(wanted.tasks)},
        "overlap": ngettext("%(count)s answer", "%(count)s answers", wanted.overlap) % {"count": wanted.overlap},
        "people": ngettext("%(count)s person", "%(count)s people", wanted.people) % {"count": number(wanted.people)},
    }
    return _("%(tasks)s, %(overlap)s each, by %(people)s") % parts


def headline(results: Results, today: date) -> str:
    """“40–52 h, done 12–16 December, €500 – €640”."""
    parts = [hours_range(results.hours)]
    if results.finish[0] is not None:
        parts.append(_("done %(days)s") % {"days": finish(results.finish, today)})
    if results.money is not None:
        parts.append(money_range(results.money, results.currency))
    return ", ".join(parts)


def dashboard_sentence(plan: Plan, today: date) -> str:
    """What a kept plan says beside the dashboard's forecast."""
    results = Results.from_json(plan.results)
    return _("Planned: %(days)s, %(hours)s.") % {
        "days": finish(results.finish, today),
        "hours": hours_range(results.hours),
    }


def promises(results: Results) -> list[Figure]:
    """Of a kept plan: width of agreement and power, as they were computed."""
    rows = []
    if results.width:
        value = _("± %(points)s of alpha") % {"points": points(results.width[1])}
        rows.append(Figure(_("Agreement will be known within"), value))
    if results.power:
        rows.append(Figure(_("Chance to see 55/45 between two checkpoints"), share_range(results.power)))
    return rows
