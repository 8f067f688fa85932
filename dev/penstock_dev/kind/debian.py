"""What Debian's own package tools can do for us, using the archive this machine is set up for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from penstock_dev.kind import commands

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Nothing that apt installs for us may start a service of its own.
_APT_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}


def can_install() -> bool:
    """Whether packages can be installed here: apt, and the rights to use it."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(packages: tuple[str, ...], report: commands.Report) -> None:
    """Install packages without what they merely recommend. Raises CommandFailed."""
    report(f"installing {', '.join(packages)} with apt")
    environment = {**os.environ, **_APT_ENVIRONMENT}
    commands.run(["apt-get", "update", "-qq"], environment=environment)
    commands.run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        environment=environment,
    )


def archive() -> str:
    """The Debian archive that this machine's apt uses, an address without the release's name.

    Raises CommandFailed when apt is set up for none.
    """
    said = commands.run(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"])
    for site in said.splitlines():
        if "security" not in site:
            return site
    raise commands.CommandFailed("apt is set up for no Debian archive")


def unpack_from(release: str, package: str, folder: Path) -> None:
    """Unpack one package of another Debian release into a folder; nothing is installed.

    apt gets a state of its own for that, so the machine's package lists stay as they are.
    Raises CommandFailed.
    """
    state = folder.with_name(f"{folder.name}.apt")
    shutil.rmtree(state, ignore_errors=True)
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True)
    sources = state / "sources.list"
    sources.write_text(f"deb [signed-by={_KEYRING}] {archive()} {release} main\n", "utf-8")
    options = [
        *("-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-"),
        *("-o", f"Dir::State::lists={state / 'lists'}", "-o", f"Dir::Cache={state / 'cache'}"),
        *("-o", "APT::Sandbox::User=root"),
    ]
    try:
        commands.run(["apt-get", *options, "update", "-qq"])
        commands.run(["apt-get", *options, "download", f"{package}/{release}"], directory=state)
        (deb,) = state.glob(f"{package}_*.deb")
        unpacked = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(unpacked, ignore_errors=True)
        commands.run(["dpkg", "-x", deb, unpacked])
        shutil.rmtree(folder, ignore_errors=True)
        unpacked.replace(folder)
    finally:
        shutil.rmtree(state, ignore_errors=True)
