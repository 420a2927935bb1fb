"""Looks inside a model: its parts, attention, attributions, heads switched off, and what of it is true."""
