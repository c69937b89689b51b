"""A policy as YAML.

Reading is strict: YAML that is not plain is refused, such as aliases, merge keys, repeated keys and other tags than
those of JSON. Whatever is refused is named with its line and column.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from secondlook.common.contract.errors import PolicyRejected
from secondlook.common.contract.policy import RESERVED_LABELS, Misfit, Policy, refuse_reserved, refuse_unaudited

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


def _place(mark: yaml.Mark) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _refused(where: Any, problem: str) -> PolicyRejected:
    return PolicyRejected(f"policy, {_place(where.start_mark)}: {problem}")


class PolicyText:
    """A policy and where its fields stand in the document that it was read from."""

    def __init__(self, policy: Policy, root: yaml.Node) -> None:
        self.policy, self._root = policy, root

    def place(self, path: Sequence[str | int]) -> str:
        """`line L, column C` of a field, or, where the document leaves it out, of the nearest section around it."""
        return _place(_find(self._root, path))

    def refuse_unpublishable(self) -> None:
        """Check a policy that is to be published for the first time; raises PolicyRejected, which names the place."""
        try:
            refuse_reserved(self.policy)
        except PolicyRejected as error:
            first = next(label for label in self.policy.labels if label in RESERVED_LABELS)
            raise PolicyRejected(f"{self.place(('labels', first))}: {error}") from None
        try:
            refuse_unaudited(self.policy)
        except PolicyRejected as error:
            raise PolicyRejected(f"{self.place(('audit', 'certify'))}: {error}") from None


def _find(root: yaml.Node, path: Sequence[str | int]) -> yaml.Mark:
    """Where the key of a field stands, or the item of a list; the deepest part of the path that is there."""
    mark, node = root.start_mark, root
    for step in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((key.start_mark, value) for key, value in node.value if key.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = node.value[step].start_mark, node.value[step]
        else:
            found = None
        if found is None:
            break
        mark, node = found
    return mark


def _read(document: str) -> tuple[yaml.Node | None, Any]:
    loader = None
    try:
        loader = _Loader(document)
        root = loader.get_single_node()
        return root, loader.construct_document(root) if root is not None else None
    except PolicyRejected:
        raise
    except RecursionError as error:
        raise PolicyRejected("policy is not YAML: nested too deep") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{_place(mark)}: " if mark is not None else ""
        raise PolicyRejected(f"policy is not YAML: {where}{error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise PolicyRejected(f"policy is not YAML: {error}") from error
    except Exception as error:  # PyYAML lets bad escapes (`"\U00110000"`) and directives through
        line = f"line {loader.line + 1}, column {loader.column + 1}: " if loader else ""
        raise PolicyRejected(f"policy is not YAML: {line}{error}") from error


def read_policy(document: str) -> PolicyText:
    """Read a policy from YAML, and remember where its fields stand.

    Raises:
        PolicyRejected: names line, column and field, and what is wrong with it.
    """
    root, data = _read(document)
    if root is None or not isinstance(data, dict):
        raise PolicyRejected("policy must be a mapping with at least `name` and `labels`")
    try:
        return PolicyText(Policy.model_validate(data), root)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        lines = [_problem(root, one) for one in found[:MAX_PROBLEMS]]
        lines += [f"and {len(found) - MAX_PROBLEMS} more"] if len(found) > MAX_PROBLEMS else []
        raise PolicyRejected("; ".join(lines)) from error


def _problem(root: yaml.Node, error: Any) -> str:
    """One problem in words, with its place. A rule over the whole policy says itself which field breaks it."""
    broken = error.get("ctx", {}).get("error")
    path = (*error["loc"], *(broken.path if isinstance(broken, Misfit) else ()))
    return f"{_place(_find(root, path))}: {'.'.join(map(str, error['loc'])) or 'policy'}: {error['msg']}"


def parse_policy(document: str) -> Policy:
    """Read a policy from YAML; raises PolicyRejected as `read_policy` does."""
    return read_policy(document).policy


def load_policy(path: Path) -> Policy:
    """Read a policy file; raises PolicyRejected, also when the file cannot be read."""
    return load_policy_text(path).policy


def load_policy_text(path: Path) -> PolicyText:
    """`load_policy`, with the places of the fields."""
    try:
        return read_policy(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyRejected(f"{path}: {error}") from error
