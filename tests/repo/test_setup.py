"""tools/setup.py, which runs before anything is installed, and must know when it has nothing to do."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest


@pytest.fixture
def setup(root):
    specification = importlib.util.spec_from_file_location(
        "setup_tool", root / "tools" / "setup.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def elsewhere(setup, tmp_path, monkeypatch):
    """The tool, in a folder whose .venv has a Python and a stamp that fits."""
    venv = tmp_path / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").touch()
    (tmp_path / "requirements.lock").write_text(
        "# pins\na==1 \\\n    --hash=sha256:aa\nab==2 \\\n    --hash=sha256:bb\n"
    )
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "PYTHON", venv / "bin" / "python")
    monkeypatch.setattr(setup, "STAMP", venv / "setup.stamp")
    monkeypatch.setattr(setup, "LOCK", tmp_path / "requirements.lock")
    monkeypatch.setattr(setup, "SOURCES", (tmp_path / "requirements.lock",))
    setup.STAMP.write_text(setup.digest())
    return setup


def test_it_needs_nothing_but_the_standard_library(root):
    command = [sys.executable, "-I", "-S", "-c", "import runpy; runpy.run_path('tools/setup.py')"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_a_venv_made_from_this_lock_is_ready(elsewhere):
    assert elsewhere.is_ready()


def test_a_changed_lock_makes_it_stale(elsewhere):
    elsewhere.LOCK.write_text("# other pins\n")
    assert not elsewhere.is_ready()


def test_a_copied_folder_is_stale_because_the_project_is_installed_by_its_path(
    elsewhere, tmp_path, monkeypatch
):
    monkeypatch.setattr(elsewhere, "ROOT", tmp_path / "copy")
    assert not elsewhere.is_ready()


def test_a_venv_whose_python_is_gone_is_stale(elsewhere):
    elsewhere.PYTHON.unlink()
    assert not elsewhere.is_ready()


def test_the_pin_of_one_package_is_its_lines_alone(elsewhere):
    assert elsewhere.pinned("a") == "a==1 \\\n    --hash=sha256:aa\n"
    assert elsewhere.pinned("ab") == "ab==2 \\\n    --hash=sha256:bb\n"


def test_a_package_the_lock_lacks_is_named_with_what_to_do(elsewhere):
    with pytest.raises(elsewhere.SetupFailed, match="does not pin uv; run `make lock`"):
        elsewhere.pinned("uv")


def test_without_any_pip_the_advice_names_the_package_to_install(elsewhere, monkeypatch):
    monkeypatch.setattr(elsewhere, "works", lambda command: False)
    with pytest.raises(elsewhere.SetupFailed, match="python3-venv"):
        elsewhere.pip()


def test_the_index_pip_is_set_up_for_is_given_to_uv_unless_uv_has_its_own(setup, monkeypatch):
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/pip")
    assert setup.uv_environment()["UV_DEFAULT_INDEX"] == "https://mirror.example/pip"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mirror.example/uv")
    assert setup.uv_environment()["UV_DEFAULT_INDEX"] == "https://mirror.example/uv"


def test_the_packages_are_compiled_also_where_python_writes_no_bytecode(
    elsewhere, tmp_path, monkeypatch
):
    package = tmp_path / ".venv" / "lib" / "package"
    package.mkdir(parents=True)
    (package / "good.py").write_text("x = 1\n")
    (package / "template.py").write_text("{% if python %}\n")
    monkeypatch.setattr(elsewhere, "PYTHON", sys.executable)
    monkeypatch.setattr(elsewhere, "VENV", tmp_path / ".venv")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    elsewhere.compile_packages()
    assert [path.name.split(".")[0] for path in package.glob("__pycache__/*.pyc")] == ["good"]
