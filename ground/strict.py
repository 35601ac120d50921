"""Tables that people write in TOML, read strictly: an unknown key is an error that suggests the known one."""

from __future__ import annotations

import difflib
import tomllib
from typing import TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

LONGEST = 500  # characters of what is said of a mistake


class Table(BaseModel):
    """A table of a file: frozen, nothing converted, keys in-this-form."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        populate_by_name=True,
        alias_generator=lambda name: name.replace("_", "-"),
    )


Kind = TypeVar("Kind", bound=Table)


def read(text: str, model: type[Kind]) -> Kind:
    """The table that a TOML text holds; raises ValueError in one line that names the key and the way out."""
    try:
        return _read(text, model)
    except ValueError as error:
        said = str(error)  # whatever it quotes may be of any length
        raise ValueError(said if len(said) <= LONGEST else f"{said[:LONGEST]}…") from error


def _read(text: str, model: type[Kind]) -> Kind:
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also a number of 5000 digits, a thousand brackets
        raise ValueError(f"not valid TOML: {error}") from error
    for table in (values, *(each for each in values.values() if isinstance(each, dict))):
        for key in table:
            if "_" in key:  # Python's spelling of a key, which the model itself would take
                raise ValueError(f"unknown key {key!r}: did you mean {key.replace('_', '-')}?")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ValueError(explain(error, model)) from error


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """What is wrong in one line: where, what, what to do."""
    # A misspelt key is both unknown and missing: the unknown one says more.
    return _said(min(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden"), model)


def _said(detail: ErrorDetails, model: type[BaseModel]) -> str:
    place = [str(part).encode("unicode_escape").decode("ascii") for part in detail["loc"]]
    key = ".".join(place) or f"the {model.__name__.lower()}"
    if detail["type"] == "extra_forbidden":
        return f"unknown key {key}: {_suggestion(place, model)}"
    if detail["type"] == "missing":
        return f"missing key {key}: add it"
    if detail["type"] == "value_error":
        return str(detail["msg"]).removeprefix("Value error, ")
    return f"{key} = {detail['input']!r}: {detail['msg'][0].lower()}{detail['msg'][1:]}"


def _suggestion(place: list[str], model: type[BaseModel]) -> str:
    for part in place[:-1]:
        model = _table_of(part, model) or model
    known = [field.alias or name for name, field in model.model_fields.items()]
    near = difflib.get_close_matches(place[-1], known, n=1)
    return f"did you mean {near[0]}?" if near else f"known keys are {', '.join(known)}"


def _table_of(key: str, model: type[BaseModel]) -> type[BaseModel] | None:
    """The table that lies under that key."""
    for name, field in model.model_fields.items():
        if key == (field.alias or name):
            for kind in (field.annotation, *get_args(field.annotation)):
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    return kind
    return None
