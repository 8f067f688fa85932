"""The runtime: the gateway that takes tasks, and the workers that run agents on them."""
