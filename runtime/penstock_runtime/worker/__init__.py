"""A worker: claims tasks of one revision and runs the agent loop on them."""
