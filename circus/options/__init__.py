"""The one option table, and what follows from it. Pure."""
