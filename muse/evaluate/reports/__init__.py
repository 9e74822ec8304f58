"""Reports: documents of figures as Markdown, HTML, JSON and charts, from the templates beside this module.

What is drawn and written comes from the document alone, so a report can be written again from its JSON file.
"""

from muse.evaluate.reports.report import evaluation_page, write_report
from muse.evaluate.reports.template import render

__all__ = ["evaluation_page", "render", "write_report"]
