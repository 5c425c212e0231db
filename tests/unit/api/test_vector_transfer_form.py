"""A form with a file is read the same however its bytes are cut; what is no form is refused."""

from __future__ import annotations

import pytest

from data.errors import InvalidValueError
from deployments.api.errors import MalformedBodyError, MediaTypeError
from deployments.api.vector_transfer_form import MAX_FIELD_BYTES, MAX_PARTS, FormReader, boundary_of

FILE = b"one\r\n--edge\r\n\r\n-\r\n--edg \x00\xff two"
BODY = (
    b"preamble\r\n--edge42\r\n"
    b'Content-Disposition: form-data; name="overwrite"\r\n\r\ntrue\r\n'
    b"--edge42  \r\n"
    b'content-disposition: form-data; name="file"; filename="v.csv"\r\n'
    b"Content-Type: text/csv\r\n\r\n" + FILE + b"\r\n"
    b'--edge42\r\nContent-Disposition: form-data; name="empty"\r\n\r\n\r\n'
    b"--edge42--\r\nepilogue"
)


def read(body: bytes, step: int) -> tuple[FormReader, bytes]:
    """Return the form and the file of a body that comes in parts of ``step`` bytes."""
    got = bytearray()
    form = FormReader(b"edge42", got.extend)
    for first in range(0, len(body), step):
        form.feed(body[first : first + step])
    form.end()
    return form, bytes(got)


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 11, 64, 10_000])
def test_form_in_parts_of_any_size_gives_file_and_fields(step: int) -> None:
    """Boundaries that lie across the edges of parts are found, and those in the file are not mistaken."""
    form, file = read(BODY, step)
    assert file == FILE
    assert form.fields == {"overwrite": "true", "empty": ""}
    assert form.filename == "v.csv"


def test_form_made_by_a_client_is_read() -> None:
    """What httpx sends is understood."""
    import httpx

    request = httpx.Request(
        "POST", "http://kite", files={"file": ("ä.csv", b"id\n1\n")}, data={"format": "csv"}
    )
    boundary = boundary_of(request.headers["content-type"])
    got = bytearray()
    form = FormReader(boundary, got.extend)
    form.feed(request.read())
    form.end()
    assert (bytes(got), form.fields) == (b"id\n1\n", {"format": "csv"})


@pytest.mark.parametrize("end", [0, 10, 60, 150, len(BODY) - 12])
def test_form_cut_short_is_refused(end: int) -> None:
    """Wherever the body ends before its last boundary, it is not taken."""
    with pytest.raises(MalformedBodyError, match="cut short"):
        read(BODY[:end], 50)


def test_form_without_a_file_is_refused() -> None:
    """Fields alone are not enough."""
    with pytest.raises(InvalidValueError, match="no file"):
        read(b'--edge42\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--edge42--\r\n', 9)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"--edge42\r\nX: y\r\n\r\n1\r\n--edge42--", MalformedBodyError),
        (b"--edge42nonsense\r\n", MalformedBodyError),
        (b"--edge42\r\n" + b"X" * 20_000, MalformedBodyError),
        (
            b'--edge42\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"1" * (MAX_FIELD_BYTES + 200),
            InvalidValueError,
        ),
        (
            b'--edge42\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * (MAX_PARTS + 1),
            InvalidValueError,
        ),
    ],
)
def test_form_beyond_its_bounds_is_refused(body: bytes, error: type[Exception]) -> None:
    """Headers, fields and parts are bounded."""
    with pytest.raises(error):
        read(body, 100)


@pytest.mark.parametrize("content_type", ["", "text/csv", "multipart/mixed; boundary=x"])
def test_body_that_is_no_form_is_an_unsupported_type(content_type: str) -> None:
    """Only forms are taken."""
    with pytest.raises(MediaTypeError):
        boundary_of(content_type)


@pytest.mark.parametrize("content_type", ["multipart/form-data", f"multipart/form-data; boundary={'x' * 71}"])
def test_form_without_a_usable_boundary_is_malformed(content_type: str) -> None:
    """A boundary that is missing or too long separates nothing."""
    with pytest.raises(MalformedBodyError):
        boundary_of(content_type)
