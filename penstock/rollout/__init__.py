"""The decision engine: what is known, what is asked, what is done, what is said. Pure."""
