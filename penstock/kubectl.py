"""Commands on Secrets that messages tell people to run: complete but for the value."""

import json


def create_secret(namespace: str, name: str, key: str) -> str:
    """The command that makes a Secret with one key."""
    return f"kubectl -n {namespace} create secret generic {name} --from-literal={key}=VALUE"


def change_secret(namespace: str, name: str, key: str) -> str:
    """The command that puts another value into a Secret, beside what else it holds."""
    patch = json.dumps({"stringData": {key: "VALUE"}})
    return f"kubectl -n {namespace} patch secret {name} -p '{patch}'"
