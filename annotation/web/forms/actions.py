"""A posted form and its action: run the action if the form is valid, and show what it refuses on the form."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from django import forms

from annotation.core.errors import DomainError, InvalidInput

Result = TypeVar("Result")


@dataclass(frozen=True)
class Attempt(Generic[Result]):
    """`error` is falsy when the action was done, the error that it raised, or True when the form itself is invalid."""

    error: DomainError | bool
    value: Result | None = None

    @property
    def result(self) -> Result:
        """What the action returned; only after success."""
        assert not self.error
        return self.value  # type: ignore[return-value]  # an action may return None


def attempt(form: forms.Form | forms.ModelForm, action: Callable[[], Result], *, prefix: str = "") -> Attempt[Result]:
    """Run `action` if `form` is valid. What it refuses is put on the form; the caller renders that with 422 (409)."""
    if not form.is_valid():
        return Attempt(error=True)
    try:
        return Attempt(error=False, value=action())
    except DomainError as error:
        add_problems(form, error, prefix)
        return Attempt(error=error)


def add_problems(form: forms.Form | forms.ModelForm, error: DomainError, prefix: str = "") -> None:
    """Show what an action refused beside the fields that it names, and the rest above the form."""
    problems = error.problems if isinstance(error, InvalidInput) else []
    for field, message in problems:
        form.add_error(prefix + field if prefix + field in form.fields else None, message)
    if not problems:
        form.add_error(None, str(error))
