"""The tools of an agent: what is declared, the protocol of calling it, and who keeps it."""
