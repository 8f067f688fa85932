"""The names of images that the chart uses by itself."""

from __future__ import annotations

from penstock_dev.kind import aliases

VALUES = {
    "operator.image.repository": "penstock-operator",
    "operator.image.tag": "dev-1",
    "redis.image": "penstock-redis:dev",
}
CHART = {"appVersion": "1.2.3"}


def test_a_loaded_image_is_also_known_by_the_charts_version():
    named = aliases.aliases(VALUES, CHART, "penstock-redis:dev")
    library = "docker.io/library"
    assert named == {f"{library}/penstock-operator:1.2.3": f"{library}/penstock-operator:dev-1"}


def test_redis_made_here_answers_to_the_charts_own_name_and_a_pulled_one_keeps_its_name():
    own = "docker.io/library/redis:7.4-alpine"
    assert aliases.aliases(VALUES, CHART, own)[own] == "docker.io/library/penstock-redis:dev"
    for pulled in (own, "mirror.example/redis:8"):
        assert own not in aliases.aliases(VALUES | {"redis.image": pulled}, CHART, own)
