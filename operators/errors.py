"""The one error that is the user's to mend."""


class BadRequest(ValueError):
    """What was asked for cannot be done: the message says what was given, what was allowed and what to do.

    The command line prints it without a traceback and exits with code 2.
    """
