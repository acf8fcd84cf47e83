"""Draw docs/pipeline.svg: the steps behind a row of each kind, in columns of stages.

Arrows are those of the workflow's rules.

    python -m tools.diagram

Arrows that follow from others are left out.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from holofusion.pipeline.steps import STAGES, STEPS

Arrow = tuple[str, str]
Place = tuple[float, float]  # left upper corner of a box
WIDTH, HEIGHT, GAP, COLUMN, TOP, MARGIN = 124, 30, 20, 196, 44, 16  # pixels


def workflow_arrows(root: Path) -> set[Arrow]:
    """Which step feeds which, as Snakemake plans them for the settings in `root`."""
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, "-m", "snakemake", "--rulegraph", "mermaid-js", "--nolock", "all"]
        command += ["--config", f"results={results}", "methods=[holofusion,code_fusion,gaussian]"]
        graph = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    rules = {step.rule: step.name for step in STEPS.values()}
    names = {number: rules.get(rule) for number, rule in re.findall(r"(id\d+)\[(\w+)\]", graph)}
    pairs = [(names[tail], names[head]) for tail, head in re.findall(r"(id\d+) --> (id\d+)", graph)]
    return {(tail, head) for tail, head in pairs if tail and head and tail != head}


def reduced(arrows: set[Arrow]) -> list[Arrow]:
    """The arrows without those that follow from others; the longest go first, so that neighbours stay connected."""
    order = list(STEPS)
    kept = set(arrows)
    for arrow in sorted(arrows, key=lambda pair: (-abs(order.index(pair[1]) - order.index(pair[0])), pair)):
        if _reaches(kept - {arrow}, *arrow):
            kept.remove(arrow)
    return sorted(kept, key=lambda pair: (order.index(pair[0]), order.index(pair[1])))


def _reaches(arrows: set[Arrow], start: str, end: str) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        following = {head for tail, head in arrows if tail == here} - seen
        seen |= following
        waiting += following
    return end in seen


def drawing(arrows: list[Arrow]) -> str:
    """The picture as SVG."""
    shown = [step for step in STEPS.values() if any(step.name in arrow for arrow in arrows)]
    columns = [[step.name for step in shown if step.stage == stage] for stage in STAGES]
    rows = max(map(len, columns))
    place: dict[str, Place] = {}
    for number, names in enumerate(columns):
        first = TOP + (rows - len(names)) // 2 * (HEIGHT + GAP)  # whole rows, so that the gaps of all columns are lanes
        for row, name in enumerate(names):
            place[name] = (MARGIN + number * COLUMN, first + row * (HEIGHT + GAP))
    width, height = 2 * MARGIN + (len(STAGES) - 1) * COLUMN + WIDTH + 24, TOP + rows * (HEIGHT + GAP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        "<title>The steps of the pipeline</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#6f6c64"/></marker></defs>',
        f'<rect width="{width}" height="{height}" rx="6" fill="#fcfbf8"/>',
        '<g fill="none" stroke="#6f6c64" marker-end="url(#tip)">',
        *(f'<path d="{path}"/>' for path in _paths(place, arrows)),
        "</g>",
        '<g text-anchor="middle" fill="#23221f">',
    ]
    for number, stage in enumerate(STAGES):
        x = MARGIN + number * COLUMN + WIDTH / 2
        lines.append(f'<text x="{x:g}" y="24" font-weight="bold">make {stage}</text>')
    for name, (x, y) in place.items():
        lines.append(
            f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="4" fill="#fff" stroke="#b4491f"/>'
        )
        lines.append(f'<text x="{x + WIDTH / 2:g}" y="{y + HEIGHT / 2 + 4.5:g}">{name}</text>')
    return "\n".join([*lines, "</g>", "</svg>", ""])


def _paths(place: dict[str, Place], arrows: list[Arrow]) -> Iterator[str]:
    """The arrows' paths. Those that pass other columns by the same gap lie a little apart, by the box they come from."""
    users: dict[float, list[str]] = {}
    for tail, head in arrows:
        (x, y), (to_x, to_y) = place[tail], place[head]
        between = sorted(at for at in place.values() if x < at[0] < to_x)
        passed = []
        if between:
            lane = _lane(between, y + HEIGHT / 2, to_y + HEIGHT / 2)
            tails = users.setdefault(lane, [])
            tails += [tail] if tail not in tails else []
            lane += (0, 5, -5)[tails.index(tail) % 3]
            passed = [(between[0][0], lane), (between[-1][0] + WIDTH, lane)]
        yield _path(place[tail], passed, place[head], (head, tail) in arrows)


def _path(tail: Place, passed: list[Place], head: Place, both: bool) -> str:
    """From box to box: across columns, straight to a neighbour, or around the boxes between. both: there is one back, too."""
    (x, y), (to_x, to_y) = tail, head
    level, to_level = y + HEIGHT / 2, to_y + HEIGHT / 2
    if x != to_x:
        points = [(x + WIDTH, level), *passed, (to_x, to_level)]
        return f"M{points[0][0]:g} {points[0][1]:g}" + "".join(map(_bend, points, points[1:]))
    if abs(to_y - y) <= HEIGHT + GAP:
        down = to_y > y
        at = x + WIDTH / 2 + (12 if both and down else -12 if both else 0)
        return f"M{at:g} {y + (HEIGHT if down else 0):g} L{at:g} {to_y + (0 if down else HEIGHT):g}"
    edge, reach = x + WIDTH, x + WIDTH + 14 + abs(to_y - y) / 8
    port = to_level + (8 if to_y < y else -8)  # beside the middle, where arrows to other columns leave
    return f"M{edge:g} {level:g} C{reach:g} {level:g} {reach:g} {port:g} {edge:g} {port:g}"


def _bend(start: Place, end: Place) -> str:
    """A piece of a path that begins and ends level."""
    (x, y), (to_x, to_y) = start, end
    if y == to_y:
        return f" L{to_x:g} {to_y:g}"
    return f" C{(x + to_x) / 2:g} {y:g} {(x + to_x) / 2:g} {to_y:g} {to_x:g} {to_y:g}"


def _lane(boxes: list[Place], level: float, to_level: float) -> float:
    """The height of the gap, clear of all the boxes, by which it is shortest from one level to the other."""
    heights = {edge for _, y in boxes for edge in (y - GAP / 2, y + HEIGHT + GAP / 2)}
    clear = [height for height in heights if not any(y <= height <= y + HEIGHT for _, y in boxes)]
    return min(clear, key=lambda height: (abs(height - level) + abs(height - to_level), height))


def write_diagram(root: Path) -> None:
    """Write docs/pipeline.svg of the repository at `root`."""
    (root / "docs" / "pipeline.svg").write_text(drawing(reduced(workflow_arrows(root))))


if __name__ == "__main__":
    write_diagram(Path(__file__).resolve().parents[1])
