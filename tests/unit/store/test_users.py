"""Which Redis users there are, what they may say, and that it is just what the scripts say."""

import re

import pytest

from penstock_store import scripts, users

KEY = "0123456789abcdef0123456789abcdef"
SCRIPTS = scripts.Scripts(scripts.Retention())
SAID = re.compile(r'(?:call\(|tally\(|command = \{)"([A-Z]+)"(?:, "([A-Z]+)")?')
FAMILIES = {"XGROUP", "XINFO"}
WORKER_SCRIPTS = (
    "claim", "part", "suspects", "bury", "leave", "heartbeat", "checkpoint", "release", "finish",
    "breaker", "pool", "reserve", "settle", "park", "putdown", "keep", "restate", "copy", "copied",
)  # fmt: skip
GATEWAY_SCRIPTS = (
    "admit",
    "cancel",
    "recent",
    "escalation",
    "escalations",
    "decide",
    "effects",
    "compensate",
    "erase",
    "outbox",
    "dispatch",
    "delivered",
    "sender",
    "kept",
    "models",
)
OPERATOR_SCRIPTS = (
    "route",
    "look",
    "ends",
    "rehome",
    "expire",
    "sweep",
    "index",
    "budget",
    "overdue",
    "spent",
    "lapse",
)
OF_ALL = {"ping", "select", "eval", "evalsha"}


def said_in(*names):
    """Every command in the text of these scripts; of command families with the subcommand."""
    found = set()
    for name in names:
        for command, word in SAID.findall(SCRIPTS[name].text):
            family = command in FAMILIES
            found.add((f"{command}|{word}" if family else command).lower())
    return found


@pytest.mark.parametrize(
    ("granted", "names", "beside"),
    [
        (
            users.WORKER_COMMANDS,
            WORKER_SCRIPTS,
            {"blpop", "info|server", "wait"},
        ),
        (
            users.GATEWAY_COMMANDS,
            GATEWAY_SCRIPTS,
            {"get", "hexists", "info|server", "subscribe", "unsubscribe", "xrange"},
        ),
        (
            users.OPERATOR_COMMANDS,
            OPERATOR_SCRIPTS,
            {
                "info|memory",
                "info|server",
                "acl|deluser",
                "acl|getuser",
                "acl|setuser",
                "acl|users",
                "client|kill",
                "subscribe",
                "unsubscribe",
            },
        ),
    ],
    ids=["worker", "gateway", "operator"],
)
def test_a_user_may_say_what_its_scripts_say_and_nothing_else(granted, names, beside):
    assert set(granted) == said_in(*names) | beside | OF_ALL
    assert len(set(granted)) == len(granted)


def test_every_script_belongs_to_one_of_them():
    named = {*WORKER_SCRIPTS, *OPERATOR_SCRIPTS, *GATEWAY_SCRIPTS}
    assert set(scripts.names()) == named


def test_each_key_installation_and_namespace_has_a_password_of_its_own():
    found = {
        users.derive_password(key, installation, namespace)
        for key in (KEY, KEY[::-1])
        for installation in ("a", "a-b")
        for namespace in ("a", "ab", "a-b", "b")
    }
    assert len(found) == 16
    assert users.derive_password(KEY, "a", "b") == users.derive_password(KEY, "a", "b")
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in found)


def test_no_two_installations_and_namespaces_share_a_user():
    names = {
        users.user_of(installation, namespace)
        for installation in ("a", "a-b", "a.b", "b")
        for namespace in ("a", "b", "a-b", "b-a")
    }
    assert len(names) == 16


def test_a_key_that_could_be_guessed_is_refused():
    with pytest.raises(ValueError, match="32"):
        users.derive_password("short", "penstock", "acme")


@pytest.mark.parametrize("name", ["*", "a*", "", "a/b", "a b", "A", "a.b", "[a-z]", "x" * 64])
def test_what_is_no_namespace_makes_no_pattern(name):
    with pytest.raises(ValueError, match="no namespace"):
        users.worker_rules(name)
    with pytest.raises(ValueError, match="no namespace"):
        users.user_of("penstock", name)


def test_an_address_gets_the_user_in_place_of_whoever_it_named():
    given = "rediss://admin:geheim@redis.example:6380/3"
    assert users.with_user(given, "penstock-x.acme", "aa") == (
        "rediss://penstock-x.acme:aa@redis.example:6380/3"
    )
    in_query = "redis://host:6379/0?password=p&username=u&health_check_interval=5"
    assert users.with_user(in_query, "u", "p/") == (
        "redis://u:p%2F@host:6379/0?health_check_interval=5"
    )
    assert users.with_user("redis://[::1]:6379/0", "u", "p") == "redis://u:p@[::1]:6379/0"


def test_a_password_in_an_address_is_seen():
    assert users.has_password("redis://:p@host/0")
    assert users.has_password("redis://u:p@host/0")
    assert users.has_password("redis://host/0?password=p")
    assert not users.has_password("redis://host:6379/0")
    assert not users.has_password("redis://user@host:6379/0")
