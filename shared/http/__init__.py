"""Asking a provider over HTTP for JSON, bounded in time, size and tries."""

from shared.http.client import Answer, ProviderHttp
from shared.http.failure import FailureKind, ProviderFailure
from shared.http.scope import asking
from shared.http.strict_json import BadJson, parse
from shared.http.trust import trust

__all__ = [
    "Answer",
    "BadJson",
    "FailureKind",
    "ProviderFailure",
    "ProviderHttp",
    "asking",
    "parse",
    "trust",
]
