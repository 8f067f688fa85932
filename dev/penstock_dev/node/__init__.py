"""A process node: runs the pods bound to it as local processes, for development and tests.

What it is: registered as a Node, fed by the real scheduler; environment, ConfigMap, Secret,
emptyDir and projected volumes; readiness, liveness and startup probes by httpGet; restarts with
back-off; termination grace; the kubelet's own words in the status.

What it is not: there are no images, no isolation and no limits; no Services, DNS, exec, Events,
init containers or service account tokens. Without a mount namespace a mount path that occurs in
an environment value, argument or command is replaced by the directory that holds the volume. Pods
bind `$(POD_IP)`, an address of 127.0.0.0/8 of their own.
"""
