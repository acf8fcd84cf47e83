"""Pictures made elsewhere: taken over after the checks, or refused with their name."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from holofusion.cameras import CONVENTION, cameras_to_json, turntable
from holofusion.config.baselines import External
from holofusion.config.steps import ImportViewsSettings
from holofusion.evaluation.folders import ViewFolder
from holofusion.pipeline.job import Job, Resolved
from holofusion.steps import import_views
from holofusion.utils.files import UserError, write_json


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A folder as a user of another program would write it, and the settings of its row."""
    monkeypatch.setattr(import_views.PreparedCategory, "load", lambda folder: SimpleNamespace(image_size=16))
    folder = tmp_path / "elsewhere/hydrant"
    scenes = []
    for seed in range(2):
        (folder / f"object{seed}").mkdir(parents=True)
        views = []
        for index, camera in enumerate(cameras_to_json(turntable(3, 10.0, 5.0, 2.0))):
            name = f"object{seed}/{index}.png"
            Image.fromarray(np.full((16, 16, 3), 40 * index + seed, np.uint8)).save(folder / name)
            views.append({"file": name, **camera})
        scenes.append({"seed": seed, "views": views})
    listing = {"convention": CONVENTION, "image_size": 16, "scenes": scenes}
    write_json(folder / "cameras.json", listing)
    settings = ImportViewsSettings(external=External(folder=str(tmp_path / "elsewhere")))
    resolved = Resolved("import_views", "external-hydrant-s0", "external", "hydrant", 0, "0" * 64, settings)
    job = Job(resolved, tmp_path / "views/0", {"data": tmp_path, "pictures": folder})
    return SimpleNamespace(folder=folder, listing=listing, job=job, out=job.out)


def test_views_arrive_as_those_of_the_row(made):
    import_views.run(made.job)
    found = ViewFolder.load(made.out.parent, "external-hydrant-s0", 16)
    assert found.seeds == [0, 1] and len(found.files) == 6
    assert [int(image[0, 0, 0]) for image in (found.image(index) for index in range(len(found.files)))] == [
        0,
        40,
        80,
        1,
        41,
        81,
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: made.listing.update(convention="opencv"), "convention is 'opencv', expected 'pytorch3d_ndc'"),
        (lambda made: made.listing.update(image_size=32), "image_size is 32, the reference has 16"),
        (lambda made: (made.folder / "object1/2.png").unlink(), "object1/2.png: listed in cameras.json but missing"),
        (lambda made: made.listing["scenes"][0]["views"][0].update(file="../../secret.png"), "outside this folder"),
        (lambda made: made.listing["scenes"][0]["views"][0].pop("R"), "not a list of views"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(made, change, message):
    change(made)
    write_json(made.folder / "cameras.json", made.listing)
    with pytest.raises(UserError, match=message):
        import_views.run(made.job)
    assert not made.out.exists()
