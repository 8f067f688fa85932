"""Which node image is taken, what it holds, and when it is another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock_dev.kind import (
    archive,
    commands,
    nodeimage,
    noderecipe,
    nodesource,
    paths,
    pins,
    roots,
)


@pytest.mark.parametrize(
    ("asked", "reachable", "reference"),
    [
        (None, True, pins.UPSTREAM_NODE_IMAGE),
        ("", True, pins.UPSTREAM_NODE_IMAGE),
        (None, False, noderecipe.reference()),
        ("local", True, noderecipe.reference()),
        ("upstream", False, pins.UPSTREAM_NODE_IMAGE),
        ("mirror.example/node:v1.34.4", False, "mirror.example/node:v1.34.4"),
    ],
)
def test_the_image_asked_for_goes_before_upstreams_and_ours_comes_last(asked, reachable, reference):
    choice = nodesource.choose(asked, registry_reachable=reachable)
    assert choice.reference == reference
    assert choice.built_here == (reference == noderecipe.reference())


def test_the_upstream_image_is_pinned_by_digest_and_of_the_same_minor_version():
    minor = pins.KUBERNETES.rpartition(".")[0]
    name, _, digest = pins.UPSTREAM_NODE_IMAGE.partition("@sha256:")
    assert f":{minor}." in name
    assert len(digest) == 64


@pytest.mark.parametrize(
    ("program", "version"),
    [
        ("kind", f"sigs.k8s.io/kind {pins.KIND}"),
        ("helm", f"helm.sh/helm/v4 {pins.HELM}"),
        ("coredns", f"github.com/coredns/coredns {pins.COREDNS}"),
    ],
)
def test_every_foreign_module_is_pinned_with_its_checksum(program, version):
    assert version in (paths.MODULES / program / "go.mod").read_text()
    assert f"{version} h1:" in (paths.MODULES / program / "go.sum").read_text()


def test_a_change_of_any_ingredient_makes_another_image(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("one")
    second.write_text("two")
    before = noderecipe.digest([first, second], "amd64")
    assert noderecipe.digest([first, second], "amd64") == before
    assert noderecipe.digest([first, second], "arm64") != before
    second.write_text("two ")
    assert noderecipe.digest([first, second], "amd64") != before


def test_the_image_and_its_file_carry_the_version_and_the_same_digest():
    repository, _, tag = noderecipe.reference().partition(":")
    version, _, digest = tag.rpartition("-")
    assert (repository, version) == (noderecipe.REPOSITORY, pins.KUBERNETES)
    assert noderecipe.cached_file().name == f"node-{digest}.tar.zst"


def test_the_images_carry_the_tags_that_kubeadm_and_containerd_ask_for():
    programs = {name: Path(name) for name in noderecipe.IMAGE_PROGRAMS}
    made = noderecipe.images(programs, Path("proxy.tar"))
    tags = {tag for image in made.values() for tag in image.tags}
    assert tags == {
        f"registry.k8s.io/{image}"
        for image in (
            *("kube-apiserver:v1.34.4", "kube-controller-manager:v1.34.4"),
            *("kube-scheduler:v1.34.4", "kube-proxy:v1.34.4", "etcd:3.6.5-0"),
            *("coredns/coredns:v1.12.1", "pause:3.10", "pause:3.10.1"),
        )
    }
    assert {name for name, image in made.items() if image.root} == {"kube-proxy"}


@pytest.fixture
def parts(tmp_path: Path) -> nodeimage.Parts:
    kind_files = tmp_path / "files"
    for place, text in {
        "etc/containerd/config.toml": "a = 1\n  restrict_oom_score_adj = false\n",
        "etc/systemd/system/kubelet.service": "[Unit]\n",
        "kind/bin/undo.sh": "#!/bin/sh\n",
        "usr/local/bin/entrypoint": "#!/bin/bash\n",
        "usr/local/bin/clean-install": "#!/bin/sh\n",
        "LICENSES/README.txt": "text\n",
    }.items():
        (kind_files / place).parent.mkdir(parents=True, exist_ok=True)
        (kind_files / place).write_text(text)
    names = {*noderecipe.NODE_PROGRAMS, *noderecipe.IMAGE_PROGRAMS}
    return nodeimage.Parts(
        {name: tmp_path / name for name in names}, tmp_path / "n", tmp_path / "p", kind_files
    )


def test_the_node_gets_kinds_files_our_network_and_the_programs(parts, tmp_path):
    files = nodeimage.node_files(parts, {"pause": tmp_path / "pause.tar"}, tmp_path)
    assert files["/usr/bin/kubelet"] == archive.File(parts.programs["kubelet"], 0o755)
    assert files["/kind/images/pause.tar"].source == tmp_path / "pause.tar"
    assert files["/etc/cni/net.d/10-bridge.conflist"].mode == 0o644
    assert files["/etc/systemd/system/kubelet.service"].mode == 0o644
    assert files["/kind/bin/undo.sh"].mode == files["/usr/local/bin/entrypoint"].mode == 0o755
    assert files["/kind/version"].source.read_text() == pins.KUBERNETES
    assert not {"/usr/local/bin/clean-install", "/LICENSES/README.txt"} & files.keys()


def test_containerd_may_leave_the_oom_score_of_a_sandbox_as_it_is(parts, tmp_path):
    config = nodeimage.node_files(parts, {}, tmp_path)["/etc/containerd/config.toml"]
    assert config.source.read_text() == "a = 1\n  restrict_oom_score_adj = true\n"


def test_a_containerd_configuration_without_that_setting_is_an_error_not_a_guess(parts, tmp_path):
    (parts.kind_files / "etc/containerd/config.toml").write_text("other = 1\n")
    with pytest.raises(commands.CommandFailed, match="restrict_oom_score_adj"):
        nodeimage.node_files(parts, {}, tmp_path)


def test_a_root_is_made_of_its_packages_from_the_archive_that_is_given():
    root = roots.Root("x", "bookworm", ("systemd", "runc"), "essential", ("true",))
    command = roots.commandline(root, "http://archive.example/debian", Path("x.tar"))
    assert {"--variant=essential", "--include=systemd,runc", "--customize-hook=true"} < {*command}
    assert command[-3:] == ["bookworm", "x.tar", "http://archive.example/debian"]
