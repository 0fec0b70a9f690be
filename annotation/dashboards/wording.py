"""Forecast and cost as sentences, in the reader's language and number format."""

from copy import copy
from datetime import date

from babel import Locale
from babel.core import UnknownLocaleError
from babel.dates import format_interval
from babel.numbers import get_currency_precision
from django.utils.formats import number_format
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from annotation.dashboards.collection import Collection
from annotation.dashboards.forecast import FEWEST_ANSWERS, FEWEST_DAYS, Forecast, Interval, TooEarly

WHOLE_FROM = 100  # from this amount on, smaller units of a currency only distract


def locale() -> Locale:
    try:
        return Locale.parse((get_language() or "en").replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale.parse("en")


def money(amount: float, currency: str) -> str:
    """1234.5, EUR → “€1,235”; 12.5 → “€12.50”."""
    pattern = copy(locale().currency_formats["standard"])
    decimals = 0 if abs(amount) >= WHOLE_FROM else get_currency_precision(currency)
    pattern.frac_prec = (decimals, decimals)
    return str(pattern.apply(amount, locale(), currency=currency, currency_digits=False))


def money_range(interval: Interval, currency: str) -> str:
    low, high = money(interval.low, currency), money(interval.high, currency)
    return low if low == high else f"{low} – {high}"


def day_range(first: date, last: date, today: date) -> str:
    """“9–14 December”; with the year where it is not this one."""
    skeleton = "MMMd" if first.year == last.year == today.year else "yMMMd"
    of_dates = Locale("en", "GB") if locale().language == "en" else locale()  # as Django's English: 9 Dec
    return str(format_interval(first, last, skeleton, locale=of_dates))


def number(value: float) -> str:
    return number_format(round(value), use_l10n=True, force_grouping=True)


def progress_sentence(found: Collection) -> str:
    if not found.open_batches:
        return _("No batch is open.")
    return _("%(done)s of %(total)s answers done.") % {"done": number(found.done), "total": number(found.total)}


def finish_sentence(found: Collection, ahead: Forecast | TooEarly) -> str:
    """When what is open is done, and whether more may be asked for."""
    return " ".join(sentence for sentence in (expected_finish(found, ahead), adaptive_sentence(found)) if sentence)


def expected_finish(found: Collection, ahead: Forecast | TooEarly) -> str:
    if not found.open_batches:
        return ""
    if not found.remaining and any(item.awaits_analysis for item in found.open_batches):
        return _("Everything that is open has been answered; the next analysis says which tasks get one more answer.")
    if not found.remaining:
        return _("Everything that is open has been answered.")
    if isinstance(ahead, TooEarly):
        return _(
            "Too early to say when it will be done: a forecast needs work on %(days)s days and %(answers)s answers."
        ) % {"days": FEWEST_DAYS, "answers": FEWEST_ANSWERS}
    first, _middle, last = ahead.finish
    if first is None:
        return _("At the pace of the last ten working days it is not done within two years.")
    if last is None:
        return _("At the pace of the last ten working days it is done after %(day)s, perhaps not within two years.") % {
            "day": day_range(first, first, found.today)
        }
    return _("At the pace of the last ten working days: %(days)s.") % {"days": day_range(first, last, found.today)}


def adaptive_sentence(found: Collection) -> str:
    """Empty where no more answers than are open can be asked for."""
    if not found.more:
        return ""
    return ngettext(
        "Adaptive overlap may ask for up to %(count)s more answer, which is not in these figures.",
        "Adaptive overlap may ask for up to %(count)s more answers, which are not in these figures.",
        found.more,
    ) % {"count": number(found.more)}


def people_sentence(found: Collection) -> str:
    if not found.at_work:
        return _("Nobody is working now.")
    return ngettext("%(count)s person is working now.", "%(count)s people are working now.", found.at_work) % {
        "count": number(found.at_work)
    }


def cost_sentence(found: Collection, ahead: Forecast | TooEarly) -> str:
    """Empty where no rate is set."""
    currency = found.project.currency
    if not found.rates.any or not currency:
        return ""
    spent = money(found.spent, currency)
    if found.project.budget is not None:
        values = {"spent": spent, "budget": money(float(found.project.budget), currency)}
        sentence = _("%(spent)s of %(budget)s spent.") % values
    else:
        sentence = _("%(spent)s spent.") % {"spent": spent}
    if isinstance(ahead, Forecast) and found.remaining and ahead.ends:
        in_all = Interval(*(found.spent + part for part in (ahead.cost.middle, ahead.cost.low, ahead.cost.high)))
        sentence += " " + _("%(range)s at the end.") % {"range": money_range(in_all, currency)}
    return sentence


def budget_warning(found: Collection, ahead: Forecast | TooEarly) -> str | None:
    """None while the budget suffices, or where there is none."""
    if found.project.budget is None or not found.rates.any:
        return None
    budget = float(found.project.budget)
    if found.spent > budget:
        return _("The budget is spent.")
    if isinstance(ahead, TooEarly) or not found.remaining:
        return None
    if found.spent + ahead.cost.low > budget:
        return _("The budget will not cover what is open.")
    if found.spent + ahead.cost.high > budget:
        return _("The budget may not cover what is open.")
    return None
