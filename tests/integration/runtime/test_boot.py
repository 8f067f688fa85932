"""A worker starts only on the revision it is for, and only when it can run it."""

import json

import pytest

from penstock import errors, revision
from penstock.money.prices import Tokens
from penstock_runtime import redaction
from penstock_runtime.agent import credentials
from penstock_runtime.agent.context import LIVE
from penstock_runtime.settings import WorkerSettings, read_worker_settings
from penstock_runtime.worker import boot, main
from tests.integration.runtime.shop import template, tool


@pytest.fixture
def cut():
    return revision.cut("support", template({}), {}, "penstock:test")


@pytest.fixture
def mounted(tmp_path):
    """Settings of a worker for a revision whose mounted document is this one."""

    def mount(cut, document, **more):
        path = tmp_path / "revision.json"
        text = document if isinstance(document, str) else json.dumps(document)
        path.write_text(text)
        told = {
            "namespace": "shop",
            "agent": "support",
            "revision": cut.name,
            "revision_file": path,
            "revision_digest": revision.digest(cut.document()),
            "redis_url": "redis://127.0.0.1:9",
            "model_url": "http://127.0.0.1:9",
        }
        return WorkerSettings(**told | more)

    return mount


def refusal(settings):
    with pytest.raises(errors.PenstockError) as refused:
        boot.equip(settings, boot.load_revision(settings))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_the_revision_is_read_back_as_it_was_cut(mounted, cut):
    assert boot.load_revision(mounted(cut, cut.document())) == cut


def test_a_missing_variable_is_named(monkeypatch):
    monkeypatch.setenv("PENSTOCK_NAMESPACE", "shop")
    with pytest.raises(errors.InvalidResource, match="PENSTOCK_AGENT"):
        read_worker_settings()


def test_a_document_that_was_changed_is_refused(mounted, cut):
    changed = cut.document()
    changed["resolved"]["instructions"] = "Be evil."
    assert "it was changed" in refusal(mounted(cut, changed))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schemaVersion": 99}, "schemaVersion 99"),
        ({"resolved": {}}, "cannot be read"),
        ({"declared": {}}, "hashes to"),
    ],
)
def test_a_document_that_cannot_be_honoured_is_refused(mounted, cut, change, words):
    document = cut.document() | change
    settings = mounted(cut, document, revision_digest=revision.digest(document))
    assert words in refusal(settings)


@pytest.mark.parametrize("text", ["", "not json", "[]"])
def test_what_is_no_document_is_refused(mounted, cut, text):
    assert "revision document" in refusal(mounted(cut, text))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": "claude-nope-1"}, "no price is known for model 'claude-nope-1'"),
        ({"tools": [tool("t", "http://127.0.0.1:9/", inputSchema={})]}, "tool t: inputSchema"),
    ],
)
def test_a_revision_that_cannot_be_run_is_refused(mounted, more, words):
    cut = revision.cut("support", template({}, **more), {}, "penstock:test")
    assert words in refusal(mounted(cut, cut.document()))


def test_a_worker_needs_a_model_endpoint(mounted, cut):
    assert "baseURL" in refusal(mounted(cut, cut.document(), model_url=""))


def test_a_credential_that_cannot_be_read_is_refused(mounted, cut, tmp_path):
    settings = mounted(cut, cut.document(), credentials_file=tmp_path / "absent")
    assert "credential" in refusal(settings)


def with_credential(**more):
    ref = {"name": "anthropic", "key": "api-key"}
    model = template({})["model"] | {"credentialsSecretRef": ref}
    return revision.cut("support", template({}) | {"model": model} | more, {}, "penstock:test")


@pytest.mark.parametrize(
    "files",
    [{}, {"api-key": ""}, {"api-key": " \n"}, {"api-key": "a\nb"}, {"other-key": "x"}],
    ids=["no Secret", "empty", "white", "unfit", "another key"],
)
def test_a_credential_that_is_missing_or_unfit_is_told_with_the_command_that_mends_it(
    mounted, tmp_path, files
):
    cut, folder = with_credential(), tmp_path / "credentials"
    (folder / "..data").mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content)
    said = refusal(mounted(cut, cut.document(), credentials_file=folder / "api-key"))
    making = "kubectl -n shop create secret generic anthropic --from-literal=api-key=VALUE"
    changing = (
        """kubectl -n shop patch secret anthropic -p '{"stringData": {"api-key": "VALUE"}}'"""
    )
    assert said.endswith(changing if files else making)


def test_a_secret_of_too_many_headers_is_to_be_edited_and_not_made_again(mounted, tmp_path):
    where = {"url": "http://127.0.0.1:9/", "headersFromSecretRef": {"name": "shop-api"}}
    asking = tool("look_up", "") | {"http": where}
    cut = revision.cut("support", template({}) | {"tools": [asking]}, {}, "penstock:test")
    (tmp_path / "look_up").mkdir()
    for number in range(credentials.MAX_HEADERS + 1):
        (tmp_path / "look_up" / f"X-{number}").write_text("x")
    said = refusal(mounted(cut, cut.document(), tool_headers_dir=tmp_path))
    assert said.endswith("holds more than 64 headers: kubectl -n shop edit secret shop-api")


