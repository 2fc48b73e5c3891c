"""Street scenes in 20 classes, held steady: ESPNet, a segmentation network of other authors.

Its weights are in the repository of its authors, github.com/sacmehta/ESPNet (MIT), in test/pretrained/decoder:

    python examples/espnet.py espnet_p_2_q_8.pth street.mp4 classes.mp4
    holdsteady run street.mp4 classes.mp4 --model examples/espnet.py:ESPNet --weights espnet_p_2_q_8.pth --adapter live

The network is written after the paper, Mehta et al. 2018 (arXiv 1803.06815), with the names that the weights have.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

import holdsteady as hs

MEAN, STD = (72.39, 82.91, 73.16), (45.32, 46.15, 44.91)  # of blue, green and red in 0..255


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Module:
    padding = (kernel - 1) // 2 * dilation
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
    return named(conv=layer)


def named(**layers: nn.Module) -> nn.Sequential:
    """Layers one after the other, under names of their own."""
    sequence = nn.Sequential()
    for name, layer in layers.items():
        sequence.add_module(name, layer)
    return sequence


def normed(channels: int) -> nn.Sequential:
    return named(bn=nn.BatchNorm2d(channels, eps=1e-3), act=nn.PReLU(channels))


class Pyramid(nn.Module):
    """An efficient spatial pyramid: 3×3 layers of five dilations on few channels, summed from the finest up."""

    def __init__(self, inputs: int, outputs: int, *, halves: bool = False, residual: bool = False) -> None:
        super().__init__()
        few = outputs // 5
        self.c1 = conv(inputs, few, 3, stride=2) if halves else conv(inputs, few, 1)
        self.d1 = conv(few, outputs - 4 * few, 3)
        for dilation in (2, 4, 8, 16):
            self.add_module(f"d{dilation}", conv(few, few, 3, dilation=dilation))
        if halves:  # the authors named these apart
            self.bn, self.act = nn.BatchNorm2d(outputs, eps=1e-3), nn.PReLU(outputs)
        else:
            self.bn, self.act = normed(outputs), nn.Identity()
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        reduced, total = self.c1(x), None
        parts = [self.d1(reduced)]
        for dilation in (2, 4, 8, 16):
            part = getattr(self, f"d{dilation}")(reduced)
            total = part if total is None else total + part
            parts.append(total)
        joined = torch.cat(parts, dim=1)
        return self.act(self.bn(x + joined if self.residual else joined))


class Encoder(nn.Module):
    def __init__(self, classes: int, p: int, q: int) -> None:
        super().__init__()
        self.level1 = named(conv=nn.Conv2d(3, 16, 3, 2, 1, bias=False), **dict(normed(16).named_children()))
        self.b1 = normed(19)
        self.level2_0 = Pyramid(19, 64, halves=True)
        self.level2 = nn.ModuleList(Pyramid(64, 64, residual=True) for _ in range(p))
        self.b2 = normed(131)
        self.level3_0 = Pyramid(131, 128, halves=True)
        self.level3 = nn.ModuleList(Pyramid(128, 128, residual=True) for _ in range(q))
        self.b3 = normed(256)
        self.classifier = conv(256, classes, 1)


class ESPNet(nn.Module):
    """Frames (B, 3, H, W) in [0, 1], sides multiples of 8 → scores of classes (B, classes, H, W)."""

    card = hs.ModelCard(kind="classes", multiple=8)

    def __init__(self, classes: int = 20, p: int = 2, q: int = 8) -> None:
        super().__init__()
        self.encoder = Encoder(classes, p, q)
        self.level3_C = conv(131, classes, 1)
        self.br = nn.BatchNorm2d(classes, eps=1e-3)
        self.conv = named(
            conv=nn.Conv2d(classes + 16, classes, 3, 1, 1, bias=False), **dict(normed(classes).named_children())
        )
        self.up_l3 = nn.Sequential(nn.ConvTranspose2d(classes, classes, 2, 2, bias=False))
        self.combine_l2_l3 = nn.Sequential(normed(2 * classes), Pyramid(2 * classes, classes))
        self.up_l2 = nn.Sequential(nn.ConvTranspose2d(classes, classes, 2, 2, bias=False), normed(classes))
        self.classifier = nn.ConvTranspose2d(classes, classes, 2, 2, bias=False)
        self.halve = nn.AvgPool2d(3, stride=2, padding=1)

    def forward(self, frame: Tensor) -> Tensor:
        mean, std = (frame.new_tensor(values)[:, None, None] for values in (MEAN, STD))
        x = (255 * frame.flip(1) - mean) / std / 255
        e = self.encoder
        half, small = e.level1(x), self.halve(x)
        first = e.level2_0(e.b1(torch.cat((half, small), dim=1)))
        second = first
        for layer in e.level2:
            second = layer(second)
        quarter = e.b2(torch.cat((second, first, self.halve(small)), dim=1))
        third = e.level3_0(quarter)
        fourth = third
        for layer in e.level3:
            fourth = layer(fourth)
        scores = self.up_l3(self.br(e.classifier(e.b3(torch.cat((third, fourth), dim=1)))))
        scores = self.up_l2(self.combine_l2_l3(torch.cat((self.level3_C(quarter), scores), dim=1)))
        return self.classifier(self.conv(torch.cat((scores, half), dim=1)))


def build(weights: Path) -> ESPNet:
    model = ESPNet()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return model.eval()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("source")
    parser.add_argument("target")
    args = parser.parse_args()
    print(hs.run(args.source, args.target, build(args.weights), "live"))
