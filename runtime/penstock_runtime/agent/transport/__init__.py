"""HTTP/1.1 to models and tools: what leaves a worker, and what may come back."""
