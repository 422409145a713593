"""Messages as JSON schemas: what may be sent, by the rules of the protos, and what comes back.

A message that goes both ways has two: `…Input` says what is required, the other what is always
there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from services.gateway import rules
from services.gateway.surface import Route, field_at

Schema = dict[str, Any]

_SHORT: Schema = {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}
_SHORT_UNSIGNED: Schema = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
# Numbers of 64 bits are strings in the JSON of protobuf: not every reader keeps them whole.
_LONG: Schema = {"type": "string", "format": "int64"}
_LONGS = frozenset(
    {
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_SFIXED64,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_FIXED64,
    }
)
_LONG_LIMITS: Schema = {"minimum": -(2**63), "maximum": 2**63 - 1}
_SCALARS: dict[int, Schema] = {
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_INT32: _SHORT,
    FieldDescriptor.TYPE_SINT32: _SHORT,
    FieldDescriptor.TYPE_SFIXED32: _SHORT,
    FieldDescriptor.TYPE_UINT32: _SHORT_UNSIGNED,
    FieldDescriptor.TYPE_FIXED32: _SHORT_UNSIGNED,
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "format": "byte"},
    **dict.fromkeys(_LONGS, _LONG),
}
_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^-?[0-9]{1,11}(\.[0-9]{1,9})?s$",
        "example": "60s",
    },
    "google.protobuf.FieldMask": {
        "type": "string",
        "pattern": "^[A-Za-z0-9_., ]*$",
        "example": "low,high",
    },
}


class Schemas:
    """Collects components while it is asked; `comments` by full name."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        self.components: dict[str, Schema] = {}
        self._comments = comments

    def comment(self, full_name: str) -> str:
        return self._comments.get(full_name, "")

    def answer(self, descriptor: Descriptor) -> Schema:
        """What comes back: fields that cannot be absent are always there."""
        if descriptor.full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[descriptor.full_name])
        name = descriptor.full_name
        if name not in self.components:
            self.components[
                name
            ] = {}  # stands before its fields are read: a message may hold itself
            always = [field.name for field in descriptor.fields if not field.has_presence]
            self.components[name] = {
                "type": "object",
                "description": self.comment(name),
                "properties": {field.name: self._answered(field) for field in descriptor.fields},
                **({"required": always} if always else {}),
            }
        return _reference(name)

    def body(self, route: Route) -> tuple[Schema, bool]:
        """The body of a route, and whether there must be one."""
        given = route.path_fields if route.body == "*" else ()
        without = frozenset({*route.withheld, *given}) if route.body == "*" else frozenset()
        begin = f"{route.body}."
        bound = {name.removeprefix(begin) for name in route.path_fields if name.startswith(begin)}
        schema = self._input(route.body_type, without, frozenset(bound))
        component = self.components[schema["$ref"].rpartition("/")[2]]
        return schema, bool(component.get("required")) or route.body != "*"

    def in_path(self, route: Route, name: str) -> Schema:
        field = field_at(route.method.input_type, name)
        schema = self._as_text(field)
        return (
            schema | {"minLength": max(schema.get("minLength", 0), 1)}
            if _is_text(schema)
            else schema
        )

    def in_query(self, route: Route) -> list[Schema]:
        if route.body == "*":
            return []
        taken = {route.body, *route.path_fields, *route.withheld}
        return [
            {
                "name": name,
                "in": "query",
                "required": rules.is_required(field) and "." not in name,
                "description": self.comment(field.full_name),
                "schema": self._as_text(field),
            }
            for name, field in _parameters(route.method.input_type, taken)
        ]

    def _answered(self, field: FieldDescriptor) -> Schema:
        message = field.message_type
        if message is not None and message.GetOptions().map_entry:
            value = self._answered_one(message.fields_by_name["value"])
            return self._described({"type": "object", "additionalProperties": value}, field)
        single = self._answered_one(field)
        return self._described(
            {"type": "array", "items": single} if field.is_repeated else single, field
        )

    def _answered_one(self, field: FieldDescriptor) -> Schema:
        if field.message_type is not None:
            return self.answer(field.message_type)
        if field.enum_type is not None:
            return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
        return dict(_SCALARS[field.type])

    def _input(
        self,
        descriptor: Descriptor,
        without: frozenset[str] = frozenset(),
        bound: frozenset[str] = frozenset(),
    ) -> Schema:
        """What may be sent. Nothing else may: an unknown field is a mistake that would go
        unseen. `bound` are fields that the path says: the body need not.
        """
        if descriptor.full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[descriptor.full_name])
        said = {field.name for field in descriptor.fields if rules.is_required(field)} & bound
        name = f"{descriptor.full_name}{'ByPath' if said else ''}Input"
        if name not in self.components:
            self.components[name] = {}
            fields = [field for field in descriptor.fields if field.name not in without]
            needed = [
                field.name
                for field in fields
                if rules.is_required(field) and field.name not in said
            ]
            self.components[name] = {
                "type": "object",
                "description": self.comment(descriptor.full_name),
                "additionalProperties": False,
                "properties": {
                    field.name: self._sent(field, field.name in needed) for field in fields
                },
                **({"required": needed} if needed else {}),
                **rules.of_message(descriptor),
            }
        return _reference(name)

    def _sent(self, field: FieldDescriptor, is_required: bool) -> Schema:
        """A field in a body; one that may be absent may be null, which says the same."""
        schema = self._sent_plainly(field)
        if is_required:
            return self._described(schema, field)
        if "$ref" in schema:
            return self._described({"anyOf": [schema, {"type": "null"}]}, field)
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema = schema | {"type": [*kinds, "null"]}
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
        return self._described(schema, field)

    def _sent_plainly(self, field: FieldDescriptor) -> Schema:
        of_field = rules.rules_of(field)
        message = field.message_type
        if message is not None and message.GetOptions().map_entry:
            value = self._sent_one(message.fields_by_name["value"], of_field.map.values)
            return {"type": "object", "additionalProperties": value, **rules.of_map(of_field)}
        if field.is_repeated:
            item = self._sent_one(field, of_field.repeated.items)
            return {"type": "array", "items": item, **rules.of_list(of_field)}
        return self._sent_one(field, of_field)

    def _sent_one(self, field: FieldDescriptor, of_field: Any) -> Schema:
        if field.message_type is not None:
            schema = self._input(field.message_type)
            return schema | rules.of_duration(of_field) if "$ref" not in schema else schema
        ruled = rules.of_value(field, of_field)
        if field.enum_type is not None:
            return {"type": "string", **ruled}
        if field.type in _LONGS:
            sign = "" if ruled.get("minimum", -1) >= 0 or "exclusiveMinimum" in ruled else "-?"
            limits = _LONG_LIMITS | ruled
            return {
                "type": ["string", "integer"],
                "format": "int64",
                "pattern": f"^{sign}[0-9]{{1,18}}$",
                **limits,
            }
        return _SCALARS[field.type] | ruled

    def _as_text(self, field: FieldDescriptor) -> Schema:
        """A field in a path or a query, where everything is text that is read by its type."""
        of_field = rules.rules_of(field)
        if field.is_repeated:
            return {
                "type": "array",
                "items": self._text_one(field, of_field.repeated.items),
                **rules.of_list(of_field),
            }
        return self._text_one(field, of_field)

    def _text_one(self, field: FieldDescriptor, of_field: Any) -> Schema:
        if field.type in _LONGS:
            return {
                "type": "integer",
                "format": "int64",
                **_LONG_LIMITS,
                **rules.of_value(field, of_field),
            }
        return self._sent_one(field, of_field)

    def _described(self, schema: Schema, field: FieldDescriptor) -> Schema:
        comment = self.comment(field.full_name)
        return schema | {"description": comment} if comment and "$ref" not in schema else schema


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _parameters(
    descriptor: Descriptor, taken: set[str], before: str = ""
) -> Iterator[tuple[str, FieldDescriptor]]:
    """Fields as parameters: those of a message inside have dotted names, and a list of messages has
    none.
    """
    for field in descriptor.fields:
        name = f"{before}{field.name}"
        message = field.message_type
        if name in taken or (message is not None and message.GetOptions().map_entry):
            continue
        if message is None or message.full_name in _WELL_KNOWN:
            yield name, field
        elif not field.is_repeated:
            yield from _parameters(message, taken, f"{name}.")


def _is_text(schema: Schema) -> bool:
    return schema.get("type") == "string" and "enum" not in schema
