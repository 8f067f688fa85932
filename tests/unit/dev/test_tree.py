"""What a container finds above its mounts, beside them and below."""

from __future__ import annotations

from pathlib import Path

from penstock_dev.node import substitution, tree, volumes
from penstock_dev.node.substitution import Mount


def mounted(tmp_path: Path, *mount_paths: str) -> list[Mount]:
    """A Secret's volume for each mount path, whose file `key` tells the path."""
    mounts = []
    for number, mount_path in enumerate(mount_paths):
        directory = tmp_path / "volumes" / str(number)
        volumes.write(directory, {"key": mount_path.encode()})
        mounts.append(Mount(mount_path, str(directory)))
    return mounts


def test_several_mounts_are_found_from_every_path_above_them(tmp_path: Path) -> None:
    mounts = mounted(tmp_path, "/opt/app/tools/look_up", "/opt/app/tools/refund", "/opt/app/key/")
    above = tree.build(tmp_path / "tree", mounts)
    assert set(above) == {"/opt", "/opt/app", "/opt/app/tools"}
    tools = Path(substitution.relocate("/opt/app/tools", mounts, above))
    assert sorted(entry.name for entry in tools.iterdir()) == ["look_up", "refund"]
    assert (tools / "refund" / "key").read_text() == "/opt/app/tools/refund"
    top = Path(substitution.relocate("/opt", mounts, above))
    assert (top / "app" / "key" / "key").read_text() == "/opt/app/key/"


def test_a_changed_secret_is_seen_from_above(tmp_path: Path) -> None:
    mounts = mounted(tmp_path, "/opt/app/tools/look_up")
    above = tree.build(tmp_path / "tree", mounts)
    volumes.write(Path(mounts[0].real_path), {"key": b"new", "other": b"too"})
    tool = Path(above["/opt/app/tools"]) / "look_up"
    assert (tool / "key").read_bytes() == b"new"
    assert (tool / "..data").is_symlink()
    assert (tool / "key").readlink() == Path("..data/key")
    assert (tool / "other").read_bytes() == b"too"


def test_beside_the_mounts_stands_what_the_host_has_there(tmp_path: Path) -> None:
    host = tmp_path / "host"
    (host / "opt/app").mkdir(parents=True)
    (host / "opt/app/settings").write_text("theirs")
    (host / "opt/other").mkdir()
    above = tree.build(tmp_path / "tree", mounted(tmp_path, "/opt/app/tools"), host)
    assert (Path(above["/opt"]) / "other").is_dir()
    assert (Path(above["/opt/app"]) / "settings").read_text() == "theirs"
    assert (Path(above["/opt/app"]) / "tools/key").read_text() == "/opt/app/tools"


def test_a_mount_inside_a_mount_is_found_from_both_and_outlives_a_change(tmp_path: Path) -> None:
    mounts = mounted(tmp_path, "/opt/app", "/opt/app/inner/deep")
    above = tree.build(tmp_path / "tree", mounts)
    volumes.write(Path(mounts[0].real_path), {"another": b"x"})
    for start in (Path(above["/opt"]) / "app", Path(mounts[0].real_path)):
        assert (start / "inner/deep/key").read_text() == "/opt/app/inner/deep"
        assert not (start / "key").exists()


def test_the_tree_of_an_earlier_start_is_replaced_and_no_volume_is_emptied(tmp_path: Path) -> None:
    mounts = mounted(tmp_path, "/opt/app/tools/look_up", "/opt/app/tools/refund")
    tree.build(tmp_path / "tree", mounts)
    above = tree.build(tmp_path / "tree", mounts[:1])
    assert [entry.name for entry in Path(above["/opt/app/tools"]).iterdir()] == ["look_up"]
    assert (Path(mounts[1].real_path) / "key").exists()


def test_a_file_may_be_mounted_alone(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    above = tree.build(tmp_path / "tree", [Mount("/opt/app/one", str(tmp_path / "one"))])
    assert (Path(above["/opt/app"]) / "one").read_text() == "1"
