"""What makes an image new, how the build reaches packages, and which node lacks what."""

from __future__ import annotations

import shutil

import pytest

from penstock_dev.kind import bases, images, paths

FIRST = "-----BEGIN CERTIFICATE-----\nAAAA\nBBBB\n-----END CERTIFICATE-----"
OWN = "-----BEGIN CERTIFICATE-----\nCCCC\n-----END CERTIFICATE-----"
BASE = "python:base"


@pytest.fixture
def repository(tmp_path):
    for name in images.INPUTS:
        source, target = paths.REPOSITORY / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            target.mkdir()
            (target / "module.py").write_text("x = 1\n")
        else:
            shutil.copyfile(source, target)
    return tmp_path


@pytest.mark.parametrize("name", images.INPUTS)
def test_the_tag_changes_with_every_part_that_images_are_made_of(repository, name):
    before = images.content_digest(repository, BASE)
    path = repository / name
    changed = path / "module.py" if path.is_dir() else path
    changed.write_text(changed.read_text() + "\n")
    assert images.content_digest(repository, BASE) != before


def test_the_tag_changes_with_a_new_file_a_renamed_one_a_mode_and_the_base(repository):
    seen = {images.content_digest(repository, BASE), images.content_digest(repository, "other")}
    module = repository / "penstock" / "module.py"
    (repository / "penstock" / "new.py").write_text("x = 1\n")
    seen.add(images.content_digest(repository, BASE))
    module.rename(module.with_name("renamed.py"))
    seen.add(images.content_digest(repository, BASE))
    module.with_name("renamed.py").chmod(0o755)
    seen.add(images.content_digest(repository, BASE))
    assert len(seen) == 5


def test_what_is_no_part_of_an_image_does_not_change_the_tag(repository):
    before = images.content_digest(repository, BASE)
    compiled = repository / "penstock" / "__pycache__"
    compiled.mkdir()
    (compiled / "module.pyc").write_bytes(b"1")
    (repository / "README.md").write_text("new\n")
    (repository / "dev/penstock_dev/kind").mkdir()
    (repository / "dev/penstock_dev/kind/images.py").write_text("new\n")
    assert images.content_digest(repository, BASE) == before


def test_the_build_is_told_the_index_and_the_proxy_but_no_folder_of_this_machine():
    told = images.package_access(
        {
            "PIP_INDEX_URL": "https://packages.example/all",
            "https_proxy": "http://proxy.example:3128",
            "PIP_FIND_LINKS": "/somewhere",
            "PIP_TRUSTED_HOST": "",
            "SECRET": "x",
        },
        pytest.fail,
    )
    assert told == {
        "PIP_INDEX_URL": "https://packages.example/all",
        "https_proxy": "http://proxy.example:3128",
    }


def test_of_a_bundle_only_the_certificates_that_the_build_lacks_are_passed_on(tmp_path):
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(f"{FIRST}\n# ours\n{OWN}\n")
    variables = {"PIP_CERT": str(bundle)}
    assert list(images.package_access(variables, lambda: FIRST).values()) == [OWN]
    assert images.package_access(variables, lambda: f"{OWN}\n{FIRST}\n") == {}
    assert images.package_access({"PIP_CERT": str(tmp_path / "missing.pem")}, pytest.fail) == {}


def test_a_certificate_is_known_however_its_lines_are_broken():
    assert images.lacking_certificates(FIRST.replace("\nBBBB", "BBBB"), FIRST) == ""


def test_a_node_is_given_what_it_lacks_and_two_nodes_what_either_lacks():
    operator, runtime = "penstock-operator:dev-1", "penstock-runtime:dev-1"
    full = [f"docker.io/library/{operator}", f"docker.io/library/{runtime}", "other:1"]
    assert images.missing([operator, runtime], [full]) == []
    assert images.missing([operator, runtime], [full, full[:1]]) == [runtime]
    assert images.missing([operator], [[]]) == [operator]


def test_a_tag_that_moves_is_loaded_again_with_a_new_recipe_only():
    names = images.Images("dev-1", "penstock-redis:dev").made_here
    held = [f"docker.io/library/{name}" for name in names]
    assert images.missing(names, [held]) == []
    stale = [name.replace(bases.REDIS.tag, "penstock-redis:recipe-old") for name in held]
    assert images.missing(names, [stale]) == [bases.REDIS.tag, "penstock-redis:dev"]


def test_the_chart_is_told_the_tag_of_each_image_and_redis():
    values = images.Images("dev-1", "penstock-redis:dev").values()
    assert values["operator.image.tag"] == values["runtime.image.tag"] == "dev-1"
    assert values["model.image.repository"] == "penstock-model"
    assert values["redis.image"] == "penstock-redis:dev"


def test_an_image_that_a_registry_has_is_not_loaded():
    found = images.Images("dev-1", bases.REDIS_IMAGE)
    assert found.made_here == found.ours


def test_every_recipe_has_a_tag_of_its_own_content():
    assert bases.PYTHON.tag.startswith("penstock-python:recipe-")
    assert bases.PYTHON.tag.partition(":")[2] != bases.REDIS.tag.partition(":")[2]
