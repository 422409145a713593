"""What the driver raises when a connection breaks under it: try again, never INTERNAL."""

import asyncpg
import pytest
from sqlalchemy import exc

from shared.database.failures import translated
from shared.errors import Unavailable

BUSY = asyncpg.InterfaceError("cannot perform operation: another operation is in progress")


@pytest.mark.parametrize(
    "raised",
    [
        BUSY,
        asyncpg.InternalClientError("got result for unknown protocol state 3"),
        asyncpg.ProtocolError("unexpected message"),
        exc.InterfaceError("SELECT 1", {}, BUSY),
        exc.InterfaceError("SELECT 1", {}, Exception("connection is closed")),
        exc.DBAPIError("SELECT 1", {}, ConnectionResetError()),
    ],
)
def test_a_connection_that_broke_in_the_middle_is_unavailable(raised: Exception) -> None:
    with pytest.raises(Unavailable) as met, translated(exc.SQLAlchemyError):
        raise raised
    assert met.value.reason == "DATABASE_UNAVAILABLE"


@pytest.mark.parametrize(
    "raised",
    [
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        asyncpg.OutOfMemoryError("out of memory"),
        asyncpg.ConfigurationLimitExceededError("temporary file size exceeds temp_file_limit"),
    ],
)
def test_a_server_without_resources_is_said_with_its_words(raised: Exception) -> None:
    with pytest.raises(Unavailable, match=str(raised)) as met, translated():
        raise raised
    assert met.value.reason == "DATABASE_EXHAUSTED"


def test_a_wrong_argument_stays_what_it_is() -> None:
    wrong = asyncpg.InterfaceError("the server expects 1 argument for this query, 0 were passed")
    with pytest.raises(asyncpg.InterfaceError), translated():
        raise wrong
