"""The kinds of files that hold vectors, and how a file is known to be of one. For imports and exports."""

from __future__ import annotations

from typing import Literal, get_args

from data.errors import InvalidValueError

#: Kinds of files that are read. ``npy`` and ``fvecs`` hold values only: a vector's id is its number, from 0.
Form = Literal["csv", "json", "jsonl", "parquet", "npy", "fvecs"]
FORMS: tuple[Form, ...] = get_args(Form)
#: Kinds that are written.
ExportForm = Literal["csv", "json", "jsonl", "parquet", "npy"]
EXPORT_FORMS: tuple[ExportForm, ...] = get_args(ExportForm)
#: Kinds whose numbers alone are in the file.
VALUES_ONLY = frozenset({"npy", "fvecs"})

_ENDINGS: dict[str, Form] = {".ndjson": "jsonl", **{f".{form}": form for form in FORMS}}
#: Kinds that may be packed with gzip.
_TEXT = ("csv", "json", "jsonl")


def form_of(name: str) -> Form:
    """Return what a file of this name holds: by its ending, ``.gz`` after that of a text file aside.

    Raises:
        InvalidValueError: the ending tells nothing.
    """
    lower = name.lower()
    packed = lower.endswith(".gz")
    stem = lower.removesuffix(".gz")
    for ending, form in _ENDINGS.items():
        if stem.endswith(ending) and (form in _TEXT or not packed):
            return form
    raise InvalidValueError(
        f"{name[-100:]!r} does not say what the file holds: end its name in one of "
        f"{', '.join(_ENDINGS)} (text files also with .gz behind), or name the format."
    )


def read_form(value: str) -> Form:
    """Return a kind by its name.

    Raises:
        InvalidValueError: there is none of that name.
    """
    lower = value.strip().lower()
    for form in FORMS:
        if lower == form:
            return form
    raise InvalidValueError(f"format {value[:40]!r} is not known: use one of {', '.join(FORMS)}.")


def read_export_form(value: str) -> ExportForm:
    """Return a kind that can be written, by its name.

    Raises:
        InvalidValueError: there is none of that name.
    """
    lower = value.strip().lower()
    for form in EXPORT_FORMS:
        if lower == form:
            return form
    raise InvalidValueError(f"format {value[:40]!r} cannot be written: use one of {', '.join(EXPORT_FORMS)}.")
