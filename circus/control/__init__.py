"""Answers requests: one run of an arbiter, its watchers, and what may be asked of them. Knows no face."""
