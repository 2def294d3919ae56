"""Ground under everything: names, text to value and back, futures, messages. Pure."""
