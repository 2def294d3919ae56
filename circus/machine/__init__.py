"""The deciding layer: facts in, actions out.

Nothing here reads a clock, asks the operating system, sleeps or waits. Time and randomness are arguments; the
system is told about through `events` and answered with `actions`. See `docs/design.md`.
"""
