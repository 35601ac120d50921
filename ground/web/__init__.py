"""What a page of this house has in common, whoever serves it: the hospital's page and the dashboard.

Modules: `visits` (who is looking, for how long), `guard` (headers, forms that were meant), `shown` (templates
that escape, and how they write things). `static/` holds the look and the one script, `templates/` parts of
pages. Imported where a page is served and nowhere else: it asks for the libraries of the web.
"""
