"""The decision engine: what was observed, what is judged, what is done. Pure."""
