"""Redis as all namespaces share it: each one's way there, and how full it is."""
