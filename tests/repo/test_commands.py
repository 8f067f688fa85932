"""What documents tell people to type exists: programs, verbs, options, files, fields, values."""

from __future__ import annotations

import json
import re
import subprocess

import jsonschema_rs
import pytest
import yaml

from penstock import names
from penstock.api import crd
from tests.repo import documents
from tests.repo.test_examples import closed

EVERYWHERE = {"-n", "--namespace", "-A", "-o", "-l", "-f", "--context", "--as"}
#: Verbs of kubectl that documents use, with options that each is known to have.
KUBECTL = {
    "annotate": {"--overwrite"},
    "apply": {"--server-side", "--field-manager", "--force-conflicts"},
    "auth": {"--list"},
    "create": {
        "--verb",
        "--resource",
        "--serviceaccount",
        "--role",
        "--clusterrole",
        "--dry-run",
        "--from-file",
        "--from-literal",
        "--group",
        "--audience",
        "--duration",
    },
    "delete": {"--ignore-not-found"},
    "describe": set(),
    "events": {"--for"},
    "exec": {"--"},
    "explain": {"--recursive"},
    "get": {"-w", "--field-selector", "--sort-by", "--no-headers"},
    "logs": {"--all-pods", "--prefix", "--previous", "--since", "--tail"},
    "patch": {"--type", "-p", "--field-manager"},
    "penstock": {
        *("--user", "--all-namespaces"),
        *("--system-namespace", "--gateway", "--token"),
        *("--revision", "--failed", "--wide", "--by"),
    },
    "port-forward": set(),
    "rollout": set(),
    "scale": {"--replicas"},
    "top": set(),
    "wait": {"--for", "--timeout"},
}
HELM = {
    "install": {"--create-namespace", "--set", "--wait", "--skip-crds"},
    "lint": set(),
    "rollback": {"--wait"},
    "status": set(),
    "test": set(),
    "uninstall": {"--wait"},
    "upgrade": {"--create-namespace", "--install", "--set", "--wait", "--reuse-values"},
}
#: Files that a reader writes, as the document beside shows.
READERS_OWN = {"-", "production.yaml", "redis-secret.yaml", "tokens-secret.yaml"}


@pytest.fixture(scope="module")
def pages(texts):
    return {
        path: body.decode()
        for path, body in texts.items()
        if path.suffix == ".md" and path.parts[:2] != ("docs", "decisions")
    }


@pytest.fixture(scope="module")
def blocks(pages):
    """Document and content of every block of commands."""
    return [
        (path, block)
        for path, text in pages.items()
        for language, block in documents.fences(text)
        if documents.is_typed(language, block)
    ]


@pytest.fixture(scope="module")
def typed(blocks):
    return [command for path, block in blocks for command in documents.commands(path, block)]


def of(typed, program, *verbs):
    return [c for c in typed if c.program == program and (not verbs or c.verb in verbs)]


def test_every_block_of_commands_is_one_that_a_shell_can_read(blocks):
    assert len(blocks) > 20
    for path, block in blocks:
        read = subprocess.run(
            ["bash", "-n"], input=block, text=True, capture_output=True, check=False
        )
        assert not read.stderr, f"{path}: {read.stderr}{block}"


def test_every_program_is_known(typed):
    programs = {c.program for c in typed}
    assert {"kubectl", "helm", "make"} <= programs
    strange = programs - documents.PROGRAMS - {"base64", "grep"}
    assert not {name for name in strange if not documents.ASSIGNMENT.match(name)}


@pytest.mark.parametrize(("program", "verbs"), [("kubectl", KUBECTL), ("helm", HELM)])
def test_every_verb_and_option_is_known(typed, program, verbs):
    used = of(typed, program)
    assert len(used) >= 5
    for command in used:
        assert command.verb in verbs, command
        unknown = set(command.flags) - EVERYWHERE - verbs[command.verb]
        inner = command.verb == "exec"  # what follows `--` is another program's
        assert inner or not unknown, (unknown, command)


def test_every_file_that_is_named_exists(typed, root):
    applied = of(typed, "kubectl", "apply", "create", "delete") + of(typed, "helm")
    files = [(c, name) for c in applied for name in c.values("-f", "--values")]
    files += [
        (c, name.partition("=")[2]) for c in applied for name in c.values("--from-file")
    ]  # fmt: skip
    assert len(files) > 10
    for command, name in files:
        assert name in READERS_OWN or (root / name).exists(), command


def test_every_chart_that_is_installed_exists(typed, root):
    for command in of(typed, "helm", "install", "upgrade", "lint"):
        chart = command.words[-1] if command.verb == "lint" else command.words[3]
        assert (root / chart / "Chart.yaml").is_file(), command


@pytest.fixture(scope="module")
def schemas():
    """The whole schema of each kind of ours."""
    return {
        document["spec"]["names"]["kind"]: document["spec"]["versions"][0]["schema"][
            "openAPIV3Schema"
        ]
        for document in crd.documents()
    }


def unknown_fields(schema, value, path=""):
    """Fields of a merge patch that the schema does not have; null takes a field away."""
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    found = []
    for key, within in value.items():
        part = schema["properties"].get(key)
        found += (
            [f"{path}.{key}"] if part is None else unknown_fields(part, within, f"{path}.{key}")
        )
    return found


def as_merge(command):
    """The change of a patch: a merge as it stands, a replacement of one field as the same merge."""
    (how,), (change,) = command.values("--type"), command.values("-p")
    if how == "merge":
        return json.loads(change)
    assert how == "json", command
    (one,) = json.loads(re.sub(r"\$\(.*\)", "{}", change))  # what it is replaced by is computed
    assert one["op"] == "replace", command
    merge = one["value"]
    for part in reversed(one["path"].strip("/").split("/")):
        merge = {part: merge}
    return merge


