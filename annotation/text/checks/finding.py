from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """One warning: its name (such as `number`) and the values of its sentence."""

    name: str
    values: dict[str, str | int] = field(default_factory=dict)
