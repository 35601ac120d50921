"""Digital patients who are rows of a table: drawn from published numbers, one column after another."""
