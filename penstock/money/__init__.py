"""Money: what model calls cost, and what the next one can cost at most."""
