import pytest

from secondlook.common.text.language import foreign_language, language_of


@pytest.mark.parametrize(("text", "language"), [
    ("This is a sentence in plain English, is it not?", "en"), ("Das ist ein ganz gew\u00f6hnlicher Satz", "de"),
    ("C'est une phrase tout \u00e0 fait ordinaire", "fr"), ("Bu tamamen s\u0131radan bir c\u00fcmle", "tr"),
    ("", None), ("ok", None), ("12345 67890 12345 67890", None), ("https://example.com/das-ist-ein-satz", None),
])  # fmt: skip
def test_a_language_is_told_where_it_is_sure(text: str, language: str | None) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    "text", ["Ich bringe dich um", "Je vais te tuer", "Vou te matar", "Ti ammazzo", "Zabij\u0119 ci\u0119"]
)
def test_a_short_text_can_be_foreign_before_its_language_is_sure(text: str) -> None:
    assert foreign_language(text, {"en"})
    assert foreign_language(text, ()) is None, "where nothing is known, nothing is foreign"


@pytest.mark.parametrize("text", ["I will kill you", "See you at dinner", "lol thats so dope bro", "ok", "", "haha"])
def test_a_text_in_a_known_language_is_not(text: str) -> None:
    assert foreign_language(text, {"en"}) is None


def test_all_known_languages_count_together() -> None:
    assert foreign_language("Ich bringe dich um", {"en", "de"}) is None
