"""What others offer for the same work; the modules in here run in an environment of their own."""
