"""What makes a repeat of a revision, and what makes other content under its name."""

from datetime import UTC, datetime
from typing import Any

import pytest

from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.fields import Context
from secondlook.router.identity.hashes import identity_of, text_sha256
from secondlook.router.identity.standing import KnownRevision

PLAIN: dict[str, Any] = {
    "source": "forum", "content_id": "a", "revision": 1, "text": "x", "created_at": datetime(2025, 1, 1, tzinfo=UTC),
}  # fmt: skip
# Every field, with another value, and whether it makes other content.
FIELDS: dict[str, tuple[Any, bool]] = {
    "source": ("shop", False),  # which content is meant, not what it says
    "content_id": ("b", False),
    "revision": (2, False),
    "kind": ("name", True),
    "text": ("y", True),
    "language": ("de", False),
    "author_id": ("ann", True),
    "created_at": (datetime(2025, 1, 2, tzinfo=UTC), False),
    "context": ({"title": "x"}, True),
    "attributes": ({"a": 1}, False),
    "reports": (1, False),
    "reach": (1, False),
    "signals": ({"vendor.score": 0.5}, False),
}


def of(**changes: Any) -> Any:
    return identity_of(ContentSubmitted.model_validate({**PLAIN, **changes}))


def test_the_table_has_every_field() -> None:
    assert set(FIELDS) == set(ContentSubmitted.model_fields)


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_makes_other_content_or_not(field: str) -> None:
    value, differs = FIELDS[field]
    assert (of(**{field: value}) != of()) is differs


def test_every_field_of_the_context_counts() -> None:
    found = {of(context={name: "x"}) for name in Context.model_fields}
    assert len(found | {of()}) == len(Context.model_fields) + 1


def test_values_do_not_run_into_each_other() -> None:
    pairs = [{"text": "x", "author_id": "y"}, {"text": "xy"}, {"kind": "y"}, {"author_id": "null"}, {}]
    assert len({of(**pair) for pair in pairs}) == len(pairs)


def test_where_only_the_text_was_kept_the_text_decides() -> None:
    known = KnownRevision(text_sha256("x"), None, "review", "uncertain", False)
    assert known.is_same(of(author_id="ann"))
    assert not known.is_same(of(text="y"))


def test_the_hash_stays_what_is_stored() -> None:
    """Rows of databases in use hold it: another value would refuse every repeat of what they know."""
    stored = of(author_id="ann", context={"title": "t"}).content_sha256.hex()
    assert stored == "08cec6b30d670c30e46ec8e336279f69201dab4b60023a395dec4ac868b5b2ae"
