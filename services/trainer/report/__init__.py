"""The report of a bundle: one HTML page that needs nothing else, and a model card in Markdown. Pure."""

from services.trainer.report.card import to_markdown
from services.trainer.report.content import BundleReport
from services.trainer.report.page import to_html

__all__ = ["BundleReport", "to_html", "to_markdown"]
