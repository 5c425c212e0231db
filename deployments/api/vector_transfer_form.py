"""A form with a file (``multipart/form-data``, RFC 7578), read while it streams in.

Called by the import route. The file goes straight to disk, small fields stay in memory. Invariant: no more is
held than one part of the body and the bounds below, whatever is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from email import policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser

from data.errors import InvalidValueError
from deployments.api.errors import MalformedBodyError, MediaTypeError

#: Most bytes of the headers of one part, of one field, and most parts.
MAX_HEADER_BYTES, MAX_FIELD_BYTES, MAX_PARTS = 16 * 1024, 16 * 1024, 64
#: RFC 2046 §5.1.1: the characters and the length of a boundary.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
FORM_TYPE = "multipart/form-data"


def boundary_of(content_type: str) -> bytes:
    """Return what separates the parts of a form.

    Raises:
        MediaTypeError: the body is no form. MalformedBodyError: its boundary is missing.
    """
    message = EmailMessage(policy=policy.HTTP)
    message["content-type"] = content_type[:1_000]
    if message.get_content_type() != FORM_TYPE:
        raise MediaTypeError(f"Send the file as a form: {FORM_TYPE} with a part named file.")
    boundary = str(message.get_param("boundary") or "")
    if not _BOUNDARY.fullmatch(boundary):
        raise MalformedBodyError("The Content-Type of the form names no boundary that can be used.")
    return boundary.encode()


class FormReader:
    """Reads one form, fed with the parts of its body; the first part named ``file`` goes to ``write``."""

    def __init__(self, boundary: bytes, write: Callable[[bytes], object]) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._write = write
        self._held = b"\r\n"  # so that the first boundary looks like the others
        self._step: Callable[[], bool] = self._in_preamble
        self._name: str | None = None
        self._field = b""
        self._parts = 0
        #: Fields by name, and the name that the file had where it came from; ``None`` without a file.
        self.fields: dict[str, str] = {}
        self.filename: str | None = None

    def feed(self, part: bytes) -> None:
        """Take in the next bytes of the body.

        Raises:
            MalformedBodyError: it is no form. InvalidValueError: a field is too long, or they are too many.
        """
        self._held += part
        while self._step():
            pass

    def end(self) -> None:
        """Take note that the body is over.

        Raises:
            MalformedBodyError: it is cut short. InvalidValueError: it has no file.
        """
        if self._step != self._behind:
            raise MalformedBodyError("The form is cut short: its last boundary is missing.")
        if self.filename is None:
            raise InvalidValueError("The form has no file: send it as a part named file.")

    def _in_preamble(self) -> bool:
        return self._to_delimiter(lambda _skipped: None)

    def _in_body(self) -> bool:
        if not self._to_delimiter(self._take):
            return False
        if self._name is not None:
            self.fields[self._name] = self._field.decode("utf-8", "replace")
        return True

    def _to_delimiter(self, take: Callable[[bytes], None]) -> bool:
        """Hand over what comes before the next boundary; return whether that was found."""
        place = self._held.find(self._delimiter)
        if place < 0:
            keep = len(self._delimiter) - 1
            take(self._held[:-keep])
            self._held = self._held[-keep:]
            return False
        take(self._held[:place])
        self._held = self._held[place + len(self._delimiter) :]
        self._step = self._at_delimiter
        return True

    def _at_delimiter(self) -> bool:
        bare = self._held.lstrip(b" \t")
        if bare.startswith(b"--"):
            self._step = self._behind
            return True
        if len(bare) < 2:
            return self._require_short(self._held)
        if not bare.startswith(b"\r\n"):
            raise MalformedBodyError("The form has a boundary that is followed by something else.")
        self._held = bare
        self._step = self._in_headers
        return True

    def _in_headers(self) -> bool:
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            return self._require_short(self._held)
        self._begin_part(self._held[2 : end + 4])
        self._held = self._held[end + 4 :]
        self._field, self._step = b"", self._in_body
        return True

    def _behind(self) -> bool:
        self._held = b""
        return False

    def _begin_part(self, headers: bytes) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidValueError(f"The form has more than {MAX_PARTS} parts.")
        parsed = BytesHeaderParser(policy=policy.HTTP).parsebytes(headers)
        disposition = parsed["content-disposition"]
        if disposition is None or disposition.content_disposition != "form-data":
            raise MalformedBodyError("A part of the form has no Content-Disposition: form-data.")
        name = str(disposition.params.get("name", ""))
        is_file = name == "file" and self.filename is None
        if is_file:
            self.filename = str(disposition.params.get("filename", ""))
        self._name = None if is_file else name

    def _take(self, content: bytes) -> None:
        if self._name is None:
            self._write(content)
            return
        self._field += content
        if len(self._field) > MAX_FIELD_BYTES:
            raise InvalidValueError(
                f"The field {self._name[:60]!r} of the form has more than {MAX_FIELD_BYTES} bytes."
            )

    def _require_short(self, held: bytes) -> bool:
        if len(held) > MAX_HEADER_BYTES:
            raise MalformedBodyError("The headers of a part of the form are too long.")
        return False
