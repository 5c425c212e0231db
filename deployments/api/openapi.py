"""The OpenAPI document, built once from the route table in ``api.asgi``.

Version 3.0.3, because the installed Swagger UI reads no later one; JSON Schema as pydantic writes it is
turned into the older dialect here. Every operation states its limits in words and, for programs, under
``x-limits``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from types import UnionType
from typing import Any, Literal, get_args

import msgspec
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from data.claims import MAX_CLAIM_CHARS
from data.text.extraction import MAX_TEXT_CHARS
from deployments.api.rules import Access
from deployments.api.schemas import MAX_SESSION_STEPS
from deployments.api.wire import ProblemAnswer
from deployments.services import ApiLimits, Services

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_REF = "#/components/schemas/{model}"
_STRUCT_REF = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route with its documentation. ``body`` and ``answer`` are types; ``media_type`` is the answer's.

    ``body_types`` are media types of bodies that are not JSON of ``body``; ``status`` is that of success;
    ``access`` is the rule that the guard holds callers to.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    handler: Handler
    summary: str
    body: Any = None
    answer: Any = None
    media_type: str = "application/json"
    problems: tuple[int, ...] = ()
    queries: tuple[dict[str, Any], ...] = ()
    example: Any = None
    in_schema: bool = True
    body_types: tuple[str, ...] = ()
    #: Schema of a body that is a form, in the dialect of OpenAPI 3.0.
    form: Mapping[str, Any] | None = None
    status: int = 200
    limits: Mapping[str, int | float] = field(default_factory=dict)
    access: Access = field(kw_only=True)

    @property
    def shown_path(self) -> str:
        """The path as it is documented: a parameter that takes slashes looks like any other."""
        return self.path.replace(":path}", "}")

    @property
    def has_body(self) -> bool:
        """Whether a body is sent."""
        return self.body is not None or bool(self.body_types) or self.form is not None

    @property
    def description(self) -> str:
        """The handler's own sentence."""
        return (self.handler.__doc__ or "").partition("\n\n")[0].replace("\n", " ")


@dataclass(slots=True)
class _Components:
    """Schemas collected so far, by name."""

    schemas: dict[str, Any] = field(default_factory=dict)

    def schema_of(self, shape: Any, mode: Literal["validation", "serialization"]) -> dict[str, Any]:
        """Return the schema of a type; models it is made of go to the components."""
        if structs := _structs_in(shape):
            return self._schema_of_structs(structs)
        schema = deepcopy(_json_schema(shape, mode))
        for name, definition in schema.pop("$defs", {}).items():
            self.schemas[name] = to_openapi_30(definition)
        title = schema.get("title", "")
        if schema.get("type") == "object" and re.fullmatch(r"[A-Z]\w+", title):
            self.schemas[title] = to_openapi_30(schema)
            return {"$ref": _REF.format(model=title)}
        converted: dict[str, Any] = to_openapi_30(schema)
        return converted

    def _schema_of_structs(self, structs: tuple[type[msgspec.Struct], ...]) -> dict[str, Any]:
        found, definitions = msgspec.json.schema_components(structs, ref_template=_STRUCT_REF)
        for name, definition in definitions.items():
            self.schemas[name] = to_openapi_30(definition)
        return found[0] if len(found) == 1 else {"anyOf": list(found)}


@cache
def _json_schema(shape: Any, mode: Literal["validation", "serialization"]) -> dict[str, Any]:
    """Return pydantic's schema of a type, worked out once a process: it is most of the document's cost."""
    return TypeAdapter(shape).json_schema(mode=mode, ref_template=_REF)


def _structs_in(shape: Any) -> tuple[type[msgspec.Struct], ...]:
    """Return the msgspec structs that a shape is one of; empty where it is something else."""
    options = get_args(shape) if isinstance(shape, UnionType) else (shape,)
    if all(isinstance(option, type) and issubclass(option, msgspec.Struct) for option in options):
        return tuple(options)
    return ()


def build_document(endpoints: Iterable[Endpoint], services: Services) -> dict[str, Any]:
    """Return the OpenAPI document of a route table."""
    components = _Components()
    components.schema_of(ProblemAnswer, "serialization")
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        if endpoint.in_schema:
            operation = _operation(endpoint, components, services.limits)
            paths.setdefault(endpoint.shown_path, {})[endpoint.method.lower()] = operation
    _name_frameworks(components.schemas, services.frameworks)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Brahminy Kite",
            "version": services.version,
            "description": "Claims in, verdicts with cited evidence out. All paths are also under /api/v1.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.schemas.items())),
            "securitySchemes": _SCHEMES,
        },
    }


def _operation(endpoint: Endpoint, components: _Components, limits: ApiLimits) -> dict[str, Any]:
    answer: dict[str, Any] = {"schema": {"type": "string"}}
    if endpoint.answer is not None:
        answer = {"schema": components.schema_of(endpoint.answer, "serialization")}
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "description": f"{endpoint.description}\n\n{_limits_in_words(endpoint, limits)}",
        "operationId": _operation_id(endpoint),
        "tags": [endpoint.path.strip("/").split("/")[0] or "service"],
        "parameters": [*_path_parameters(endpoint.shown_path), *endpoint.queries, _REQUEST_ID],
        "responses": {
            str(endpoint.status): {
                "description": HTTPStatus(endpoint.status).phrase,
                "content": {endpoint.media_type: answer},
            },
            **{str(status): _problem_response(status) for status in sorted(_problems(endpoint))},
        },
        "x-limits": _limits(endpoint, limits),
    }
    if endpoint.access.role is not None:
        operation["security"] = [{name: []} for name in _SCHEMES]
        operation["x-role"] = endpoint.access.role
    if endpoint.has_body:
        operation["requestBody"] = {"required": True, "content": _contents(endpoint, components, limits)}
    return operation


