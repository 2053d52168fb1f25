"""What psycopg raises, as the domain errors that callers can act on."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg
from psycopg_pool import PoolClosed, PoolTimeout

from penstock_server.model.errors import DeadlineExceeded, InvalidArgument, PenstockError, Unavailable

RETRY_AFTER_S = 1.0

_AWAY = (
    PoolTimeout,
    PoolClosed,
    psycopg.InterfaceError,
    pg.AdminShutdown,
    pg.CrashShutdown,
    pg.CannotConnectNow,
    pg.ConnectionException,
    pg.TooManyConnections,
    pg.ReadOnlySqlTransaction,
)


@contextmanager
def translated() -> Iterator[None]:
    """Turns what tells of a database that is away, of a call out of time and of text that cannot be stored into
    `Unavailable`, `DeadlineExceeded` and `InvalidArgument`."""
    try:
        yield
    except pg.QueryCanceled as error:
        raise DeadlineExceeded("DEADLINE_EXCEEDED", "the database took longer than the call allows") from error
    except pg.UntranslatableCharacter as error:
        raise _holds_nul() from error
    except psycopg.DataError as error:
        if "NUL" not in str(error):
            raise
        raise _holds_nul() from error
    except _AWAY as error:
        raise unavailable() from error
    except psycopg.OperationalError as error:
        if error.sqlstate is not None:
            raise
        raise unavailable() from error


def unavailable() -> PenstockError:
    """The database does not answer."""
    return Unavailable(
        "DATABASE_UNAVAILABLE", "the database does not answer; repeat the call", retry_after_s=RETRY_AFTER_S
    )


def _holds_nul() -> PenstockError:
    return InvalidArgument("INVALID_REQUEST", "text cannot hold the character U+0000; leave it out")
