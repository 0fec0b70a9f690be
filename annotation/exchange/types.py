"""Types of an export's columns, for every format. Pure: no Django; pyarrow is imported where a schema is asked for."""

import json
from dataclasses import dataclass
from typing import Any

# What is encoded are trees: nothing in them contains itself.
ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False).encode


@dataclass(frozen=True)
class Simple:
    """A value without parts. `time` is ISO 8601 in UTC with microseconds; `json` is whatever JSON a file brought along:
    in Parquet its text."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Several:
    """A list."""

    of: "Type"

    def __str__(self) -> str:
        return f"list of {self.of}"


@dataclass(frozen=True)
class Parts:
    """An object with these keys, always all of them."""

    keys: tuple[tuple[str, "Type"], ...]

    def __str__(self) -> str:
        return "(" + ", ".join(f"{key} {kind}" for key, kind in self.keys) + ")"


Type = Simple | Several | Parts
TEXT, INTEGER, NUMBER, TRUTH, TIME, JSON = map(Simple, ("text", "integer", "number", "true or false", "time", "json"))


def several(of: Type) -> Several:
    return Several(of)


def parts(**keys: Type) -> Parts:
    return Parts(tuple(keys.items()))


def has_json(kind: Type) -> bool:
    """Whether a value of the type may have free JSON in it."""
    match kind:
        case Several(of):
            return has_json(of)
        case Parts(keys):
            return any(has_json(of) for _key, of in keys)
    return kind == JSON


def without_json(kind: Type, value: Any) -> Any:
    """The value with the text of each free JSON in it, for columns that must have a type."""
    if value is None:
        return None
    match kind:
        case Several(of):
            return [without_json(of, part) for part in value]
        case Parts(keys):
            return {key: without_json(of, value[key]) for key, of in keys}
    return ENCODE(value) if kind == JSON else value


def arrow_type(kind: Type) -> Any:
    import pyarrow as pa

    match kind:
        case Several(of):
            return pa.list_(arrow_type(of))
        case Parts(keys):
            return pa.struct([(key, arrow_type(of)) for key, of in keys])
    return {
        TEXT: pa.string(),
        INTEGER: pa.int64(),
        NUMBER: pa.float64(),
        TRUTH: pa.bool_(),
        TIME: pa.timestamp("us", tz="UTC"),
        JSON: pa.string(),
    }[kind]