def test_every_patch_is_of_fields_that_exist(typed, schemas):
    kinds = {"agent": "Agent", "agentrollout": "AgentRollout"}
    patches = [c for c in of(typed, "kubectl", "patch") if c.words[2].partition("/")[0] in kinds]
    assert len(patches) > 5
    for command in patches:
        kind = kinds[command.words[2].partition("/")[0]]
        assert not unknown_fields(schemas[kind], as_merge(command)), command


def test_a_patch_of_a_field_that_does_not_exist_would_be_found(schemas):
    typo = {"spec": {"traffic": {"canaryPercentage": 20}}}
    assert unknown_fields(schemas["AgentRollout"], typo) == [".spec.traffic.canaryPercentage"]


def test_every_request_by_annotation_is_well_formed(typed):
    asked = [c for c in of(typed, "kubectl", "annotate") if names.ANNOTATION_REQUEST in str(c)]
    assert asked
    for command in asked:
        value = next(w for w in command.words if w.startswith(names.ANNOTATION_REQUEST))
        assert re.match(r"[\w./]+=(promote|promote-full|abort|retry|undo|budget-lift)/", value), (
            command
        )


# ------------------------------------------------------------------------------ YAML in documents


def test_every_manifest_of_ours_in_a_document_is_accepted(pages, schemas):
    seen = 0
    for path, text in pages.items():
        for language, block in documents.fences(text):
            if language != "yaml":
                continue
            for document in yaml.safe_load_all(block):
                if str((document or {}).get("apiVersion")).startswith(f"{names.GROUP}/"):
                    spec = closed(schemas[document["kind"]]["properties"]["spec"])
                    errors = list(jsonschema_rs.validator_for(spec).iter_errors(document["spec"]))
                    assert not errors, (path, errors)
                    seen += 1
    assert seen >= 2


# ------------------------------------------------------------------------------ the chart's values


@pytest.fixture(scope="module")
def values(root):
    return yaml.safe_load((root / "charts/penstock/values.yaml").read_text(encoding="utf-8"))


def paths(tree, before=""):
    """Every dotted path of a tree of values, of inner ones, too."""
    if not isinstance(tree, dict):
        return set()
    here = {f"{before}{key}" for key in tree}
    return here.union(*(paths(within, f"{before}{key}.") for key, within in tree.items()))


def fields(schema, before=""):
    """Every dotted path of a schema, beginning anywhere in it."""
    inner = schema.get("items", schema)
    here = set()
    for key, part in inner.get("properties", {}).items():
        below = fields(part, "")
        here |= {key} | below | {f"{key}.{path}" for path in below}
    return here


def test_every_value_that_is_set_by_a_command_exists(typed, values):
    known = paths(values)
    set_ = [v for c in of(typed, "helm") for v in c.values("--set")]
    set_ += [
        value
        for command in of(typed, "make")
        for word in command.words
        if word.startswith("ARGS=")
        for value in re.findall(r"--set[ =]([\w.]+=)", word)
    ]
    assert set_
    assert not {value.partition("=")[0] for value in set_} - known


def test_every_file_of_values_in_a_document_passes_the_charts_schema(pages, root):
    schema = json.loads((root / "charts/penstock/values.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema_rs.validator_for(schema)
    text = pages[next(path for path in pages if path.name == "production.md")]
    own = [b for kind, b in documents.fences(text) if b.startswith("# production.yaml")]
    assert len(own) == 1
    assert not [str(error) for error in validator.iter_errors(yaml.safe_load(own[0]))]


def test_every_value_and_field_in_backticks_exists(pages, values, schemas):
    known = paths(values) | fields(schemas["Agent"]) | fields(schemas["AgentRollout"])
    tops = "|".join([*values, "spec", "status", "scaling", "strategy", "analysis"])
    named = {
        (path, name)
        for path, text in pages.items()
        if path.parts[0] == "docs" and "reference" not in path.parts
        for name in re.findall(rf"`((?:{tops})(?:\.\w+)+)(?:=[^`]*|: [^`]*)?`", text)
    }
    assert len(named) > 20
    assert not {(path, name) for path, name in named if name not in known}


# ----------------------------------------------------------------------------------- other names


def test_every_path_of_the_repository_in_backticks_exists(pages, root):
    tops = (
        "bench|charts|crds|cli|deploy|dev|docs|examples|operator|penstock|runtime|store|tests|tools"
    )
    named = {
        (path, name)
        for path, text in pages.items()
        for name in re.findall(rf"`((?:{tops})/[\w./-]+)`", text)
    }
    assert len(named) > 20
    assert not {(path, name) for path, name in named if not (root / name).exists()}


def test_every_metric_that_is_named_exists(pages, root):
    reference = (root / "docs/reference/metrics.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^\| `(penstock_\w+)`", reference, re.MULTILINE))
    named = {
        (path, name)
        for path, text in pages.items()
        if "operating" in path.parts
        for name in re.findall(r"`(penstock_\w+)`", text)
    }
    assert named
    assert not {(path, name) for path, name in named if name not in known}


def test_every_alert_has_its_runbook_and_no_runbook_is_without_an_alert(pages, root):
    alerts = yaml.safe_load((root / "charts/penstock/files/alerts.yaml").read_text("utf-8"))
    text = next(text for path, text in pages.items() if path.name == "runbooks.md")
    sections = re.findall(r"^## (Penstock\w+)$", text, re.MULTILINE)
    assert sections == [alert["alert"] for alert in alerts]
    for section in re.split(r"^## ", text, flags=re.MULTILINE):
        if section.startswith("Penstock"):
            parts = [section.index(f"**{word}.**") for word in ("Means", "Look", "Do")]
            assert parts == sorted(parts), section
