"""Looks inside a model: what it is made of, and what it does."""
