"""The report of a bundle: one HTML page that needs nothing else, and a model card in Markdown. Pure."""

from secondlook.trainer.report.card import to_markdown
from secondlook.trainer.report.content import BundleReport
from secondlook.trainer.report.page import to_html

__all__ = ["BundleReport", "to_html", "to_markdown"]
