"""What a plan rests on, in words: the pilot, and what of it is missing or left out."""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.dashboards.wording import number
from annotation.planning.estimate import Planned
from annotation.planning.pilot import FEWEST_ANSWERS, FEWEST_DAYS, FEWEST_OF_PERSON, MOST_ANSWERS, Pilot
from annotation.text.formatting import duration, percentage


def too_early_sentence(pilot: Pilot) -> str:
    timed = pilot.answers - pilot.untimed
    return _(
        "Too early to say: a plan needs %(answers)s answers with a recorded time on %(days)s days, and "
        "%(of_person)s of one person. The pilot has %(timed)s on %(worked)s."
    ) % {
        "answers": FEWEST_ANSWERS,
        "days": FEWEST_DAYS,
        "of_person": FEWEST_OF_PERSON,
        "timed": ngettext("%(count)s answer", "%(count)s answers", timed) % {"count": number(timed)},
        "worked": ngettext("%(count)s day", "%(count)s days", pilot.days) % {"count": number(pilot.days)},
    }


def pilot_sentence(pilot: Pilot) -> str:
    parts = {
        "answers": ngettext("%(count)s answer", "%(count)s answers", pilot.answers) % {"count": number(pilot.answers)},
        "tasks": ngettext("%(count)s task", "%(count)s tasks", pilot.tasks) % {"count": number(pilot.tasks)},
        "people": ngettext("%(count)s person", "%(count)s people", pilot.people) % {"count": number(pilot.people)},
        "days": ngettext("%(count)s day", "%(count)s days", pilot.days) % {"count": number(pilot.days)},
    }
    sentence = _("The pilot: %(answers)s to %(tasks)s, by %(people)s on %(days)s.") % parts
    if pilot.times is None:
        return sentence
    sentence += " " + _("%(time)s of active time an answer.") % {"time": duration(pilot.times.seconds_per_answer)}
    if pilot.times.overhead >= 1.005:
        more = percentage(pilot.times.overhead - 1, 0)
        sentence += " " + _("Skipped tasks and answers that do not count add %(more)s.") % {"more": more}
    return sentence


def warnings(planned: Planned) -> list[str]:
    """What is left out or not known; nothing while it is too early."""
    pilot, people, lines = planned.pilot, len(planned.pilot.who), []
    if planned.basis is None:
        return []
    if people <= 2:
        lines.append(
            ngettext(
                "The pilot has times of %(count)s person: the intervals do not know how people differ.",
                "The pilot has times of %(count)s people: the intervals do not know how people differ.",
                people,
            )
            % {"count": people}
        )
    if pilot.simulated:
        lines.append(
            ngettext(
                "%(count)s answer is from a simulated annotator, whose time is nobody’s.",
                "%(count)s answers are from simulated annotators, whose times are nobody’s.",
                pilot.simulated,
            )
            % {"count": number(pilot.simulated)}
        )
    if pilot.untimed:
        lines.append(
            ngettext(
                "%(count)s answer has no recorded time and counts for agreement only.",
                "%(count)s answers have no recorded time and count for agreement only.",
                pilot.untimed,
            )
            % {"count": number(pilot.untimed)}
        )
    if pilot.few:
        lines.append(
            ngettext(
                "%(count)s person with fewer than %(fewest)s timed answers is left out of hours, days and cost.",
                "%(count)s people with fewer than %(fewest)s timed answers are left out of hours, days and cost.",
                pilot.few,
            )
            % {"count": number(pilot.few), "fewest": FEWEST_OF_PERSON}
        )
    if pilot.is_cut:
        lines.append(
            _("The pilot has more than %(most)s answers: those to the first tasks of its queue are used.")
            % {"most": number(MOST_ANSWERS)}
        )
    return lines
