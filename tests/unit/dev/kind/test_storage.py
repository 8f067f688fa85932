"""The volumes of a cluster that has no storage provisioner."""

from __future__ import annotations

from penstock_dev.kind import storage


def test_every_volume_is_a_folder_of_its_own_in_the_default_class():
    storage_class, *volumes = storage.manifests()
    name = storage_class["metadata"]["name"]
    marks = storage_class["metadata"]["annotations"]
    assert marks == {"storageclass.kubernetes.io/is-default-class": "true"}
    assert {volume["spec"]["storageClassName"] for volume in volumes} == {name}
    folders = {volume["spec"]["hostPath"]["path"] for volume in volumes}
    assert len(folders) == len(volumes)
    # Under /var, which outlives a restart of the node's container; /tmp does not.
    assert all(folder.startswith("/var/lib/") for folder in folders)


def test_a_pod_without_root_may_write_to_a_volume():
    assert int(storage.FOLDER_MODE, 8) & 0o002
