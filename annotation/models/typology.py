"""What a project starts with, by its goal: categories of errors to mark, and reasons why one text is better.

Both are stored in English, also in answers, and shown in the reader's language (`label`); a name that a manager typed
is shown as it was typed. Managers edit both lists like any others.
"""

from collections.abc import Iterable
from functools import cache

from django.conf import settings
from django.utils.translation import gettext, override
from django.utils.translation import gettext_noop as _

# Goals, as `Project.Goal` stores them.
TRANSLATION, PERSONA = "translation", "persona"

# MQM Core (themqm.org), of its subtypes those that people tell apart in a text without its layout, by dimension:
# accuracy, terminology, linguistic conventions, style, locale conventions, audience appropriateness, markup.
# Twenty have a key on the page.
ERROR_CATEGORIES = {
    TRANSLATION: (
        _("Mistranslation"),
        _("Omission"),
        _("Addition"),
        _("Untranslated"),
        _("Overtranslation"),
        _("Undertranslation"),
        _("Terminology"),
        _("Grammar"),
        _("Spelling"),
        _("Punctuation"),
        _("Unintelligible"),
        _("Register"),
        _("Awkward"),
        _("Unidiomatic"),
        _("Style"),
        _("Locale"),
        _("Audience"),
        _("Markup"),
    ),
    # What is wrong with a reply: its content, whether it answers, its manner, its language, its harm.
    PERSONA: (
        _("Wrong fact"),
        _("Made-up content"),
        _("Contradiction"),
        _("Does not answer"),
        _("Missing content"),
        _("Irrelevant content"),
        _("Repetition"),
        _("Out of character"),
        _("Tone"),
        _("Register"),
        _("Grammar"),
        _("Spelling"),
        _("Unintelligible"),
        _("Unsafe"),
        _("Private data"),
    ),
}
REASON_TAGS = {
    TRANSLATION: (
        _("Meaning"),
        _("Completeness"),
        _("Terminology"),
        _("Grammar"),
        _("Naturalness"),
        _("Register"),
        _("Style"),
    ),
    PERSONA: (
        _("Relevance"),
        _("Facts"),
        _("Completeness"),
        _("Clarity"),
        _("Brevity"),
        _("Persona"),
        _("Tone"),
        _("Language quality"),
    ),
}
NAMES = frozenset(name for lists in (ERROR_CATEGORIES, REASON_TAGS) for names in lists.values() for name in names)


def label(name: str) -> str:
    """A category or a reason in the reader's language, if it is one of ours; any other as it is."""
    return gettext(name) if name in NAMES else name


def stored_name(typed: str, kept: Iterable[str] = ()) -> str:
    """The inverse of `label`, of every language of the site. What the project has under this very name is `kept`."""
    return typed if typed in kept else names_by_label().get(typed, typed)


@cache
def names_by_label() -> dict[str, str]:
    found: dict[str, str] = {}
    for language, _name in settings.LANGUAGES:
        with override(language):
            found |= {gettext(name): name for name in sorted(NAMES)}
    return found
