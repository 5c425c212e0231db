"""What sections of the settings are made of: their base, and the kinds of numbers in them.

Imported by ``configs.schema`` and the modules that hold single sections.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0.0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]


class Part(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section of the settings: frozen, and a key it does not know is an error."""
