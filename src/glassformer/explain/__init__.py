"""Looks inside a trained model: attention, attributions, heads switched off, and whether any of it is true."""
