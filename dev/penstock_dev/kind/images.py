"""Our images: built when what goes into them has changed, loaded into a cluster that lacks them.

All three bear one tag, `dev-<digest>`, and the digest is that of everything they are made of. So
an image that has the tag needs no building, and a node that has it needs no loading.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock_dev.kind import bases, commands, engine, paths

TARGETS = ("operator", "runtime", "model")
# The build context, as .dockerignore lets it through, and what says how it is built.
INPUTS = (
    *("Dockerfile", ".dockerignore", "LICENSE", "pyproject.toml", "tools/image.py"),
    *("requirements-operator.lock", "requirements-runtime.lock"),
    *("penstock", "store", "operator", "runtime"),
    *("dev/penstock_dev/__init__.py", "dev/penstock_dev/signals.py", "dev/penstock_dev/model"),
)
# How this machine reaches packages is told to the build stages, and to nobody else.
_PASSED_ON = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_CERTIFICATES_ARGUMENT = "PENSTOCK_BUILD_CERTIFICATES"
_CERTIFICATES = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_BUILD_SECONDS = 1800.0
_BUILD_ATTEMPTS = 3
_LOAD_SECONDS = 300.0


@dataclass(frozen=True)
class Images:
    """What a release in the cluster runs: our images under one tag, and Redis."""

    tag: str
    redis: str

    @property
    def ours(self) -> tuple[str, ...]:
        """Names with tag of the images made from this repository."""
        return tuple(reference(target, self.tag) for target in TARGETS)

    @property
    def made_here(self) -> tuple[str, ...]:
        """What no registry has, so that a node must be given it."""
        recipe = (bases.REDIS.tag, self.redis) if self.redis.startswith(bases.LOCAL_REDIS) else ()
        return (*self.ours, *recipe)

    def values(self) -> dict[str, str]:
        """The chart's values that name these images."""
        tags = {f"{target}.image.tag": self.tag for target in TARGETS}
        names = {f"{target}.image.repository": f"penstock-{target}" for target in TARGETS}
        return {**names, **tags, "redis.image": self.redis}


def reference(target: str, tag: str) -> str:
    """The name of one of our images."""
    return f"penstock-{target}:{tag}"


def deliver(kind: Path, cluster: str, report: commands.Report) -> dict[str, str]:
    """Build, load into the cluster of that name, and return the chart's values that name them.

    Raises CommandFailed, BaseUnavailable or EngineUnavailable.
    """
    found = build(report)
    load(found, kind, cluster, report)
    return found.values()


# --- building


def build(report: commands.Report) -> Images:
    """See to it that the engine has all images of the present sources; minutes the first time.

    Raises CommandFailed, BaseUnavailable or EngineUnavailable.
    """
    engine.ensure(report)
    python, redis = bases.python(report), bases.redis(report)
    for _ in range(_BUILD_ATTEMPTS):
        tag = _tag_of_sources(python)
        lacking = [target for target in TARGETS if not bases.exists(reference(target, tag))]
        told = _build_arguments(python) if lacking else []
        for target in lacking:
            _build_target(target, tag, told, report)
        if tag == _tag_of_sources(python):
            for target in lacking:
                commands.run(["docker", "tag", _unfinished(target), reference(target, tag)])
            return Images(tag, redis)
        report("the sources have changed meanwhile: building again")
    raise commands.CommandFailed("the sources change faster than images can be built")


def _tag_of_sources(python: bases.PythonBase) -> str:
    return f"dev-{content_digest(paths.REPOSITORY, python.image)}"


def _unfinished(target: str) -> str:
    """What is built gets its tag when it is known that the sources are still those of the tag."""
    return reference(target, "unfinished")


def _build_target(target: str, tag: str, told: Sequence[str], report: commands.Report) -> None:
    report(f"building {reference(target, tag)}")
    commands.run(
        [
            *("docker", "build", "--quiet", "--target", target, "--tag", _unfinished(target)),
            *(word for argument in told for word in ("--build-arg", argument)),
            paths.REPOSITORY,
        ],
        timeout_seconds=_BUILD_SECONDS,
    )


