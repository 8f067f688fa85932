"""What was measured, and what it proves: numbers only; what follows from them is decided in ``rollout``."""
