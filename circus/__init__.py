"""Circus: a process and socket manager for POSIX systems."""

__version__ = "1.0.0"
