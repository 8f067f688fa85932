"""Penstock on kind: the engine, the images, the node and the cluster, also without a registry."""
