"""What a batch is: its inputs, its options, the knowledge and models it answers from. Kept beside its rows.

Written before the first row and never changed, so a batch that is started again continues the same one, at
the same position of the knowledge, or is refused. Invariant: an output holds the rows of one manifest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, replace

import msgspec

from data.batch.output import Output
from data.batch.parts import PART_ROWS, FileMark
from data.errors import ConflictError, CorruptDataError

NAME = "_kite/manifest.json"
#: What a batch leaves in its output beside the parts and ``_kite``.
SUCCESS, REPORT, PAGE, DEAD = "_SUCCESS", "report.json", "report.html", "dead_letters.jsonl"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What changes the rows. Names of columns; ``weights`` belong to ``frameworks``, one each."""

    format: str = "jsonl"
    part_rows: int = PART_ROWS
    tenant: str = "default"
    frameworks: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    claim_column: str = "claim"
    id_column: str = "id"
    label_column: str = "label"
    context_columns: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    order: str = "input"
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """One batch. ``position`` and ``calibrated_at`` are of the ledger; every answer is as of them."""

    options: BatchOptions
    files: tuple[FileMark, ...]
    parts: int
    rows: int
    position: int
    calibrated_at: int
    model_bundle: str
    format: int = FORMAT
    software: str = field(default="")

    @property
    def inputs(self) -> str:
        """Digest of the inputs."""
        return hashlib.sha256(msgspec.json.encode(self.files)).hexdigest()

    @property
    def digest(self) -> str:
        """Digest of the whole: batches of one digest have the same rows."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


def read_manifest(output: Output) -> Manifest | None:
    """Return the manifest of an output, ``None`` where none is.

    Raises:
        CorruptDataError: it cannot be read.
    """
    body = output.read(NAME)
    if body is None:
        return None
    try:
        return msgspec.json.decode(body, type=Manifest)
    except msgspec.DecodeError as exc:
        raise CorruptDataError(
            f"{output.address}/{NAME} cannot be read ({exc}): give --fresh to begin anew."
        ) from exc


def claim_output(output: Output, wanted: Manifest) -> Manifest:
    """Return the manifest under which a batch goes on: the one that is there, else the wanted one, kept.

    Raises:
        ConflictError: the output holds another batch, or rows of no batch.
    """
    there = read_manifest(output)
    if there is None:
        if any(part_number(name) is not None for name in output.names()):
            raise ConflictError(
                f"{output.address} holds rows of no known batch: choose another --out, or give --fresh."
            )
        if output.create(NAME, msgspec.json.format(msgspec.json.encode(wanted), indent=1) + b"\n"):
            return wanted
        return claim_output(output, wanted)
    changed = _changed(there, wanted)
    if changed:
        raise ConflictError(
            f"{output.address} holds a batch with other {changed}: choose another --out, or give --fresh to "
            "begin anew."
        )
    return there


def check_held(output: Output, digest: str) -> None:
    """Check that an output still holds the batch of this digest, before a row is written to it.

    Raises:
        ConflictError: another command has begun another batch there.
    """
    there = read_manifest(output)
    if there is None or there.digest != digest:
        raise ConflictError(
            f"{output.address} was begun anew by another command while this one ran: give each its own --out."
        )


def clear(output: Output) -> None:
    """Remove a batch from its output, its manifest last: cut off, it is still the old batch."""
    for name in (SUCCESS, REPORT, PAGE, DEAD):
        output.remove(name)
    for name in output.names():
        if part_number(name) is not None:
            output.remove(name)
    for folder in ("_kite/parts", "_kite/dead", "_kite/order", "_kite/drafts"):
        for name in output.names(folder):
            output.remove(f"{folder}/{name}")
    output.remove(NAME)


def part_name(number: int, form: str) -> str:
    """Return the name of a part's rows."""
    return f"part-{number:06d}.{form}"


def part_number(name: str) -> int | None:
    """Return the number of the part whose rows a file holds, ``None`` for any other file."""
    stem, _, ending = name.partition(".")
    digits = stem.removeprefix("part-")
    return int(digits) if digits != stem and digits.isdigit() and ending in ("jsonl", "parquet") else None


def parts_done(output: Output, form: str) -> set[int]:
    """Return the numbers of the parts that are there."""
    numbers = (part_number(name) for name in output.names() if name.endswith(f".{form}"))
    return {number for number in numbers if number is not None}


def _changed(there: Manifest, wanted: Manifest) -> str:
    """Return in words what differs, empty if the batches are the same one."""
    if there.files != wanted.files:
        return "inputs"
    names = [
        one.name.replace("_", "-")
        for one in fields(BatchOptions)
        if getattr(there.options, one.name) != getattr(wanted.options, one.name)
    ]
    if names:
        return f"options (--{', --'.join(names)})"
    same = replace(wanted, position=there.position, calibrated_at=there.calibrated_at)
    if replace(same, model_bundle="", software="") != replace(there, model_bundle="", software=""):
        return "parts"
    return "" if there.model_bundle == wanted.model_bundle else "models or settings than the present ones"
