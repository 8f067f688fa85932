"""One pass over one agent, what starts it, and what it decides, writes and tells."""
