"""The files of NAFNet's authors load unchanged, and compute what our NAFNet computes."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

import holdsteady as hs
from holdsteady.models.nafnet import NAFNet

# What the authors call what is ours.
THEIRS = {
    "expand": "conv1",
    "depthwise": "conv2",
    "attention": "sca.1",
    "project": "conv3",
    "feed_in": "conv4",
    "feed_out": "conv5",
}


def as_published(network: NAFNet) -> dict[str, Tensor]:
    """The weights under the names and in the shapes that NAFNet-*-width32.pth and width64.pth have them."""
    renamed = {}
    for name, value in network.state_dict().items():
        name = re.sub("|".join(THEIRS), lambda found: THEIRS[found[0]], name)
        name = name.replace("middle.", "middle_blks.")
        renamed[name] = value[None] if name.endswith((".beta", ".gamma")) else value
    return renamed


@pytest.mark.parametrize("width", [32, 64])
def test_files_of_the_authors_load_unchanged(tmp_path: Path, width: int) -> None:
    torch.manual_seed(0)
    ours = NAFNet(width, (1, 1), 1, (1, 1)).eval()
    for name, parameter in ours.named_parameters():
        if name.endswith((".beta", ".gamma")):
            torch.nn.init.normal_(parameter)
    published = as_published(ours)
    assert {"intro.weight", "encoders.0.0.conv1.weight", "encoders.1.0.sca.1.bias", "middle_blks.0.norm1.weight",
        "ups.0.0.weight", "downs.1.bias", "decoders.0.0.gamma", "ending.bias"} <= set(published)  # fmt: skip
    assert published["encoders.0.0.beta"].shape == (1, width, 1, 1)
    torch.save({"params": published}, tmp_path / f"NAFNet-SIDD-width{width}.pth")
    model = hs.load(str(tmp_path / f"NAFNet-SIDD-width{width}.pth"))
    frame = torch.rand(1, 3, 24, 36)  # theirs pads other sizes with zeros, ours by reflection
    with torch.no_grad():
        torch.testing.assert_close(model(frame), ours(frame), atol=1e-5, rtol=1e-4)
    steady = hs.stabilize(model, "spatial", example=torch.rand(1, 3, 32, 32), points="NAFBlock", head_width=4)
    assert len(steady.adapter(0).points) == 5
