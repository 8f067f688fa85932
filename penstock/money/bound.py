"""What the next model call can use and cost at most."""
