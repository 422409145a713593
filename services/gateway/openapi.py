"""The OpenAPI document, made from the same descriptors as the routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from services.gateway.surface import Route

Schema = dict[str, Any]

_SHORT: Schema = {"type": "integer", "format": "int32"}
_SHORT_UNSIGNED: Schema = {"type": "integer", "minimum": 0}
# Numbers of 64 bits are strings in the JSON of protobuf: not every reader keeps them whole.
_LONG: Schema = {"type": "string", "format": "int64"}
_SCALARS: dict[int, Schema] = {
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_INT32: _SHORT,
    FieldDescriptor.TYPE_SINT32: _SHORT,
    FieldDescriptor.TYPE_SFIXED32: _SHORT,
    FieldDescriptor.TYPE_UINT32: _SHORT_UNSIGNED,
    FieldDescriptor.TYPE_FIXED32: _SHORT_UNSIGNED,
    FieldDescriptor.TYPE_INT64: _LONG,
    FieldDescriptor.TYPE_SINT64: _LONG,
    FieldDescriptor.TYPE_SFIXED64: _LONG,
    FieldDescriptor.TYPE_UINT64: _LONG,
    FieldDescriptor.TYPE_FIXED64: _LONG,
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "format": "byte"},
}
_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "example": "60s"},
    "google.protobuf.FieldMask": {"type": "string", "example": "low,high"},
}
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
    schemas: dict[str, Schema] = {"Error": _ERROR}
    paths: dict[str, Schema] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.verb.lower()] = _operation(route, schemas, comments)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sonic", "version": "1", "description": "Every RPC of the house as HTTP and JSON."},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(route: Route, schemas: dict[str, Schema], comments: Mapping[str, str]) -> Schema:
    kind = "text/event-stream" if route.streams else "application/json"
    answer = _reference(route.method.output_type, schemas, comments)
    comment = comments.get(route.method.full_name, "")
    operation: Schema = {
        "operationId": route.method.full_name,
        "tags": [route.service],
        "summary": comment.partition("\n")[0] or route.method.name,
        "description": comment,
        "parameters": [*_path_parameters(route), *_query_parameters(route, schemas, comments)],
        "responses": {
            "200": {"description": "OK", "content": {kind: {"schema": answer}}},
            "default": {
                "description": "A failure with its reason",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if route.body:
        withheld = route.withheld if route.body == "*" else frozenset()
        schema = _reference(route.body_type, schemas, comments, withheld)
        operation["requestBody"] = {
            "required": route.body != "*",
            "content": {"application/json": {"schema": schema}},
        }
    return operation


def _path_parameters(route: Route) -> list[Schema]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in route.path_fields
    ]


def _query_parameters(route: Route, schemas: dict[str, Schema], comments: Mapping[str, str]) -> list[Schema]:
    if route.body == "*":
        return []
    taken = {route.body, *route.path_fields, *route.withheld}
    return [
        {
            "name": field.name,
            "in": "query",
            "required": False,
            "description": comments.get(field.full_name, ""),
            "schema": _field_schema(field, schemas, comments),
        }
        for field in route.method.input_type.fields
        if field.name not in taken
    ]


def _reference(
    descriptor: Descriptor,
    schemas: dict[str, Schema],
    comments: Mapping[str, str],
    withheld: frozenset[str] = frozenset(),
) -> Schema:
    if descriptor.full_name in _WELL_KNOWN:
        return dict(_WELL_KNOWN[descriptor.full_name])
    name = descriptor.full_name
    if name not in schemas:
        schemas[name] = {}  # stands before its fields are read: a message may hold itself
        schemas[name] = {
            "type": "object",
            "description": comments.get(name, ""),
            "properties": {
                field.name: _field_schema(field, schemas, comments)
                for field in descriptor.fields
                if field.name not in withheld
            },
        }
    return {"$ref": f"#/components/schemas/{name}"}


def _field_schema(field: FieldDescriptor, schemas: dict[str, Schema], comments: Mapping[str, str]) -> Schema:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        value = _single(message.fields_by_name["value"], schemas, comments)
        return {"type": "object", "additionalProperties": value}
    single = _single(field, schemas, comments)
    if field.is_repeated:
        return {"type": "array", "items": single}
    comment = comments.get(field.full_name)
    return single if comment is None or "$ref" in single else single | {"description": comment}


def _single(field: FieldDescriptor, schemas: dict[str, Schema], comments: Mapping[str, str]) -> Schema:
    if field.message_type is not None:
        return _reference(field.message_type, schemas, comments)
    if field.enum_type is not None:
        return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    return dict(_SCALARS[field.type])
