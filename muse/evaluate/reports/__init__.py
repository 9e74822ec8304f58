"""Reports: documents of figures as Markdown, HTML, JSON and charts, from the templates beside this module.

What is drawn and written comes from the document alone, so a report can be written again from its JSON file.
"""

from muse.evaluate.reports.report import TEMPLATES, evaluation_page, write_report

__all__ = ["TEMPLATES", "evaluation_page", "write_report"]