def _problems(endpoint: Endpoint) -> set[int]:
    """Return the statuses of the problems that a call may meet, those of the guard among them."""
    guarded = {401, 403, 429, 503} if endpoint.access.role is not None else set[int]()
    return {*endpoint.problems, *guarded, 500, 504}


def _contents(endpoint: Endpoint, components: _Components, limits: ApiLimits) -> dict[str, Any]:
    """Return what a body may be, by media type."""
    raw: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
    contents = dict.fromkeys(endpoint.body_types, raw)
    if endpoint.form is not None:
        contents["multipart/form-data"] = {"schema": dict(endpoint.form)}
    if endpoint.body is None:
        return contents
    content: dict[str, Any] = {"schema": components.schema_of(endpoint.body, "validation")}
    for schema in (content["schema"], *content["schema"].get("anyOf", ())):
        if schema.get("type") == "array":
            schema.update(minItems=1, maxItems=limits.batch_claims)
    if endpoint.example is not None:
        content["example"] = endpoint.example
    return {"application/json": content, **contents}


def _operation_id(endpoint: Endpoint) -> str:
    words = re.sub(r"\W+", "_", endpoint.shown_path).strip("_")
    return f"{endpoint.method.lower()}_{words or 'root'}"


def _limits(endpoint: Endpoint, limits: ApiLimits) -> dict[str, Any]:
    found: dict[str, Any] = {"timeout_s": limits.request_timeout_s}
    if endpoint.has_body:
        found["body_bytes"] = limits.body_bytes
    if endpoint.path.endswith(("verify", "/env/step")):
        found["claim_chars"] = MAX_CLAIM_CHARS
    if endpoint.path in ("/verify/text", "/claims/extract"):
        found["text_chars"] = MAX_TEXT_CHARS
    if endpoint.path.startswith("/batch"):
        found["items"] = limits.batch_claims
    found.update(endpoint.limits)
    if endpoint.path == "/env/reset":
        found["sessions_per_tenant"] = limits.sessions_per_tenant
        found["session_ttl_s"] = limits.session_ttl_s
        found["steps"] = MAX_SESSION_STEPS
    return found


#: How a credential may come; any one of them.
_SCHEMES: dict[str, dict[str, str]] = {
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "An API key; as well as `Authorization: ApiKey KEY`.",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "A JSON Web Token, or an API key."},
}
_LIMIT_WORDS = {
    "timeout_s": "answered within {} s, else 504",
    "body_bytes": "body of at most {} bytes",
    "claim_chars": "claim of 1 to {} characters",
    "text_chars": "text of 1 to {} characters",
    "items": "1 to {} items",
    "sessions_per_tenant": "at most {} sessions",
    "session_ttl_s": "a session ends {} s after its last reset",
    "steps": "at most {} steps an episode",
    "things": "1 to {} things, all or nothing",
    "vectors": "1 to {} vectors",
    "datasets": "1 to {} datasets",
    "dimensions": "at most {} dimensions",
    "results": "at most {} results",
    "document_chars": "text of 1 to {} characters",
    "rows": "at most {} rows",
    "text_in_rows": "at most {} characters in all rows",
    "query_chars": "query of at most {} characters",
    "query_s": "query stopped after {} s",
    "query_rows": "at most {} rows in an answer",
}


def _limits_in_words(endpoint: Endpoint, limits: ApiLimits) -> str:
    found = _limits(endpoint, limits)
    return (
        "Limits: "
        + "; ".join(
            _LIMIT_WORDS[name].format(f"{value:g}" if isinstance(value, float) else value)
            for name, value in found.items()
        )
        + "."
    )


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "maxLength": 512}}
        for name in re.findall(r"{(\w+)}", path)
    ]


_REQUEST_ID = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "Taken over when it is 1 to 128 letters, digits, dots, dashes; always returned.",
    "schema": {"type": "string"},
}


def _problem_response(status: int) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {"application/problem+json": {"schema": {"$ref": _REF.format(model="ProblemAnswer")}}},
    }
    if status in (429, 503):
        response["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return response


def _name_frameworks(schemas: Mapping[str, Any], frameworks: tuple[str, ...]) -> None:
    for model in ("VerifyRequest", "VerifyTextRequest", "ConfigFields"):
        if model in schemas:
            schemas[model]["properties"]["frameworks"]["items"] = {"type": "string", "enum": list(frameworks)}


def to_openapi_30(schema: Any) -> Any:
    """Return a JSON Schema (2020-12, as pydantic writes it) in the dialect of OpenAPI 3.0."""
    if isinstance(schema, list):
        return [to_openapi_30(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: to_openapi_30(value) for key, value in schema.items() if key != "examples"}
    if "const" in found:
        found["enum"] = [found.pop("const")]
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(found.get(bound), (int, float)) and not isinstance(found[bound], bool):
            found[limit], found[bound] = found[bound], True
    return _nullable(found)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    options = schema.get("anyOf")
    if not isinstance(options, list) or {"type": "null"} not in options:
        return schema
    rest = [option for option in options if option != {"type": "null"}]
    others = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    if len(rest) > 1:
        return {**others, "anyOf": rest, "nullable": True}
    only = rest[0]
    return (
        {**others, "allOf": [only], "nullable": True}
        if "$ref" in only
        else {**only, **others, "nullable": True}
    )


def json_paths(endpoints: Iterable[Endpoint]) -> list[str]:
    """Return the documented paths, each once, in the order of the table."""
    return list(dict.fromkeys(endpoint.shown_path for endpoint in endpoints if endpoint.in_schema))
