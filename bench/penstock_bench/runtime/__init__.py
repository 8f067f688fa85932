"""The way of a task, measured: end to end, the queue alone, the agent loop, and under light load."""
