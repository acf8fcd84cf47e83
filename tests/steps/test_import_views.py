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
            picture = np.full((16, 16, 3), 255, np.uint8)
            picture[4:12, 4:12] = 40 * index + seed
            Image.fromarray(picture).save(folder / name)
            views.append({"file": name, **camera})
        scenes.append({"seed": seed, "views": views})
    listing = {"convention": CONVENTION, "image_size": 16, "scenes": scenes}
    write_json(folder / "cameras.json", listing)
    settings = ImportViewsSettings(external=External(folder=str(tmp_path / "elsewhere")))
    resolved = Resolved("import", "external-hydrant-s0", "external", "hydrant", 0, "0" * 64, settings)
    job = Job(resolved, tmp_path / "views/0", {"data": tmp_path, "pictures": folder})
    return SimpleNamespace(folder=folder, listing=listing, job=job, out=job.out)


def test_views_arrive_as_those_of_the_row(made):
    import_views.run(made.job)
    found = ViewFolder.load(made.out.parent, "external-hydrant-s0", 16)
    assert found.seeds == [0, 1] and len(found.files) == 6
    assert [int(image[8, 8, 0]) for image in (found.image(index) for index in range(len(found.files)))] == [
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
        (
            lambda made: (made.folder / "object1/2.png").unlink(),
            "1 of 6 pictures that it lists are missing, the first 2.png",
        ),
        (lambda made: made.listing["scenes"][0]["views"][0].update(file="../../secret.png"), "outside this folder"),
        (lambda made: made.listing["scenes"][0]["views"][0].pop("R"), "not a list of views"),
        (
            lambda made: made.listing["scenes"][0]["views"][0].update(file="object0/1.png"),
            "1 of 6 pictures are listed twice",
        ),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(made, change, message):
    change(made)
    write_json(made.folder / "cameras.json", made.listing)
    with pytest.raises(UserError, match=message):
        import_views.run(made.job)
    assert not made.out.exists()


def black(picture: Image.Image) -> Image.Image:
    return Image.new("RGB", (16, 16))


def transparent(picture: Image.Image) -> Image.Image:
    layer = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    layer.paste(picture.crop((4, 4, 12, 12)), (4, 4))
    return layer


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (black, "6 of 6 pictures are not on a white background, .*border of colour 0 0 0"),
        (lambda picture: Image.new("RGB", (16, 16), "white"), r"6 of 6 pictures show nothing \(.*255 all over"),
        (lambda picture: Image.new("RGBA", (16, 16), (9, 9, 9, 0)), "6 of 6 pictures show nothing"),
        (lambda picture: picture.resize((8, 16)), "6 of 6 pictures are not of 16x16 pixels, .*8x16"),
    ],
)
def test_pictures_of_another_kind_are_counted(made, change, message):
    for path in made.folder.rglob("*.png"):
        change(Image.open(path)).save(path)
    with pytest.raises(UserError, match=message):
        import_views.run(made.job)
    assert not made.out.exists()


def test_transparent_pictures_are_laid_on_white_and_that_is_said(made, capsys):
    for path in made.folder.rglob("*.png"):
        transparent(Image.open(path)).save(path)
    import_views.run(made.job)
    assert "6 of 6 pictures have an alpha channel: laid on white" in capsys.readouterr().err
    image = ViewFolder.load(made.out.parent, "external-hydrant-s0", 16).image(1)
    assert image[0, 0].tolist() == [255, 255, 255] and image[8, 8].tolist() == [40, 40, 40]


def test_names_unlike_the_cameras_are_counted(made):
    for path in list(made.folder.rglob("*.png")):
        path.rename(path.with_name(f"r_{path.name}"))
    with pytest.raises(
        UserError, match="6 of 6 pictures that it lists are missing, .*6 pictures are there that it does not"
    ):
        import_views.run(made.job)
