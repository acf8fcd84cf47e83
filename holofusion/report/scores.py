"""The tables of the page: which metrics stand in which table, with one line per row."""

from __future__ import annotations

from dataclasses import dataclass, replace

from holofusion.evaluation.claims import Find, Measured, Sum, measure
from holofusion.evaluation.entries import Entry, metric_of_entry
from holofusion.evaluation.metrics import METRICS, Metric, names_in
from holofusion.pipeline.registry import REAL_ROWS
from holofusion.report.collect import Results


@dataclass(frozen=True)
class Group:
    """One table: the name of its metrics' group, what a reader has to know of them, and which metrics of other tables
    stand beside them for comparison."""

    name: str
    title: str
    note: str
    beside: tuple[str, ...] = ()

    @property
    def metrics(self) -> list[Metric]:
        """Its columns: metrics of other tables come before those of its own that have their name after `mesh_`."""
        names: list[str] = []
        for name in names_in(self.name):
            field = name.removeprefix("mesh_")
            names += [field, name] if field in self.beside else [name]
        return [METRICS[name] for name in names]


@dataclass(frozen=True)
class Line:
    """A row of a table. cells: metric, its value or None, and whether it is the best; images: number scored."""

    method: str
    real: bool
    cells: list[tuple[Metric, Measured | None, bool]]
    images: int | None


@dataclass(frozen=True)
class Table:
    """A table of the page: columns that any row has, a line per row. images: number scored of the first row."""

    group: Group
    columns: list[Metric]
    lines: list[Line]

    @property
    def images(self) -> int | None:
        return self.lines[0].images if self.lines else None


GROUPS = (
    Group(
        "distances",
        "Distance to real images",
        "The kernel distance leads: it is unbiased, whereas the Fréchet distance shrinks as images are added; rows have "
        "the same number of images unless they say otherwise. The first two columns compare with the training objects.",
    ),
    Group(
        "distribution",
        "Fidelity and variety apart",
        "Precision and density say how many samples look real, recall and coverage how much of the real variety they reach. "
        "Diversity (mean feature distance between objects) and sharpness (fine detail inside the object; how "
        "abruptly its outline ends) are shares of the real images' value: 1 is right, more is noise.",
    ),
    Group(
        "memorisation",
        "Copies and patchwork",
        "Memorised: images nearer to a training image than all but 5 % of real held-out images. Rank: the share of held-out "
        "objects that are nearer to a training object than the sample is to its nearest; around 0.5 for new objects, 0 for "
        "copies, which the row of copies shows. Source: the training object whose code is nearest at a position of the "
        "sample's code; one source is a copy, many are a mosaic. Colour steps: between neighbours on a smooth surface, as a "
        "multiple of the real objects'; seams add to them.",
    ),
    Group(
        "consistency",
        "View consistency",
        "A fresh static field is fitted to half of a scene's views and compared with the other half, over the object's "
        "pixels. Views that show one solid object can be predicted; what each view makes up on its own cannot. Fine texture "
        "and hard outlines cost PSNR as well, so compare rows of like sharpness: HoloDiffusion, HoloFusion and its ablations "
        "are solid by construction and show what their detail costs, GET3D's meshes what unsmoothed outlines cost. "
        "Depth spread near 0 is a flat card, translucency near 1 is fog: "
        "either can make views agree without being an object.",
    ),
    Group(
        "geometry",
        "Surfaces",
        "Marching cubes on the density; scenes that are meshes, as GET3D's and those fused on a surface, give their own. On "
        "embedded data the true surfaces are known: the share of them that is nearest to some sample, and the mean chamfer "
        "distance of each to its nearest sample, in units of half the cube's side; as many true shapes as samples. Normal "
        "consistency: the cosine between their normals, of either sign. Floaters lie outside the largest connected component. "
        "A scene that is fused on a surface lost pieces of under 1 % of its faces beforehand and grows none: its share is 0 by "
        "construction, and says nothing of the fusion.",
    ),
    Group(
        "mesh",
        "Surfaces as others open them",
        "The .glb files: without loose pieces, with fewer faces, and with a texture painted from the field. They are loaded "
        "and shown from the cameras of the field's pictures, and scored as these are; the field's own scores stand before "
        "the mesh's. Overlap: intersection over union of outlines with those of the field, from cameras of training "
        "photographs. Departure: chamfer distance of the file's surface from the one found in the field; points drawn "
        "at random are never quite alike.",
        ("kernel", "sharpness", "consistency_psnr"),
    ),
)


def finder(results: Results, category: str) -> Find:
    """A function (method, metric, seed) -> entry, for rows and real rows (which serve all seeds) of one category."""
    entries: dict[tuple[str, str, int | None], Entry] = {}
    for run in results.runs:
        if run.category == category:
            entries |= {(run.method, metric_of_entry(entry).name, run.seed): entry for entry in run.entries}
    for row, scored in results.real.get(category, {}).items():
        entries |= {(row, metric_of_entry(entry).name, None): entry for entry in scored["entries"]}

    def find(method: str, metric: str, seed: int) -> Entry | None:
        return entries.get((method, metric, None if method in REAL_ROWS else seed))

    return find


def mean_over_seeds(find: Find, method: str, metric: str, seeds: list[int]) -> Measured | None:
    """A method's metric, averaged over the seeds, with the interval of that mean; None if any is missing."""
    measured = measure(Sum(metric, {method: 1.0}), find, seeds[:1] if method in REAL_ROWS else seeds)
    if measured is None:
        return None
    low, high = METRICS[metric].within(measured.low, measured.high)
    return replace(measured, low=low, high=high)


def score_table(results: Results, group: Group, category: str, seeds: list[int]) -> Table:
    """One table: a line per row run, then the real rows; of each column's values over the rows run, the best is marked."""
    find = finder(results, category)
    methods = list(dict.fromkeys(run.method for run in results.runs if run.category == category))
    rows = [*methods, *(row for row in REAL_ROWS if row in results.real.get(category, {}))]
    cells = {(row, m.name): mean_over_seeds(find, row, m.name, seeds) for row in rows for m in group.metrics}
    measured_at_all = any(cells[row, name] for row in methods for name in names_in(group.name))
    columns = [m for m in group.metrics if measured_at_all and any(cells[row, m.name] for row in methods)]
    best = {column.name: _best(column, [cells[row, column.name] for row in methods]) for column in columns}
    lines = []
    for row in rows:
        measured = [cells[row, column.name] for column in columns]
        if row in methods or any(measured):
            marked = [
                row in methods and cell is not None and cell.value == best[column.name]
                for column, cell in zip(columns, measured, strict=True)
            ]
            first = find(row, columns[0].name, seeds[0]) if columns else None
            images = first.get("n_generated") if first else None
            lines.append(Line(row, row in REAL_ROWS, list(zip(columns, measured, marked, strict=True)), images))
    return Table(group, columns, lines)


def _best(metric: Metric, cells: list[Measured | None]) -> float | None:
    """The best value of a column; None where neither end is good or all are equal."""
    values = [cell.value for cell in cells if cell]
    if not metric.better or min(values) == max(values):
        return None
    return min(values) if metric.better == "low" else max(values)
