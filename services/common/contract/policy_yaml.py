"""A policy as YAML.

Reading is strict: YAML that is not plain is refused, such as aliases, merge keys, repeated keys and other tags than
those of JSON.
"""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from secondlook.common.contract.errors import PolicyRejected
from secondlook.common.contract.policy import Policy

MAX_NUMBER = 40  # characters: reading a longer number can take longer than its length
MAX_PROBLEMS = 20  # named in one refusal


class _Loader(yaml.SafeLoader):
    """Reads plain YAML in time linear in the document: without aliases, no node is read twice."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise _refused(self.get_event(), "aliases are not allowed; write the value out")  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (yaml.YAMLError, PolicyRejected, RecursionError):
            raise
        except Exception as error:  # PyYAML lets any error through for `!!int ""`, `!!bool abc`, `08`, …
            raise _refused(node, f"{str(node.value)[:40]!r} is no {_kind(node)}") from error

    def construct_scalar(self, node: Any) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise _refused(node, "a single value is expected")
        if _kind(node) in ("int", "float") and len(node.value) > MAX_NUMBER:
            raise _refused(node, f"a number of more than {MAX_NUMBER} characters")
        return str(node.value)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if _kind(key) == "merge":
                raise _refused(key, "merge keys (`<<`) are not allowed; write the fields out")
            if not isinstance(key, yaml.ScalarNode) or _kind(key) != "str":
                raise _refused(key, f"the key {str(key.value)[:40]!r} is read as {_kind(key)}; put it in quotes")
            if key.value in seen:
                raise _refused(key, f"the key {key.value[:100]!r} stands here a second time")
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)

    def construct_other(self, node: yaml.Node) -> Any:
        raise _refused(node, f"a {_kind(node)} is not allowed; if it is meant as text, put it in quotes")


for _other in ("timestamp", "binary", "set", "omap", "pairs"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_other}", _Loader.construct_other)


def _kind(node: yaml.Node) -> str:
    return str(node.tag).removeprefix("tag:yaml.org,2002:")


def _refused(where: Any, problem: str) -> PolicyRejected:
    return PolicyRejected(f"policy, line {where.start_mark.line + 1}: {problem}")


def _read(document: str) -> Any:
    loader = None
    try:
        loader = _Loader(document)
        return loader.get_single_data()
    except PolicyRejected:
        raise
    except RecursionError as error:
        raise PolicyRejected("policy is not YAML: nested too deep") from error
    except yaml.YAMLError as error:
        raise PolicyRejected(f"policy is not YAML: {error}") from error
    except Exception as error:  # PyYAML lets bad escapes (`"\U00110000"`) and directives through
        line = f"line {loader.line + 1}: " if loader else ""
        raise PolicyRejected(f"policy is not YAML: {line}{error}") from error


def parse_policy(document: str) -> Policy:
    """Read a policy from YAML.

    Raises:
        PolicyRejected: names the line (YAML) or the field and what is wrong with it.
    """
    data = _read(document)
    if not isinstance(data, dict):
        raise PolicyRejected("policy must be a mapping with at least `name` and `labels`")
    try:
        return Policy.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        lines = [f"{'.'.join(str(p) for p in e['loc']) or 'policy'}: {e['msg']}" for e in found[:MAX_PROBLEMS]]
        lines += [f"and {len(found) - MAX_PROBLEMS} more"] if len(found) > MAX_PROBLEMS else []
        raise PolicyRejected("; ".join(lines)) from error


def load_policy(path: Path) -> Policy:
    """Read a policy file; raises PolicyRejected, also when the file cannot be read."""
    try:
        return parse_policy(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyRejected(f"{path}: {error}") from error
