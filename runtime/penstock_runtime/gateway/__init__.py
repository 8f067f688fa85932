"""The HTTP front door: authenticates callers, admits their tasks, returns and streams results."""