def test_the_vendors_own_endpoint_is_not_asked_without_a_key(mounted, cut):
    said = refusal(mounted(cut, cut.document(), model_url="https://api.anthropic.com"))
    assert "credentialsSecretRef" in said
    assert "kubectl -n shop create secret generic" in said


@pytest.mark.parametrize("folder", [False, True])
def test_a_tools_missing_headers_are_told_with_the_command_that_makes_them(
    mounted, tmp_path, folder
):
    where = {"url": "http://127.0.0.1:9/", "headersFromSecretRef": {"name": "shop-api"}}
    asking = tool("look_up", "") | {"http": where}
    cut = revision.cut("support", template({}) | {"tools": [asking]}, {}, "penstock:test")
    if folder:
        (tmp_path / "look_up" / "..data").mkdir(parents=True)
    said = refusal(mounted(cut, cut.document(), tool_headers_dir=tmp_path))
    assert said.endswith("create secret generic shop-api --from-literal=Authorization=VALUE")
    (tmp_path / "look_up").mkdir(exist_ok=True)
    (tmp_path / "look_up" / "Authorization").write_text("Bearer x")
    settings = mounted(cut, cut.document(), tool_headers_dir=tmp_path)
    boot.equip(settings, boot.load_revision(settings))


def test_a_worker_says_when_the_address_of_redis_is_none(mounted, cut, monkeypatch, capsys):
    settings = mounted(cut, cut.document(), redis_url="memcached://somewhere")
    monkeypatch.setattr(main, "read_worker_settings", lambda: settings)
    monkeypatch.setattr(main.logs, "configure", lambda *_, **__: None)
    assert main.main() == 1
    assert "PENSTOCK_REDIS_URL" in capsys.readouterr().err.splitlines()[-1]


def test_an_ipv6_address_is_understood(mounted, cut):
    assert mounted(cut, cut.document(), listen="[::1]:8080").address == ("::1", 8080)


@pytest.mark.parametrize("value", ["Bearer x-5ecret\nmore-5ecret", "x-5ecret\x01", "x-5ecretü"])
def test_a_header_that_cannot_be_sent_is_told_with_its_key_and_without_its_value(
    mounted, tmp_path, value
):
    where = {"url": "http://127.0.0.1:9/", "headersFromSecretRef": {"name": "shop-api"}}
    asking = tool("look_up", "") | {"http": where}
    cut = revision.cut("support", template({}) | {"tools": [asking]}, {}, "penstock:test")
    (tmp_path / "look_up").mkdir()
    (tmp_path / "look_up" / "Authorization").write_text(value)
    said = refusal(mounted(cut, cut.document(), tool_headers_dir=tmp_path))
    assert "header Authorization of Secret shop-api" in said
    assert "kubectl -n shop patch secret shop-api" in said
    assert "5ecret" not in said


@pytest.mark.parametrize("value", ["sk-5ecret\nOTHER=1", "sk-5ecret\x7f", "sk-5ecret\u2028x"])
def test_a_key_that_cannot_be_sent_is_told_without_its_value(mounted, tmp_path, value):
    file = tmp_path / "api-key"
    file.write_text(value)
    cut = with_credential()
    said = refusal(mounted(cut, cut.document(), credentials_file=file))
    assert "key api-key of Secret anthropic" in said
    assert "kubectl -n shop" in said
    assert "5ecret" not in said


@pytest.mark.parametrize("url", ["redis://u:p4ss/w0rd-l0ng@127.0.0.1:9", "redis://u:p4ss@[::1:9/0"])
def test_an_address_of_redis_that_cannot_be_used_is_told_without_its_password(
    mounted, cut, monkeypatch, capsys, url
):
    settings = mounted(cut, cut.document(), redis_url=url)
    monkeypatch.setattr(main, "read_worker_settings", lambda: settings)
    monkeypatch.setattr(main.logs, "configure", lambda *_, **__: None)
    assert main.main() == 1
    said = capsys.readouterr().err
    assert "PENSTOCK_REDIS_URL" in said
    assert "p4ss" not in said


def test_the_password_of_redis_is_known_to_the_filter(mounted, cut):
    settings = mounted(cut, cut.document(), redis_url="redis://u:k33p%2Fm3-out@127.0.0.1:9")
    boot.equip(settings, boot.load_revision(settings))
    for form in ("k33p%2Fm3-out", "k33p/m3-out"):
        assert redaction.redact(f"at {form}.") == "at [redacted]."


def test_a_model_without_a_list_price_is_run_where_the_installation_prices_it(mounted, tmp_path):
    own = template({})
    own["model"]["name"] = "team-sonnet"
    cut = revision.cut("support", own, {}, "penstock:test")
    file = tmp_path / "prices.json"
    settings = mounted(cut, cut.document(), prices_file=file)
    assert "no price is known for model 'team-sonnet'" in refusal(settings)
    file.write_text('{"team-*": {"prices": [{"inputPerMTok": "1", "outputPerMTok": "2"}]}}')
    agent = boot.equip(settings, boot.load_revision(settings))
    assert agent.prices.rates(LIVE.day()).cost(Tokens(3, 4)) == 11
