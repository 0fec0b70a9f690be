"""Rules on what checks say of a person. A rule that fires makes a proposal; only a manager's confirmation acts on it.

A rule fires where the whole interval of a share is below its threshold: few answers never convict anybody.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.analyses.intervals import FEWEST, Estimate
from annotation.checks.requeue import requeue
from annotation.checks.results import Results, results_of
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.members.messages import send_message
from annotation.members.pausing import pause_member
from annotation.models import CheckProposal, Membership, Project, TaskCheck, User

What = TaskCheck.What
Action = CheckProposal.Action
MEASURES = {
    What.GOLD.value: gettext_lazy("Right answers to gold"),
    What.TWIN.value: gettext_lazy("Damaged text judged worse"),
    What.REPEAT.value: gettext_lazy("The same answer again"),
}
Rules = dict[str, dict[str, int]]  # {measure: {action: percent}}


class Firing(NamedTuple):
    """A rule that fires about a person; in one batch, where its action is about a batch."""

    person: int
    action: str
    measure: str
    batch: int | None
    threshold: float
    estimate: Estimate


def set_rules(*, project: Project, rules: Rules, actor: User | None) -> None:
    """Below which percentage of right answers a manager is asked to do what; without an entry there is no rule. Raises
    InvalidInput by field (`gold-warn`)."""
    problems = [
        (f"{measure}-{action}", _("From %(least)d to %(most)d.") % {"least": 1, "most": 100})
        for measure, actions in rules.items()
        for action, percent in actions.items()
        if measure not in MEASURES or action not in Action.values or not 1 <= percent <= 100
    ]
    if problems:
        raise InvalidInput(problems[0][1], problems)
    rules = {measure: actions for measure, actions in rules.items() if actions}
    with transaction.atomic():
        row = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        before, project.check_rules = row.check_rules, rules
        if before == rules:
            return
        Project.objects.filter(pk=project.pk).update(check_rules=rules)
        record(
            verb="project.check_rules",
            target=project,
            actor=actor,
            project=project,
            before={"rules": before},
            after={"rules": rules},
        )


def propose(project: Project) -> int:
    """Make the proposals of rules that fire and are not waiting already; returns how many. After a decision a rule asks
    again only after `FEWEST` more answers. Its command is `manage.py analyse`; the job runs it with that."""
    if not any(project.check_rules.values()):
        return 0
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        members = {row.user_id: row for row in Membership.objects.filter(project=project)}
        made = 0
        for firing in firings(project, results_of(project)):
            member = members.get(firing.person)
            is_done = member is None or (firing.action == Action.PAUSE and member.is_paused)
            if is_done or not is_news(project, firing):
                continue
            proposal = CheckProposal.objects.create(
                project=project,
                annotator_id=firing.person,
                action=firing.action,
                measure=firing.measure,
                batch_id=firing.batch,
                threshold=firing.threshold,
                estimate=firing.estimate.as_dict(),
            )
            record(verb="check.proposed", target=proposal, actor=None, project=project, after=about(proposal))
            made += 1
    return made


def firings(project: Project, results: Results) -> Iterator[Firing]:
    rules: Rules = project.check_rules
    for measure, actions in rules.items():
        for action, percent in actions.items():
            threshold = percent / 100
            if action == Action.REQUEUE:
                for (person, what, batch), tally in sorted(results.batches.items()):
                    if what == measure and (found := tally.estimate) and found.high < threshold:
                        yield Firing(person, action, measure, batch, threshold, found)
                continue
            for (person, what), tally in sorted(results.people.items()):
                if what == measure and (found := tally.estimate) and found.high < threshold:
                    yield Firing(person, action, measure, None, threshold, found)


def is_news(project: Project, firing: Firing) -> bool:
    """Whether nobody is asked this now, nor was while there were about as many answers."""
    last = CheckProposal.objects.filter(
        project=project,
        annotator=firing.person,
        action=firing.action,
        measure=firing.measure,
        batch=firing.batch,
    ).first()
    return last is None or (last.decided_at is not None and firing.estimate.n >= last.estimate["n"] + FEWEST)


def dismiss(*, proposal: CheckProposal, actor: User) -> CheckProposal:
    """Decide that nothing is done. Raises Conflict when it was decided before."""
    return decide(proposal, actor, confirmed=False)


def confirm(*, proposal: CheckProposal, actor: User, text: str = "") -> CheckProposal:
    """Do what the rule proposes: send the warning `text`, pause the person with it as the reason, or re-queue their
    answers of the batch with it as the reason. The person reads a warning and the reason of a pause. Raises Conflict
    when it was decided before or cannot be done any more, InvalidInput without a text."""
    with transaction.atomic():
        decide(proposal, actor, confirmed=True)
        project, person = proposal.project, proposal.annotator
        if proposal.action == Action.WARN:
            send_message(project=project, member=person, text=text, author=actor)
        elif proposal.action == Action.PAUSE:
            member = Membership.objects.select_related("user", "project").filter(project=project, user=person).first()
            if member is None:
                raise Conflict(_("%(person)s is no longer a member of this project.") % {"person": person})
            pause_member(membership=member, reason=text, actor=actor)
        else:
            assert proposal.batch is not None
            if not (reason := text.strip()[:500]):
                raise InvalidInput(_("Give a reason."), [("text", _("Give a reason."))])
            requeue(batch=proposal.batch, annotator=person, reason=reason, actor=actor)
    return proposal


def decide(proposal: CheckProposal, actor: User, *, confirmed: bool) -> CheckProposal:
    with transaction.atomic():
        waiting = CheckProposal.objects.filter(pk=proposal.pk, decided_at=None)
        now = timezone.now()
        if waiting.update(decided_at=now, decided_by=actor, confirmed=confirmed) != 1:
            raise Conflict(_("This was decided already."))
        proposal.decided_at, proposal.decided_by, proposal.confirmed = now, actor, confirmed
        verb = "check.confirmed" if confirmed else "check.dismissed"
        record(verb=verb, target=proposal, actor=actor, project=proposal.project, after=about(proposal))
    return proposal


def about(proposal: CheckProposal) -> dict[str, Any]:
    return {
        "annotator": proposal.annotator_id,
        "action": proposal.action,
        "measure": proposal.measure,
        "batch": proposal.batch_id,
        "threshold": proposal.threshold,
        "estimate": proposal.estimate,
    }


def default_text(proposal: CheckProposal) -> str:
    """What the person reads unless the manager writes something else: it names no task."""
    if proposal.action == Action.REQUEUE:
        return _("Re-queued after checks")
    if proposal.action == Action.PAUSE:
        return _("A manager would like to talk with you about your answers before you go on.")
    return _("Several of your answers differ from what the guideline asks for. Please read it again before you go on.")
