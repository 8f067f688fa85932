"""A local Penstock: control plane, process node, fake model, and the supervisor of them all."""
