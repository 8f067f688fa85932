"""The terminal: ``penstock run``, ``get``, ``explain``, ``promote`` and others, as ``main`` lists them."""
