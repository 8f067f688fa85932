"""The names under which the chart looks for images by itself, given to those that were loaded.

With them the plain `helm install` of the chart, which names no images, works on the cluster too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from penstock_dev.kind import bases, commands

_LIBRARY = "docker.io/library/"


def aliases(
    values: Mapping[str, str], chart: Mapping[str, str], redis_image: str
) -> dict[str, str]:
    """The chart's own name of each image → the loaded one; both as a node writes them.

    `values` are the chart's values that name the loaded images, `redis_image` is the chart's own.
    """
    ending = ".image.repository"
    targets = [key.removesuffix(ending) for key in values if key.endswith(ending)]
    named = {}
    for target in targets:
        repository = values[f"{target}{ending}"]
        named[f"{repository}:{chart['appVersion']}"] = (
            f"{repository}:{values[f'{target}.image.tag']}"
        )
    if values["redis.image"].startswith(bases.LOCAL_REDIS):  # any other the node pulls itself
        named[redis_image] = values["redis.image"]
    whole = {_whole(alias): _whole(image) for alias, image in named.items()}
    return {alias: image for alias, image in whole.items() if alias != image}


def give(chart: Path, values: Mapping[str, str], node: str, report: commands.Report) -> None:
    """Tag the images on a node. Raises CommandFailed."""
    description = yaml.safe_load((chart / "Chart.yaml").read_text("utf-8"))
    defaults = yaml.safe_load((chart / "values.yaml").read_text("utf-8"))
    for alias, image in aliases(values, description, defaults["redis"]["image"]).items():
        tag = ["ctr", "--namespace=k8s.io", "images", "tag", "--force", image, alias]
        commands.run(["docker", "exec", node, *tag])
        report(f"on this cluster {alias} is {image}")


def _whole(name: str) -> str:
    return name if "/" in name else f"{_LIBRARY}{name}"
