"""Where a text stops being JSON, in words with line and column.

Called where a whole file or body must be JSON. msgspec, which reads them, counts bytes only.
"""

from __future__ import annotations

import json


def json_fault(body: bytes, otherwise: str) -> str:
    """Return what is wrong with a body that msgspec refused; ``otherwise`` where nothing is found."""
    try:
        json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as exc:
        line = body.count(b"\n", 0, exc.start) + 1
        return f"not JSON at line {line}: it is not valid UTF-8 at byte {exc.start}"
    except json.JSONDecodeError as exc:
        return f"not JSON at line {exc.lineno}, column {exc.colno}: {exc.msg}"
    except RecursionError:
        return "not JSON that can be read: it is nested too deeply"
    except ValueError:
        return "not JSON that can be read: it holds a number too long"
    return f"not JSON: {otherwise}"
