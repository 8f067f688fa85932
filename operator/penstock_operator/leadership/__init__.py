"""Who leads: the election, the Lease it runs on, and what only a leader may do."""
