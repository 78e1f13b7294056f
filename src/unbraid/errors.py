"""The one exception for what a user can mend."""


class UnbraidError(ValueError):
    """A user's mistake in one sentence: what came, what was allowed, what to do.

    The command line prints it without a traceback and exits with code 2.
    """
