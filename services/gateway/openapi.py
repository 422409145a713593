"""The OpenAPI document, made from the same descriptors as the routes: a pure function of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from services.gateway import reports
from services.gateway.schemas import Schema, Schemas
from services.gateway.surface import Route

_IN_PATH = re.compile(r"\{([a-z0-9_.]+)\}")
_ERROR: Schema = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "status", "message", "details"],
            "properties": {
                "code": {"type": "integer"},
                "status": {"type": "string"},
                "message": {"type": "string"},
                "details": {"type": "array", "items": {"type": "object"}},
            },
        }
    },
    "required": ["error"],
}


def document(routes: Iterable[Route], comments: Mapping[str, str]) -> Schema:
    """OpenAPI 3.1 of these routes; `comments` by full name of method, message and field."""
    listed = list(routes)
    schemas = Schemas(comments)
    names = operation_ids(listed)
    shown = paths(listed)
    found: dict[str, Schema] = {}
    said: set[str] = set()
    for route in listed:
        name = names[route.method.full_name]
        # A method under a second path is another operation.
        name = f"{name}Again" if name in said else name
        said.add(name)
        operation = _operation(route, name, _IN_PATH.findall(shown[route]), schemas)
        found.setdefault(shown[route], {})[route.verb.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sonic",
            "version": "1",
            "description": "Every RPC of the system as HTTP and JSON.",
        },
        "paths": found,
        "components": {"schemas": {"Error": _ERROR, **schemas.components}},
    }


def operation_ids(routes: Sequence[Route]) -> dict[str, str]:
    """`listPositions`, by full name of the method; `priceClearData` where several have one of that
    name.
    """
    methods = {route.method.full_name: route.method.name for route in routes}
    counts = Counter(methods.values())
    found = {}
    for route in routes:
        name = route.method.name
        found[route.method.full_name] = (
            name[:1].lower() + name[1:] if counts[name] == 1 else f"{route.service}{name}"
        )
    return found


def paths(routes: Sequence[Route]) -> dict[Route, str]:
    """The path of each route with plain names: `/v1/positions/{id}` for `{id}` and for
    `{position.id}`.

    Readers of the document take a dotted name for none, and one path in two spellings for one of
    them.
    """
    return {
        route: _IN_PATH.sub(lambda found: f"{{{found[1].rpartition('.')[2]}}}", route.template)
        for route in routes
    }


def _operation(route: Route, name: str, in_path: Sequence[str], schemas: Schemas) -> Schema:
    kind = "text/event-stream" if route.streams else "application/json"
    comment = schemas.comment(route.method.full_name)
    parameters = [
        {"name": shown, "in": "path", "required": True, "schema": schemas.in_path(route, field)}
        for shown, field in zip(in_path, route.path_fields, strict=True)
    ]
    content: Schema = {kind: {"schema": schemas.answer(route.method.output_type)}}
    if reports.is_report(route):
        content[reports.MEDIA_TYPE] = {"schema": {"type": "string"}}
    operation: Schema = {
        "operationId": name,
        "tags": [route.service],
        "summary": comment.partition("\n")[0] or route.method.name,
        "description": comment,
        "parameters": [*parameters, *schemas.in_query(route)],
        "responses": {
            "200": {
                "description": "OK",
                "content": content,
            },
            "default": {
                "description": "A failure with its reason",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if route.body:
        schema, is_required = schemas.body(route)
        operation["requestBody"] = {
            "required": is_required,
            "content": {"application/json": {"schema": schema}},
        }
    return operation
