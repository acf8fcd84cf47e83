"""Bad settings: overlays that are refused, and settings of steps that are of another or were changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hypothesis import strategies as st

from tests.faults.artefacts import RUN
from tests.faults.bad_artefacts import MESH
from tests.faults.spoilt import NOTHING, NUMBERS, WORDS, Case, Spoil, gone, written

RESOLVE = "resolve --params {folder}/params.yaml --preset {preset} --results {folder}/out"


def settings() -> Iterator[Case]:
    def yaml(text: str) -> Spoil:
        return lambda folder, value: _overlay(folder, text.format(value))

    for name, text, values in (
        ("number below its range", "volume: {{resolution: {}}}", NUMBERS),
        ("word for a number", "training: {{steps: {}}}", WORDS),
        ("unknown key", "training: {{{}: 3}}", WORDS),
        ("unknown section", "{}: {{steps: 3}}", WORDS),
        ("unknown method", "methods: [{}]", WORDS),
        ("unknown source", "dataset: {{source: {}}}", WORDS),
        ("number for a list", "methods: {}", st.integers(0, 9)),
        ("number for a section", "training: {}", st.integers(0, 9)),
        ("no seeds", "seeds: []", NOTHING),
        ("seed twice", "seeds: [{0}, {0}]", st.integers(0, 9)),
        ("odd side of a picture", "dataset: {{image_size: {}}}", st.integers(10, 200).map(lambda n: 2 * n + 1)),
        ("key twice", "volume: {{features: 8, features: {}}}", st.integers(1, 9)),
        ("not a number", "volume: {{extent: .nan}}", NOTHING),
        ("infinite", "volume: {{extent: .inf}}", NOTHING),
        ("impossible date", "preset: 2020-99-{}", st.integers(40, 99)),
        ("brackets never closed", "volume: {{resolution: {}", st.integers(0, 9)),
        ("no mapping", "- {}", WORDS),
        ("tab for spaces", "volume:\n\tresolution: {}", st.integers(0, 9)),
        ("foreign objects", "volume: !!python/object:{} {{}}", WORDS),
        ("category with a slash", "categories: ['{}/..']", WORDS),
        ("photographs without a root", "dataset: {{source: co3d, root: /absent/{}}}", WORDS),
    ):
        yield Case(f"settings: {name}", RESOLVE.replace("{preset}", "mine"), yaml(text), values)
    yield Case("settings: unknown preset", RESOLVE.replace("{preset}", "nosuch"), lambda folder, value: None)
    yield Case("settings: no file", RESOLVE.replace("{preset}", "mini"), gone("params.yaml"))
    binary = st.binary(min_size=1, max_size=9).map(lambda content: b"\xff\xfe\x00" + content)
    yield Case("settings: no text", RESOLVE.replace("{preset}", "mini"), written("params.yaml"), binary)
    other = MESH.replace("/mesh/", "/sample/")
    yield Case("settings: of another step", other, lambda folder, value: None)
    config = f"results/config/mesh/{RUN}.yaml"

    def by_hand(folder: Path, value: int) -> None:
        (folder / config).write_text((folder / config).read_text().replace("resolution: 16", f"resolution: {value}"))

    yield Case("settings: of a step, edited by hand", MESH, by_hand, st.integers(17, 99))
    yield Case("settings: of a step, no mapping", MESH, written(config), st.binary(min_size=3, max_size=9))


def _overlay(folder: Path, text: str) -> None:
    (folder / "config").mkdir()
    (folder / "config/mine.yaml").write_text(text)
