"""The models an agent asks: the protocol, who keeps it, and its wrappers."""