def content_digest(repository: Path, base: str) -> str:
    """Twelve hexadecimal digits that change with any byte, name or mode that an image is made of."""
    digest = hashlib.sha256(base.encode())
    for path in sources(repository):
        is_program = os.access(path, os.X_OK)
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"\n{path.relative_to(repository)} {is_program} {content}".encode())
    return digest.hexdigest()[:12]


def sources(repository: Path) -> Iterator[Path]:
    """The files of the build context, in the order of their names."""
    for name in sorted(INPUTS):
        path = repository / name
        yield from _files_below(path) if path.is_dir() else (path,)


def _files_below(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if "__pycache__" not in path.parts)


def _build_arguments(python: bases.PythonBase) -> list[str]:
    version = tomllib.loads((paths.REPOSITORY / "pyproject.toml").read_text("utf-8"))
    arguments = {
        "PYTHON_IMAGE": python.image,
        "BUILD_IMAGE": python.build_image,
        "VERSION": str(version["project"]["version"]),
        **package_access(os.environ, lambda: _trusted_by(python.build_image)),
    }
    return [f"{name}={value}" for name, value in arguments.items()]


def package_access(variables: Mapping[str, str], trusted: Callable[[], str]) -> dict[str, str]:
    """Build arguments that let pip reach packages the way this machine does.

    Of this machine's certificates the build is given those that its pip, which trusts the PEM
    bundle of `trusted`, lacks: one argument may be no longer than 128 KiB, so all are too many.
    Folders of packages are no use inside a build and are left out.
    """
    names = (*_PASSED_ON, *_PROXIES)
    passed = {name: variables[name] for name in names if variables.get(name)}
    bundle = Path(variables.get("PIP_CERT") or variables.get("SSL_CERT_FILE") or "/nonexistent")
    if bundle.is_file():
        text = bundle.read_text("utf-8", "replace")
        if lacking := lacking_certificates(text, trusted()):
            passed[_CERTIFICATES_ARGUMENT] = lacking
    return passed


def _trusted_by(build_image: str) -> str:
    # Asked of the image itself: the packages of this machine may have been given its own authority.
    said = "import pip._vendor.certifi as certificates; print(open(certificates.where()).read())"
    run = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "python3", build_image]
    return commands.run([*run, "-c", said])


def lacking_certificates(bundle: str, trusted: str) -> str:
    """The certificates of a PEM bundle that are not among the trusted; empty when all are."""
    known = {_content(block) for block in _CERTIFICATES.findall(trusted)}
    blocks: list[str] = _CERTIFICATES.findall(bundle)
    return "\n".join(block for block in blocks if _content(block) not in known)


def _content(certificate: str) -> str:
    return "".join(certificate.split())


# --- loading


def load(images: Images, kind: Path, cluster: str, report: commands.Report) -> None:
    """Give every node of a kind cluster the images that it lacks. Raises CommandFailed."""
    nodes = commands.run([kind, "get", "nodes", "--name", cluster]).split()
    if not nodes:
        raise commands.CommandFailed(f"there is no kind cluster {cluster}")
    lacking = missing(images.made_here, [_on_node(node) for node in nodes])
    if not lacking:
        return
    report(f"loading {', '.join(lacking)} into {cluster}")
    command: list[str | Path] = [kind, "load", "docker-image", "--name", cluster, *lacking]
    commands.run(command, timeout_seconds=_LOAD_SECONDS)


def missing(wanted: Iterable[str], held: Iterable[Iterable[str]]) -> list[str]:
    """Those wanted images that not every node holds.

    A tag that stays while its image changes (`:dev`) is held only with all the others.
    """
    nodes = [set(names) for names in held]
    lacking = [name for name in wanted if not all(_full(name) in names for names in nodes)]
    moving = [name for name in wanted if name.endswith(":dev") and name not in lacking]
    made_anew = {name.rpartition(":")[0] for name in lacking}
    return [*lacking, *(name for name in moving if name.rpartition(":")[0] in made_anew)]


def _full(name: str) -> str:
    return name if "/" in name else f"docker.io/library/{name}"


def _on_node(node: str) -> list[str]:
    command = ["docker", "exec", node, "ctr", "--namespace=k8s.io", "images", "ls", "-q"]
    return commands.run(command).split()
