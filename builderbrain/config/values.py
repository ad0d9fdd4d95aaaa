"""What a configuration says of a value that has the wrong type: what was expected, what came, and how to write it."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

_SINGLE: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", NoneType: "nothing"}
_LISTS = (tuple, list)


def refusal(kind: Any, item: Any, name: str) -> str:
    """The message that refuses `item` for the key `name` of type `kind`."""
    hint = _hint(kind, item, name)
    came = "nothing" if item is None else repr(item)
    return f"{name}: expected {_described(kind)}, got {came}{f'; {hint}' if hint else ''}"


def _described(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in _SINGLE:
        return _SINGLE[kind]
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in _LISTS:
        items = [argument for argument in arguments if argument is not Ellipsis]
        count = "" if origin is list or Ellipsis in arguments else f" of {len(items)}"
        words = {int: "whole numbers", float: "numbers", str: "texts"}
        return f"a list{count} {'' if count else 'of '}{words.get(items[0], 'values')}" if items else "a list"
    if origin in (Union, UnionType):
        return " or ".join(_described(argument) for argument in arguments)
    return str(getattr(kind, "__name__", kind))


def _hint(kind: Any, item: Any, name: str) -> str:
    """How to write what was probably meant; empty when that cannot be told."""
    last = name.rpartition(".")[2]
    if item is None:
        return f"write {last}=VALUE, or leave the key out for its default"
    if get_origin(kind) in _LISTS and isinstance(item, int | float | str):
        return f"write [{item}]"
    if kind is str and isinstance(item, int | float):
        return f'write it in quotes: "{item}"'
    if kind is int:
        number = _number(item)
        if number is not None and number == int(number):
            return f"write {int(number)}"
        if number is not None:
            return "leave the fraction out"
    return ""


def _number(item: Any) -> float | None:
    if isinstance(item, bool) or not isinstance(item, int | float | str):
        return None
    try:
        number = float(item)
    except ValueError:
        return None
    return number if abs(number) < 1e18 else None
