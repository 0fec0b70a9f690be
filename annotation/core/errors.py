"""Errors that a person can act on. Views show their text with 409 or 422, commands print it and exit with 1."""


class DomainError(Exception):
    """The base class; the text names the place and the remedy."""


class Conflict(DomainError):
    """The state changed meanwhile: somebody else was first, or the action was done before."""


class InvalidInput(DomainError):
    """The input cannot be used. `problems` lists each fault as (field or place, message)."""

    def __init__(self, message: str, problems: list[tuple[str, str]] | None = None) -> None:
        super().__init__(message)
        self.problems = problems or []
