"""The catalogue and its pages."""

from __future__ import annotations

import pytest

from penstock_dev.model import faults, models, validate


def ids(page):
    return [each["id"] for each in page["data"]]


def test_pages_forward_show_every_model_once():
    seen, after, more = [], None, True
    while more:
        page = models.page(4, after, None)
        seen += ids(page)
        after, more = page["last_id"], page["has_more"]
    assert seen == list(models.KNOWN)


def test_pages_backward_show_every_model_once():
    seen, before, more = [], list(models.KNOWN)[-1], True
    while more:
        page = models.page(4, None, before)
        seen = ids(page) + seen
        before, more = page["first_id"], page["has_more"]
    assert seen == list(models.KNOWN)[:-1]


def test_a_name_for_people_and_the_line_are_told():
    shown = models.as_json(models.KNOWN["claude-opus-4-8"])
    assert (shown["display_name"], shown["line"]) == ("Claude Opus 4.8", "opus")


@pytest.mark.parametrize("text", ["0", "1001", "-1", "x", ""])
def test_a_page_length_out_of_bounds_is_refused(text):
    with pytest.raises(faults.Rejected):
        validate.page_limit(text)


def test_a_page_has_twenty_models_unless_told():
    assert validate.page_limit(None) == 20
    assert validate.page_limit("7") == 7
