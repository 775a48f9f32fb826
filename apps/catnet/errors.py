"""Errors that a user can cause and mend: one line, naming the thing and the remedy."""

from __future__ import annotations


class UserError(Exception):
    """Wrong usage, data, model or configuration; the command line prints it and exits with 2."""
