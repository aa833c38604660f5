"""The report: pages, figures, the book around them, and the published edition."""
