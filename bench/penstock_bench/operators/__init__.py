"""Operators on a real API server: cold start, restart, rest, and rollouts in flight."""
