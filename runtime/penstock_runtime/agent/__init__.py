"""An agent at work: the loop, its model, its tools, its conversation."""
