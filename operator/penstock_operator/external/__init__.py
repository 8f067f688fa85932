"""Prometheus servers of the installation: which there are, who may ask them, what they say."""
