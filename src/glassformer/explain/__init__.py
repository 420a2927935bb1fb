"""Looks inside a trained model: attention, attributions, heads switched off, and what of it is true."""
