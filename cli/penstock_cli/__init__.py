"""The terminal: ``penstock run``, ``penstock dev``, ``penstock version``."""
