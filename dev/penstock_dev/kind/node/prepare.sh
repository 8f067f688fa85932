#!/bin/bash
# Runs once, as root, in a container of the Debian root with kind's files laid over it: makes a kind
# node of it. What is switched off here is what kind's own base image switches off.
set -euo pipefail

# kind expects upstream's places; the programs are Debian's.
ln -s /usr/bin/containerd /usr/bin/containerd-shim-runc-v2 /usr/local/bin/
mkdir -p /opt/cni /etc/kubernetes/manifests
ln -s /usr/lib/cni /opt/cni/bin

# A node has no devices, disks or consoles of its own to wait for, and kernel messages are the host's.
units=/lib/systemd/system
rm -f "$units"/sysinit.target.wants/systemd-tmpfiles-setup.service \
  "$units"/{multi-user,local-fs,basic}.target.wants/* \
  "$units"/sockets.target.wants/*{udev,initctl}* \
  /etc/systemd/system/*.wants/*
echo ReadKMsg=no >>/etc/systemd/journald.conf
systemctl --quiet enable kubelet.service containerd.service undo-mount-hacks.service
systemctl --quiet mask systemd-binfmt.service  # it would register for the host's kernel

# Containers without limits of their own, and with the node's own product files.
ctr oci spec |
  jq 'del(.process.rlimits)
      | .hooks.createContainer += [{path: "/kind/bin/mount-product-files.sh"}]' \
    >/etc/containerd/cri-base.json

# The images go into containerd's content store; the node unpacks them when it runs.
containerd --log-level warn &
engine=$!
for _ in {1..100}; do
  ctr version >/dev/null 2>&1 && break
  sleep 0.1
done
for image in /kind/images/*.tar; do
  ctr --namespace k8s.io images import --all-platforms --no-unpack --digests "$image" >/dev/null
done
ctr --namespace k8s.io images list --quiet | grep -v '@sha256:'
kill "$engine"
wait "$engine" || true
rm -r /kind/images /kind/prepare.sh
