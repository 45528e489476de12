"""Frozen dataclasses from plain values, as JSON has them, field by field and strictly."""

from __future__ import annotations

import math
import types
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pipeline.errors import UserError

Record = TypeVar("Record")


def read(kind: type[Record], values: Any, where: str) -> Record:
    """An object of the dataclass ``kind`` from a dictionary of its fields; lists stand for tuples.

    Fields may be of str, int, float, bool, `Literal`, tuples, tables (``dict[str, …]``), other dataclasses, or one of
    these or None. Raises
    `UserError` naming the place, such as ``config.phases[2].steps``, when a field is unknown, missing or wrong.
    """
    if not isinstance(values, dict):
        raise UserError(f"{where} is {_told(values)}; it must be a dictionary of fields")
    types_of = get_type_hints(kind)
    known = fields(kind)  # type: ignore[arg-type]  # every caller gives a dataclass
    names = [field.name for field in known]
    for name in values:
        if name not in names:
            raise UserError(f"{where} has no field {name!r}; its fields are {', '.join(names)}")
    for field in known:
        if field.name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise UserError(f"{where}.{field.name} is missing")
    return kind(**{name: _value(types_of[name], value, f"{where}.{name}") for name, value in values.items()})


def _value(kind: Any, value: Any, where: str) -> Any:
    origin, choices = get_origin(kind), get_args(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        return read(kind, value, where)
    if origin is Literal:
        if value not in choices:
            raise UserError(f"{where} is {_told(value)}; it must be one of {', '.join(map(str, choices))}")
        return value
    if origin in (Union, types.UnionType):
        (given,) = (choice for choice in choices if choice is not type(None))
        return None if value is None else _value(given, value, where)
    if origin is tuple:
        return _tuple(choices, value, where)
    if origin is dict:
        return _table(choices[1], value, where)
    return _number_or_text(kind, value, where)


def _table(kind: Any, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise UserError(f"{where} is {_told(value)}; it must be a table with texts as names")
    return {name: _value(kind, item, f"{where}.{name}") for name, item in value.items()}


def _tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise UserError(f"{where} is {_told(value)}; it must be a list")
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(value) != len(kinds):
        raise UserError(f"{where} has {len(value)} values; it must have {len(kinds)}")
    pairs = zip(kinds, value, strict=True)
    return tuple(_value(kind, item, f"{where}[{index}]") for index, (kind, item) in enumerate(pairs))


def _number_or_text(kind: Any, value: Any, where: str) -> Any:
    if kind is float and type(value) is int and abs(value) <= 2**53:
        value = float(value)
    if type(value) is not kind:  # a bool is an int to isinstance
        raise UserError(f"{where} is {_told(value)}; it must be {WORDS[kind]}")
    if kind is float and not math.isfinite(value):
        raise UserError(f"{where} is {value}; it must be a number")
    return value


WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def _told(value: Any) -> str:
    words = repr(value)
    return words if len(words) <= 60 else words[:57] + "..."
