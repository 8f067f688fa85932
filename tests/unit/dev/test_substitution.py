"""From a container's declaration to a command line and an environment."""

from __future__ import annotations

import pytest

from penstock_dev.node import fields, substitution
from penstock_dev.node.substitution import Mount

MOUNTS = [Mount("/etc/penstock", "/real/one"), Mount("/etc/penstock/secret", "/real/two")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(HOST):80", "127.0.0.1:80"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(HOST)", "$(HOST)"),
        ("cost $5", "cost $5"),
        ("$(HOST", "$(HOST"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text: str, expected: str) -> None:
    assert substitution.expand(text, {"HOST": "127.0.0.1"}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/etc/penstock/revision.json", "/real/one/revision.json"),
        ("/etc/penstock", "/real/one"),
        ("--key=/etc/penstock/secret/key", "--key=/real/two/key"),
        ("/etc/penstock/a:/etc/penstock/b", "/real/one/a:/real/one/b"),
        ("/etc/penstocks/x", "/etc/penstocks/x"),
        ("/var/etc/penstock", "/var/etc/penstock"),
        ("http://host/etc/penstock", "http://host/etc/penstock"),
        ("/etc/penstock+old/x", "/etc/penstock+old/x"),
        ("/etc/penstock~", "/etc/penstock~"),
        ("/etc/penstock%20x", "/etc/penstock%20x"),
        ("/etc/penstock/secrets", "/real/one/secrets"),
        ("/etc/penstock/secret.d/key", "/real/one/secret.d/key"),
        ("/etc/penstock/", "/real/one/"),
        ("//etc//penstock/./secret/key", "/real/two/key"),
        ("/etc/penstock/secret/../x", "/real/one/x"),
        ("file:///etc/penstock/secret/key", "file:///real/two/key"),
        ("http://etc/penstock/x", "http://etc/penstock/x"),
        ("postgres://u:p@h/etc/penstock", "postgres://u:p@h/etc/penstock"),
        ("@/etc/penstock/secret", "@/real/two"),
        ("['/etc/penstock/a', \"/etc/penstock/b\"]", "['/real/one/a', \"/real/one/b\"]"),
        ("/", "/"),
        ("a / b", "a / b"),
    ],
)
def test_mount_paths_become_real_directories_where_a_path_begins(text: str, expected: str) -> None:
    assert substitution.relocate(text, MOUNTS) == expected


ABOVE = {"/etc": "/tree/etc", "/srv": "/tree/srv", "/srv/my data": "/tree/srv/my data"}
DEEP = [*MOUNTS, Mount("/srv/my data/(1)", "/real/three")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/etc", "/tree/etc"),
        ("--root=/etc/", "--root=/tree/etc/"),
        ("/etc/.", "/tree/etc"),
        ("/etc/ssl/certs", "/etc/ssl/certs"),
        ("/etcetera", "/etcetera"),
        ("/etc/penstock/x", "/real/one/x"),
        ("/srv/my data/(1)/a b", "/real/three/a b"),
        ("/var", "/var"),
    ],
)
def test_a_path_above_mounts_is_their_tree_and_what_is_beside_them_stays(text, expected) -> None:
    assert substitution.relocate(text, DEEP, ABOVE) == expected


def test_a_variable_may_refer_to_earlier_ones_only() -> None:
    declared = [("A", "$(B)"), ("B", "b"), ("C", "$(B)/etc/penstock"), ("D", "/etc/penstock/$(B)")]
    made = substitution.environment({"PATH": "/bin", "B": "host"}, declared, MOUNTS)
    assert made == {
        "PATH": "/bin",
        "A": "$(B)",
        "B": "b",
        "C": "b/etc/penstock",
        "D": "/real/one/b",
    }


def test_python_is_the_interpreter_of_the_node() -> None:
    line = substitution.command_line(
        ["python3", "-m", "worker", "--at=$(IP)"], {"IP": "127.1.2.3"}, [], "/venv/bin/python"
    )
    assert line == ["/venv/bin/python", "-m", "worker", "--at=127.1.2.3"]
    assert substitution.is_python(["/usr/bin/python3.11"])
    assert not substitution.is_python(["pythonic"])
    assert not substitution.is_python([])


POD = {
    "metadata": {"name": "n", "namespace": "ns", "uid": "u", "labels": {"a/b": "c"}},
    "spec": {},
    "status": {"podIP": "127.9.9.2"},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "n"),
        ("metadata.labels['a/b']", "c"),
        ("metadata.annotations['x']", ""),
        ("status.podIP", "127.9.9.2"),
    ],
)
def test_a_pod_may_ask_for_its_own_fields(path: str, value: str) -> None:
    assert fields.read(POD, path) == value


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(fields.UnknownField, match=r"spec\.secret"):
        fields.read(POD, "spec.secret")
