"""Performs the machine's actions and turns what happened into facts. Knows no face and no command."""
