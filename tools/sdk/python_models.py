"""Writes the Python client's models: `python -m tools.sdk.python_models`; `--check` compares.

What is sent keeps the contract's limits and takes no other field. What is read says no more than its types: a newer
server may add fields and words, and an older client reads on.
"""

import subprocess
import sys
import textwrap
from typing import Any

from tools.sdk.contract import ROOT, contract, references, sent

TARGET = ROOT / "sdk/python/src/secondlook_client/models.py"
HEAD = '''"""The types of the contract, out of `docs/reference`. `make schemas` writes this file; nobody else does."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from secondlook_client._model import Read, Sent, SentContent
'''
BASES = {"ContentSubmitted": "SentContent"}  # what a schema does not say, a base class checks
CLOSED = {"outcome"}  # what is read of these is one of the words that are known; a reader must not guess about others
LIMITS = {
    "pattern": "pattern", "minLength": "min_length", "maxLength": "max_length", "minimum": "ge", "maximum": "le",
    "exclusiveMinimum": "gt", "exclusiveMaximum": "lt", "maxProperties": "max_length", "maxItems": "max_length",
    "minItems": "min_length",
}  # fmt: skip
PLAIN = {"boolean": "bool", "integer": "int", "number": "float", "null": "None"}
FORMATS = {"uuid": "UUID", "date-time": "AwareDatetime"}


class Writer:
    """Writes the classes of one document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._schemas = document["components"]["schemas"]
        self._sent = sent(document)
        read = [name for name in self._schemas if name not in self._sent]
        self._both = {other for name in read for other in references(self._schemas[name]) if other in self._sent}

    def text(self) -> str:
        """The classes, each after those that it refers to."""
        classes = []
        for name, schema in self._schemas.items():
            if schema.get("type") == "object":
                if name in self._sent:
                    classes.append(self._class(name, schema, reading=False))
                if name not in self._sent or name in self._both:
                    classes.append(self._class(name, schema, reading=True))
        return "\n\n".join(classes)

    def _name(self, name: str, reading: bool) -> str:
        return f"Read{name}" if reading and name in self._sent else name

    def _class(self, name: str, schema: dict[str, Any], reading: bool) -> str:
        lines = [f"class {self._name(name, reading)}({'Read' if reading else BASES.get(name, 'Sent')}):"]
        lines += [*_docstring(schema.get("description", f"{name}.")), ""]
        for field, described in schema["properties"].items():
            optional = field not in schema.get("required", ())
            lines += self._field(field, described, optional, reading)
        return "\n".join(lines) + "\n"

    def _field(self, field: str, schema: dict[str, Any], optional: bool, reading: bool) -> list[str]:
        kind, default = self._type(field, schema, reading), ""
        if optional:
            default = _default(kind, schema)
            kind = f"{kind} | None" if default == " = None" and "None" not in kind.split(" | ") else kind
        return [
            f"    {field}: {kind}{default}",
            *(_docstring(schema["description"]) if "description" in schema else []),
        ]

    def _type(self, field: str, schema: dict[str, Any], reading: bool) -> str:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            referred = self._schemas[name]
            if referred.get("type") == "object":
                return self._name(name, reading)
            return self._type(field, referred, reading)
        if "anyOf" in schema:
            return " | ".join(dict.fromkeys(self._type(field, part, reading) for part in schema["anyOf"]))
        kind = self._plain(field, schema, reading)
        limits = {} if reading else {LIMITS[key]: value for key, value in schema.items() if key in LIMITS}
        if not limits:
            return kind
        told = ", ".join(f"{key}={_literal(value)}" for key, value in limits.items())
        return f"Annotated[{kind}, Field({told})]"

    def _plain(self, field: str, schema: dict[str, Any], reading: bool) -> str:
        match schema.get("type"):
            case "array":
                return f"tuple[{self._type(field, schema['items'], reading)}, ...]"
            case "object":
                names = {"type": "string", **schema.get("propertyNames", {})}
                more = schema.get("additionalProperties")
                value = self._type(field, more, reading) if isinstance(more, dict) else "Any"
                return f"dict[{self._type(field, names, reading)}, {value}]"
            case "string" if "enum" in schema and (not reading or field in CLOSED):
                return f"Literal[{', '.join(map(_literal, schema['enum']))}]"
            case "string":
                return FORMATS.get(schema.get("format", ""), "str")
            case None:
                return "Any"
            case plain:
                return PLAIN[plain]


def _default(kind: str, schema: dict[str, Any]) -> str:
    match schema.get("default"):
        case dict() if "$ref" in schema:  # pydantic writes out what the class says by itself
            return f" = {kind}()"
        case dict() as value if not value:
            return " = Field(default_factory=dict)"
        case list() as value if not value:
            return " = ()"
        case dict() | list() as value:
            raise ValueError(f"a default that holds something is not understood: {value}")
        case value:
            return f" = {_literal(value)}"


def _docstring(text: str) -> list[str]:
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    wrapped = [textwrap.wrap(part, 110) for part in paragraphs]
    lines = [line for part in wrapped for line in (*part, "")][:-1]
    if len(lines) == 1:
        return [f'    """{lines[0]}"""']
    return [f'    """{lines[0]}', *(f"    {line}".rstrip() for line in lines[1:]), '    """']


def _literal(value: Any) -> str:
    if not isinstance(value, str):
        return repr(value)
    text = f'"{value}"'
    return f"r{text}" if "\\" in value else text


def models() -> str:
    """The text of the module."""
    text = f"{HEAD}\n\n{Writer(contract()).text()}"
    return _ruff("format", text=_ruff("check", "--fix", "--quiet", "--select", "F401,I", text=text))


def _ruff(*arguments: str, text: str) -> str:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", str(TARGET), "-"],
        input=text, capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return done.stdout


def main(arguments: list[str]) -> int:
    """Write, or with `--check` compare; returns the exit status."""
    text = models()
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in arguments:
        sys.stderr.write(f"{TARGET.relative_to(ROOT)} is stale: run `make schemas`\n")
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
