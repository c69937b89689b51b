"""What a classifier is asked, and what its answer says. Pure.

An answer is somebody else's: whatever is not a number in [0, 1] where the policy says that one stands is no signal.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from secondlook.common.bundle.sides import is_probability
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.signals import SignalEndpoint

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


class Heard(NamedTuple):
    """What came of asking about an item: signals by name, and of those that did not come, why."""

    signals: Mapping[str, float]
    missing: Mapping[str, str]


def nothing(endpoint: SignalEndpoint, why: str) -> Heard:
    """None of the endpoint's signals came, all for one reason."""
    return Heard({}, dict.fromkeys(endpoint.names, why))


def body_of(endpoint: SignalEndpoint, content: ContentSubmitted) -> bytes | None:
    """The request about an item; None where there is nothing to ask about. The same for items that are the same to the
    classifier."""
    if endpoint.kind == "openai_moderation":
        if not content.text:
            return None
        return to_json({"input": content.text, **({"model": endpoint.model} if endpoint.model else {})})
    link = content.context.url
    asked = {"text": content.text, "kind": content.kind, "language": content.language}
    return to_json({**asked, "url": link} if link else asked)


def read(endpoint: SignalEndpoint, body: bytes) -> Heard:
    """The signals in an answer."""
    try:
        answer = from_json(body, allow_inf_nan=True)
    except ValueError:
        return nothing(endpoint, "the answer is not JSON")
    signals: dict[str, float] = {}
    missing: dict[str, str] = {}
    for name, place in endpoint.names.items():
        path = place if endpoint.kind == "json" else f"/results/0/category_scores/{_escaped(place)}"
        try:
            signals[name] = _share(_at(answer, path))
        except ValueError as problem:
            missing[name] = f"{path or 'the answer'} {problem}"
    return Heard(signals, missing)


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a number")
    if not is_probability(value):
        raise ValueError("is not a number from 0 to 1")
    return float(value)


def _at(document: Any, pointer: str) -> Any:
    """What a JSON Pointer (RFC 6901) leads to."""
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and _INDEX.fullmatch(step) and int(step) < len(document):
            document = document[int(step)]
        else:
            raise ValueError("is not there")
    return document


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")
