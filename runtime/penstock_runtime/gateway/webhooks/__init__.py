"""Escalations on their way out: to whom, in which words, signed how, and tried for how long."""
