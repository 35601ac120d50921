"""A table as text by column: CSV and Parquet alike, through polars."""

from __future__ import annotations

from pathlib import Path

from ground.errors import DataError

Cells = dict[str, list[str]]
MISSING = {"", "?", "na", "nan", "n/a", "null", "none"}
KINDS = (".csv", ".tsv", ".parquet")


def read_cells(path: Path) -> Cells:
    """Column name -> the text of each line, "" where it is missing; DataError quotes no cell."""
    import polars

    if not path.is_file():
        raise DataError(f"{path}: no such table: correct its name in schema.toml")
    if path.suffix not in KINDS:
        raise DataError(f"{path}: a table is {', '.join(KINDS)}: export it as one of these")
    try:
        if path.suffix == ".parquet":
            frame = polars.read_parquet(path)
        else:
            separator = "\t" if path.suffix == ".tsv" else ","
            frame = polars.read_csv(path, separator=separator, infer_schema=False)
    except Exception as error:  # polars' own kinds are many, and their words may quote a cell
        raise DataError(
            f"{path}: cannot be read as a table ({type(error).__name__}): export it again"
        ) from error
    if not frame.height:
        raise DataError(f"{path}: no patient in it: add its lines, or leave the table out of schema.toml")
    return {name.strip(): [_text(value) for value in frame[name].to_list()] for name in frame.columns}


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():  # how whole numbers are stored beside an empty cell
        return str(int(value))
    text = str(value).strip()
    return "" if text.lower() in MISSING else text
