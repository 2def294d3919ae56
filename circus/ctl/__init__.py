"""circusctl: one-shot commands, the prompt, listening, completion."""
