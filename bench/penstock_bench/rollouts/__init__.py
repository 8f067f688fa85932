"""Rollouts under seeded weather: the product's own counting and engine beside rules that others use."""
