"""The figures in the README and the docs are those of `bench/results`."""

import json
import shutil
from pathlib import Path

import pytest

from tools.figures import PAGES, ROOT, Figures, StaleTemplate, number, percent, stale


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the figures are made of."""
    for path in ["bench/results", "docs/templates"]:
        shutil.copytree(ROOT / path, tmp_path / path)
    for page in PAGES:
        (tmp_path / page).write_text((ROOT / page).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def test_the_pages_show_the_results() -> None:
    assert stale(ROOT) == {}


def test_a_result_that_changed_makes_its_pages_stale_until_they_are_written(checkout: Path) -> None:
    path = checkout / "bench/results/main_job.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["figures"]["items_per_s"] = 123_456.4
    path.write_text(json.dumps(content), encoding="utf-8")
    found = stale(checkout)
    assert set(found) == {"README.md", "docs/figures.md"}
    assert f"123,456; {number(content['figures']['items_per_s_with_kills'])}" in found["README.md"]
    for page, text in found.items():
        (checkout / page).write_text(text, encoding="utf-8")
    assert stale(checkout) == {}


def test_a_figure_that_somebody_edits_is_stale(checkout: Path) -> None:
    page, results = checkout / "docs/figures.md", checkout / "bench/results/main_job.json"
    text = page.read_text(encoding="utf-8")
    shown = f"| {number(json.loads(results.read_text(encoding='utf-8'))['figures']['router_rss_mb'])} MB |"
    assert shown in text
    page.write_text(text.replace(shown, "| 100 MB |"), encoding="utf-8")
    assert stale(checkout) == {"docs/figures.md": text}


def test_a_template_that_names_no_figure_is_refused(checkout: Path) -> None:
    (checkout / "docs/templates/readme.md").write_text("{{ main_job.items_a_second | number }}", encoding="utf-8")
    with pytest.raises(StaleTemplate, match=r"docs/templates/readme\.md: .*items_a_second"):
        Figures(checkout).render("readme")


def test_every_page_has_its_block() -> None:
    assert all("<!-- end of figures -->" in (ROOT / page).read_text(encoding="utf-8") for page in PAGES)


def test_numbers_are_rounded_to_the_digits_shown() -> None:
    assert [number(8397.77), number(2.96, 1), number(13648)] == ["8,398", "3.0", "13,648"]
    assert [percent(0.8000861, 1), percent(0.0118812, 2), percent(0)] == ["80.0 %", "1.19 %", "0 %"]
