"""The super-resolver and the network of scenes: sizes, and how they begin."""

import pytest
import torch
from torch.nn import functional as F

from holdsteady.data import CLASSES
from holdsteady.models.scenes import SceneNetwork
from holdsteady.models.upscaler import Upscaler


@pytest.mark.parametrize("scale", [2, 3])
def test_the_upscaler_begins_near_bicubic_interpolation(scale: int) -> None:
    frame = torch.rand(2, 3, 11, 14)
    model = Upscaler(scale, width=8, blocks=1)
    with torch.no_grad():
        model.ending.bias.zero_()
        larger = model(frame)
    assert larger.shape == (2, 3, 11 * scale, 14 * scale)
    torch.testing.assert_close(larger, F.interpolate(frame, scale_factor=scale, mode="bicubic"))


def test_the_network_of_scenes_gives_depth_and_a_logit_for_each_class() -> None:
    frame = torch.rand(1, 3, 32, 48)
    torch.manual_seed(0)
    network = SceneNetwork(widths=(2, 3, 4, 5, 6)).eval()
    with torch.no_grad():
        depth, logits = network(frame)
        assert depth.shape == (1, 1, 32, 48) and (depth > 0).all()
        assert logits.shape == (1, len(CLASSES), 32, 48)
        for output, wanted in (("depth", depth), ("classes", logits)):
            alone = SceneNetwork(output, widths=(2, 3, 4, 5, 6)).eval()
            alone.load_state_dict(network.state_dict())
            torch.testing.assert_close(alone(frame), wanted)
