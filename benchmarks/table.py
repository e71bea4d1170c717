"""The table: medians, spread, ratios of each round's pairs, and the aims beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from contestants import BARE, FARM, GENERATE, ZEUS

NAMES = (ZEUS, BARE, GENERATE, FARM)


@dataclass(frozen=True)
class Row:
    """One measure: each contestant's figures, a round an entry."""

    what: str
    figures: Mapping[str, Sequence[float]]
    aim: str = "–"
    digits: int = field(default=0)


def markdown(rows: Sequence[Row]) -> str:
    head = ["", *NAMES, *(f"Zeus / {name}" for name in NAMES[1:]), "aim"]
    lines = [head, ["---"] * len(head), *(_cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(row: Row) -> list[str]:
    figures = [_figure(row.figures.get(name, ()), row.digits) for name in NAMES]
    return [row.what, *figures, *(_ratio(row, name) for name in NAMES[1:]), row.aim]


def _figure(values: Sequence[float], digits: int) -> str:
    if not values:
        return "–"
    middle, least, most = (f"{each:,.{digits}f}" for each in (median(values), min(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({least}–{most})"


def _ratio(row: Row, name: str) -> str:
    """The median of the ratios of figures that were taken one after the other."""
    pairs = [ours / theirs for ours, theirs in zip(row.figures[ZEUS], row.figures.get(name, ()), strict=False)]
    return f"{median(pairs):.2f}" if pairs else "–"
