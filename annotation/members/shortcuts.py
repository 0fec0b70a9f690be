"""Keys of the annotation pages: what each does where it usually is, and a person's own places for them."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.core.errors import InvalidInput
from annotation.core.events import record
from annotation.models import User

CHOOSING, RANKING = frozenset({"choosing"}), frozenset({"ranking"})
PREFERRING = CHOOSING | RANKING
SCORING = frozenset({"scoring"})
JUDGING = PREFERRING | SCORING
POSTEDITING = frozenset({"postediting"})
EDITING = POSTEDITING | {"writing"}
EVERYWHERE = JUDGING | EDITING
REVIEWING, ADJUDICATING = frozenset({"reviewing"}), frozenset({"adjudicating"})
DECIDING = REVIEWING | ADJUDICATING


@dataclass(frozen=True)
class Action:
    """What a key does; `name` is the `data-action` of its control. No two actions that share one of the `pages` share
    a key. An empty `key` is one that depends on the task."""

    name: str
    key: str
    label: str | Promise
    pages: frozenset[str]


def numbered(name: str, keys: str, label: str | Promise, pages: frozenset[str]) -> tuple[Action, ...]:
    return tuple(Action(f"{name}-{n}", key, label, pages) for n, key in enumerate(keys, start=1))


GROUPS: tuple[tuple[str | Promise, tuple[Action, ...]], ...] = (
    (
        gettext_lazy("On every page"),
        (
            Action("guideline", "g", gettext_lazy("Open the guideline"), EVERYWHERE | DECIDING),
            Action("note", "n", gettext_lazy("Write a note to the reviewer"), EVERYWHERE),
            Action("flag", "l", gettext_lazy("Flag the task"), EVERYWHERE),
            Action("pause", "b", gettext_lazy("Pause"), EVERYWHERE | DECIDING),
            Action("skip", "x", gettext_lazy("Skip the task"), EVERYWHERE),
            Action("undo", "z", gettext_lazy("Undo the last submission"), EVERYWHERE),
            Action("keys", "?", gettext_lazy("List the keys"), EVERYWHERE | DECIDING),
            Action("text-smaller", "-", gettext_lazy("Smaller text"), EVERYWHERE | DECIDING),
            Action("text-larger", "+", gettext_lazy("Larger text"), EVERYWHERE | DECIDING),
        ),
    ),
    (
        gettext_lazy("Choosing between two"),
        (
            Action("choose-a", "1", gettext_lazy("A is better"), CHOOSING),
            Action("choose-b", "2", gettext_lazy("B is better"), CHOOSING),
            Action("tie", "3", gettext_lazy("Equally good"), CHOOSING),
            Action("both-bad", "4", gettext_lazy("Both bad"), CHOOSING),
            Action("slightly", "s", gettext_lazy("Slightly"), CHOOSING),
            Action("clearly", "d", gettext_lazy("Clearly"), CHOOSING),
        ),
    ),
    (
        gettext_lazy("Ranking several"),
        (
            *numbered("rank", "123456789", gettext_lazy("Rank text {n} next"), RANKING),
            Action("rank-equal", "=", gettext_lazy("The next one is as good as the last"), RANKING),
            Action("rank-tie", "", gettext_lazy("All equally good (usually the digit after the last one)"), RANKING),
            Action("rank-bad", "", gettext_lazy("All bad (usually the digit after that)"), RANKING),
            Action("rank-reset", "0", gettext_lazy("Start the ranking over"), RANKING),
        ),
    ),
    (
        gettext_lazy("Choosing and ranking"),
        (
            *numbered("reason", "qwertyuiop", gettext_lazy("Reason number {n}"), PREFERRING),
            Action("difference", "v", gettext_lazy("Show differences"), PREFERRING),
            Action("fix", "f", gettext_lazy("Fix the better one"), PREFERRING),
        ),
    ),
    (
        gettext_lazy("Scoring"),
        (
            *numbered("score", "123456789", gettext_lazy("Score {n} for the current aspect"), SCORING),
            Action("comment", "c", gettext_lazy("Write a comment"), SCORING),
        ),
    ),
    (gettext_lazy("Choosing and scoring"), (Action("mark", "m", gettext_lazy("Mark a passage"), JUDGING),)),
    (
        gettext_lazy("Writing and post-editing"),
        (
            Action("editor", "e", gettext_lazy("Go to the editor"), EDITING),
            Action("reference", "h", gettext_lazy("Glossary and similar texts"), EDITING),
            Action("reset", "r", gettext_lazy("Start over"), POSTEDITING),
            Action("accept", "a", gettext_lazy("Accept unchanged"), POSTEDITING),
        ),
    ),
    (
        gettext_lazy("Reviewing"),
        (
            Action("review-accept", "a", gettext_lazy("Accept the answer"), REVIEWING),
            Action("review-correct", "e", gettext_lazy("Correct the answer"), REVIEWING),
            Action("review-leave-out", "x", gettext_lazy("Leave the answer out"), REVIEWING),
            Action("review-send-back", "r", gettext_lazy("Send the answer back"), REVIEWING),
            Action("review-skip", "s", gettext_lazy("Pass the answer over"), REVIEWING),
            Action("review-undo", "z", gettext_lazy("Take back the last verdict"), REVIEWING),
        ),
    ),
    (
        gettext_lazy("Adjudicating"),
        (
            *numbered("decide", "123456789", gettext_lazy("Decide for answer {n}"), ADJUDICATING),
            Action("decide-divided", "d", gettext_lazy("Keep the task as divided"), ADJUDICATING),
            Action("decide-own", "e", gettext_lazy("Decide yourself"), ADJUDICATING),
            Action("cause-underspecified", "u", gettext_lazy("Cause: underspecified task"), ADJUDICATING),
            Action("cause-style", "t", gettext_lazy("Cause: matter of style"), ADJUDICATING),
            Action("cause-refusal", "f", gettext_lazy("Cause: refusal or policy"), ADJUDICATING),
            Action("cause-error", "m", gettext_lazy("Cause: somebody's error"), ADJUDICATING),
            Action("decide-skip", "s", gettext_lazy("Pass the task over"), ADJUDICATING),
            Action("decide-undo", "z", gettext_lazy("Take back the last decision"), ADJUDICATING),
        ),
    ),
)


def actions() -> Iterator[Action]:
    for _group, members in GROUPS:
        yield from members


def label_of(action: Action) -> str:
    return str(action.label).replace("{n}", action.name.rpartition("-")[2])


def key_of(action: Action, moved: dict[str, str]) -> str:
    return moved.get(action.name, action.key)


def move_keys(*, user: User, wanted: dict[str, str], single_keys: bool | None = None) -> User:
    """Put keys where this person wants them ({action: key}; the others stay), and switch single keys on or off.

    Raises InvalidInput, with the actions as places, when a key is no single character or two actions of one page
    would share it; nothing is changed then.
    """
    known = {action.name: action for action in actions()}
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user.pk)
        before = {"keys": user.keys, "single_keys": user.single_keys}
        chosen = {name: key for name, key in user.keys.items() if name in known}
        chosen |= {name: key.strip().lower() for name, key in wanted.items() if name in known}
        if problems := faults(chosen):
            raise InvalidInput(problems[0][1], problems)
        user.keys = {name: key for name, key in chosen.items() if key != known[name].key}
        user.single_keys = user.single_keys if single_keys is None else single_keys
        after = {"keys": user.keys, "single_keys": user.single_keys}
        if after != before:
            user.save(update_fields=["keys", "single_keys"])
            record(verb="user.keys_moved", target=user, actor=user, project=None, before=before, after=after)
    return user


def reset_keys(*, user: User) -> User:
    """Every key where it usually is, single keys on."""
    return move_keys(user=user, wanted={action.name: action.key for action in actions()}, single_keys=True)


def faults(moved: dict[str, str]) -> list[tuple[str, str]]:
    """What is wrong with these places, as (action, words)."""
    problems, taken = [], dict[tuple[str, str], Action]()
    # Those that stay come first, so that a fault is reported where something was changed.
    for action in sorted(actions(), key=lambda one: key_of(one, moved) != one.key):
        key = key_of(action, moved)
        if not key and not action.key:
            continue
        if len(key) != 1 or not key.isprintable() or key.isspace():
            problems.append((action.name, _("Give one character, such as a letter or a digit.")))
            continue
        other = next((taken[page, key] for page in sorted(action.pages) if (page, key) in taken), None)
        if other is not None:
            words = _("“{key}” is the key of “{label}” on the same page.")
            problems.append((action.name, words.format(key=key.upper(), label=label_of(other))))
            continue
        taken.update({(page, key): action for page in action.pages})
    return problems
