"""The errors whose message is for the user: what was asked for cannot be done, or the storage does not do it."""


class BadRequest(ValueError):
    """What was asked for cannot be done: the message says what was given, what was allowed and what to do.

    The command line prints it without a traceback and exits with code 2.
    """


class StorageFailure(RuntimeError):
    """The storage failed, and went on failing while it was tried again; or what it gives is not what it gave before.

    The message has the address, what the storage said and what to do, and never a key, a signature or a query. The command
    line prints it without a traceback and exits with code 1: the same command goes on from what is committed.
    """


class StorageRefusal(StorageFailure):
    """The storage answers, and will say no until somebody changes something: credentials, clock, bucket, rights, room."""
