"""Versions of settings: the same three commands for whatever has them."""

from __future__ import annotations

from services.cli.schema.verbs import Verb

_CHANGES = ("setting_id", "field", "before", "after")


def version_verbs(
    noun: str, plural: str, list_call: str, compare_call: str, restore_call: str
) -> tuple[Verb, ...]:
    """`noun`: the command they belong to; `plural`: what is kept, in words."""
    return (
        Verb(
            "versions",
            list_call,
            columns=("number", "saved_time", "actor", "reason"),
            empty="Nothing was changed yet.",
            help=f"The {plural} as they were after each change, the newest first.",
        ),
        Verb(
            "diff",
            compare_call,
            ("number",),
            options=("other_number",),
            renamed={"other_number": "to"},
            columns=_CHANGES,
            empty="Nothing differs.",
            rows="changes",
            help="What differs from a version to now, or to another one.",
            example=f"sonic {noun} diff 3 --to 5",
        ),
        Verb(
            "restore",
            restore_call,
            ("number",),
            options=("dry_run", "last_number"),
            columns=_CHANGES,
            empty=f"Nothing to change: the {plural} are as in that version.",
            rows="changes",
            question=f"Take all {plural} back to this version? --dry-run says what would change.",
            example=f"sonic {noun} restore 3",
        ),
    )
