"""A Kubernetes control plane as processes: where its programs come from, how they are started."""
