"""The formulas of the method as slow loops over single values, to compare the package with."""

import math

import torch
from torch import Tensor


def ema(present: Tensor, memory: Tensor, beta: Tensor | float) -> Tensor:
    """β z_t + (1−β) z̃_{t−1}."""
    return beta * present + (1 - beta) * memory


def spatial(present: Tensor, memory: Tensor, logits: Tensor, kernel: int) -> Tensor:
    """η_0[p] z_t[p] + Σ_o η_o[p] z̃_{t−1}[p+o], η = softmax(0, logits), zero outside the image."""
    channels, height, width = present.shape[1:]
    offsets = [(o // kernel - kernel // 2, o % kernel - kernel // 2) for o in range(kernel**2)]
    groups = logits.shape[1] // len(offsets)
    fused = torch.zeros_like(present)
    for b, c, y, x in torch.cartesian_prod(*(torch.arange(n) for n in present.shape)).tolist():
        group = c * groups // channels
        eta = torch.softmax(torch.cat((torch.zeros(1), logits[b, group::groups, y, x])), dim=0)
        value = eta[0] * present[b, c, y, x]
        for o, (down, right) in enumerate(offsets):
            row, column = y + down, x + right
            if 0 <= row < height and 0 <= column < width:
                value = value + eta[1 + o] * memory[b, c, row, column]
        fused[b, c, y, x] = value
    return fused


def gaussian(seen: list[Tensor], sigma: float) -> Tensor:
    """Mean of the last values (newest last) with weights exp(−age²/2σ²), as far back as 3σ."""
    ages = range(min(len(seen), math.ceil(3 * sigma) + 1))
    weights = [math.exp(-(age**2) / (2 * sigma**2)) for age in ages]
    return sum((w * seen[-1 - age] for age, w in zip(ages, weights, strict=True)), torch.zeros(())) / sum(weights)


def _cubic(distance: float) -> float:
    """The cubic convolution kernel with a = −3/4."""
    a, d = -0.75, abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def warp(memory: Tensor, flow: Tensor) -> Tensor:
    """w[p] = z̃[p + F(p)], bicubic, the border repeated, held within each channel's range."""
    batch, channels, height, width = memory.shape
    moved = torch.zeros_like(memory)
    for b, y, x in torch.cartesian_prod(*(torch.arange(n) for n in (batch, height, width))).tolist():
        at_x, at_y = x + flow[b, 0, y, x].item(), y + flow[b, 1, y, x].item()
        for row in range(math.floor(at_y) - 1, math.floor(at_y) + 3):
            for column in range(math.floor(at_x) - 1, math.floor(at_x) + 3):
                source = memory[b, :, min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
                moved[b, :, y, x] += _cubic(at_y - row) * _cubic(at_x - column) * source
    for b in range(batch):
        for c in range(channels):
            moved[b, c] = moved[b, c].clamp(memory[b, c].min(), memory[b, c].max())
    return moved


def box_mean(values: Tensor) -> Tensor:
    """Mean of the 5×5 neighbours that are in the picture."""
    mean = torch.zeros_like(values)
    for y in range(values.shape[-2]):
        for x in range(values.shape[-1]):
            window = values[..., max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
            mean[..., y, x] = window.mean(dim=(-2, -1))
    return mean


def cell_mean(value: Tensor, side: int) -> Tensor:
    """Means of cells of side×side pixels of one stream (C, H, W), then of the 3×3 cells around."""
    rows, columns = -(-value.shape[1] // side), -(-value.shape[2] // side)
    cells = torch.zeros(len(value), rows, columns)
    for i in range(rows):
        for j in range(columns):
            cells[:, i, j] = value[:, i * side : (i + 1) * side, j * side : (j + 1) * side].mean(dim=(1, 2))
    smooth = torch.zeros_like(cells)
    for i in range(rows):
        for j in range(columns):
            smooth[:, i, j] = cells[:, max(0, i - 1) : i + 2, max(0, j - 1) : j + 2].mean(dim=(1, 2))
    return smooth


def enlarge(cells: Tensor, like: Tensor) -> Tensor:
    return torch.nn.functional.interpolate(cells[None], size=like.shape[-2:], mode="bilinear")[0]


def bilinear(values: Tensor, move: Tensor) -> Tensor:
    """Values (…, C, H, W) at the places that a flow (2, H, W) of their size points to, the border repeated."""
    height, width = values.shape[-2:]
    out = torch.zeros_like(values)
    for i in range(height):
        for j in range(width):
            y = min(max(i + float(move[1, i, j]), 0.0), height - 1.0)
            x = min(max(j + float(move[0, i, j]), 0.0), width - 1.0)
            top, left = math.floor(y), math.floor(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            dy, dx = y - top, x - left
            out[..., i, j] = (1 - dy) * ((1 - dx) * values[..., top, left] + dx * values[..., top, right])
            out[..., i, j] += dy * ((1 - dx) * values[..., bottom, left] + dx * values[..., bottom, right])
    return out


class MotionFixed:
    """(10) to (16), (24) and (25) of docs/method.md for one stream, the flow given; frames and outputs (C, H, W)."""

    def __init__(self, first: Tensor, frame: Tensor) -> None:
        self.stable, self.removed, self.count = first, torch.zeros_like(first[0]), torch.ones_like(first[0])
        self.noise: Tensor | None = None
        self.returned: Tensor | None = None
        self.trend: float | None = None
        self.average, self.mean_x = self.relation(first, frame)
        self.deviation = torch.zeros_like(self.mean_x)
        self.evidence: Tensor | None = None
        self.frames = 1
        self.frame, self.change, self.fade = frame, [torch.zeros_like(cell_mean(first[:1], 8))] * 2, 0.0
        self.grain = torch.zeros_like(self.change[0])

    def step(self, z: Tensor, x: Tensor, flow: Tensor) -> Tensor:
        span = float(z.max() - z.min())
        channels = len(z)
        still = torch.cat((self.stable, self.removed[None], self.count[None]))
        moved = torch.cat((warp(still[None, :-1], flow[None])[0], bilinear(still[-1:], flow)))
        z = self.without_wide_flicker(z, x, flow, moved[:channels])
        in_favour, against = (self.energy(z - memory[:channels]) ** 2 for memory in (moved, still))
        share = enlarge(1.1 * in_favour / (1.1 * in_favour + against), z)
        memory = moved + share * (still - moved)
        w, u, n = memory[:channels], memory[channels], memory[channels + 1]
        r = z - w
        change = r.mean(dim=0) - u
        w = self.followed(z, w, change)
        r = z - w
        squared = cell_mean((r**2).mean(dim=0, keepdim=True), 8)
        low, high = (0.004 * span) ** 2, (0.05 * span) ** 2
        before = squared.clamp(low, high) if self.noise is None else self.noise
        self.noise = (before + 0.25 * (torch.minimum(squared, 2 * before) - before)).clamp(low, high)
        self.grain = self.own_grain(change, x, flow, share)
        distrust = 1 - (1 - self.returns(u, r.mean(dim=0))) * (1 - self.grain[0])
        mismatch = (box_mean(r[None])[0] ** 2).mean(dim=0) + 0.25 * box_mean((r**2).mean(dim=0)[None, None])[0, 0]
        weight = (n / (n + 1)).clamp_max(0.9)
        weight = weight * (1 - mismatch / (6 * 1.5**2 * enlarge(self.noise, z))).clamp_min(0) ** 2
        weight = weight * (1 - enlarge(distrust, z))
        self.stable = z - weight * r
        self.count = (1 / ((1 - weight) ** 2 + weight**2 / n))[0]
        self.removed = (z - self.stable).mean(dim=0)
        return self.stable

    def followed(self, z: Tensor, w: Tensor, change: Tensor) -> Tensor:
        """The memory of (25)."""
        now = cell_mean(change[None], 8)
        correlations = []
        for before in self.change:
            energies = float((now**2).mean() * (before**2).mean())
            correlations.append(float((now * before).mean()) / math.sqrt(energies) if energies > 0 else 0.0)
        self.fade += 0.3 * (min(correlations) - self.fade)
        self.change = [now, self.change[0]]
        self.part = min(1.0, max(0.0, (self.fade - 0.2) / 0.3))
        lifted = w + self.part * enlarge(cell_mean(z - w, 8), z)
        both = torch.cat((z, w), dim=1)
        low, high = both.amin(dim=(1, 2), keepdim=True), both.amax(dim=(1, 2), keepdim=True)
        return lifted.clamp(low, high)

    def own_grain(self, change: Tensor, x: Tensor, flow: Tensor, share: Tensor) -> Tensor:
        """G of (24)."""
        moved = warp(self.frame[None], flow[None])[0]
        by_channel = (x - (moved + share * (self.frame - moved)))[:, ::4, ::4]
        self.frame = x
        c, d = change[None, ::4, ::4], by_channel.mean(dim=0, keepdim=True)
        both, own, given = (cell_mean(product, 2) for product in (c * d, c * c, d * d))
        explained = torch.where(both > 0, both**2 / (own * given).clamp_min(1e-30), 0.0)
        grain = cell_mean((by_channel**2).mean(dim=0, keepdim=True), 2) / 2 / float(x.max() - x.min()) ** 2
        faint = ((3.2 / 255) ** 2 - grain) / ((3.2 / 255) ** 2 - (2.2 / 255) ** 2)
        faint = ((explained - 0.8) / 0.12).clamp(0, 1) * faint.clamp(0, 1)
        light = cell_mean(x[:, ::4, ::4].mean(dim=0, keepdim=True), 2)
        light = (light - x.min()) / (x.max() - x.min())
        unusual = ((grain / self.usual(grain, light) - 2.5) / 2.5).clamp(0, 1) * ((explained - 0.65) / 0.2).clamp(0, 1)
        grey = x.mean(dim=0)
        steeper = min(self.steeper(grey[::4]), self.steeper(grey.T[::4]))
        return torch.maximum(faint, unusual * min(1.0, max(0.0, (1.45 - steeper) / 0.2)))

    @staticmethod
    def usual(grain: Tensor, light: Tensor) -> Tensor:
        """g* of (24), cell by cell."""
        energies, lights = grain.flatten().tolist(), light.flatten().tolist()
        order = sorted(range(len(lights)), key=lambda cell: lights[cell] + 1e-7 * cell)
        size = math.ceil(len(order) / 4)
        groups: list[list[float]] = [[], [], [], []]
        for rank, cell in enumerate(order):
            if energies[cell] > (0.5 / 255) ** 2 and 0.04 < lights[cell] < 0.96:
                groups[rank // size].append(energies[cell])
        quarters = [sorted(group)[(len(group) - 1) // 4] if group else 0.0 for group in groups]
        quarters = [quarter or max(quarters) or torch.finfo(grain.dtype).max for quarter in quarters]
        found = torch.empty(len(order))
        for rank, cell in enumerate(order):
            place = min(3.0, max(0.0, (rank + 0.5) / size - 0.5))
            low = int(place)
            found[cell] = quarters[low] + (place - low) * (quarters[min(low + 1, 3)] - quarters[low])
        return found.view_as(grain)

    @staticmethod
    def steeper(grey: Tensor) -> float:
        """How much steeper an image (H, W) is between blocks of eight columns than in them."""
        steps = [float((grey[:, i + 1] - grey[:, i]).abs().mean()) for i in range(grey.shape[1] - 1)]
        found = [
            steps[i] / max(sum(steps[i + d] for d in (-6, -4, -2, 2, 4, 6)) / 6, 1e-15)
            for i in range(7, len(steps) - 6, 8)
        ]
        return sorted(found)[len(found) // 2] if len(found) >= 6 else 0.0

    def returns(self, u: Tensor, r: Tensor) -> Tensor:
        """Q of (13)."""
        ur, uu, mean_u, mean_r = (cell_mean(value[None], 8)[0] for value in (u * r, u * u, u, r))
        now = torch.stack((ur - mean_u * mean_r, uu - mean_u**2, mean_u * mean_r, mean_u**2))
        self.returned = now if self.returned is None else self.returned + 0.3 * (now - self.returned)
        together = 0.0
        if float(mean_u.abs().max()) > 0:
            correlation = float((mean_u * mean_r).mean() / ((mean_u**2).mean() * (mean_r**2).mean()).sqrt())
            self.trend = correlation if self.trend is None else self.trend + 0.3 * (correlation - self.trend)
            together = min(1.0, max(0.0, (self.trend - 0.3) / 0.4)) * (1 - self.part)
        detail, energy, wide, wide_energy = self.returned
        assert self.noise is not None
        share = (detail + torch.where(wide > 0, together, 1.0) * wide) / (energy + wide_energy + 1e-3 * self.noise)
        return ((share - 0.15) / 0.85).clamp(0, 1)

    @staticmethod
    def energy(r: Tensor) -> Tensor:
        r = torch.nn.functional.avg_pool2d(r[None], 2, ceil_mode=True, count_include_pad=False)[0]
        means = torch.nn.functional.avg_pool2d(r[None], 2, ceil_mode=True, count_include_pad=False)[0]
        signed = cell_mean((means**2).mean(dim=0, keepdim=True), 1)
        return signed + 0.25 * cell_mean((r**2).mean(dim=0, keepdim=True), 2)

    @staticmethod
    def relation(z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """A and b of (14), and the means of x."""
        ridge = 1e-2 * float(x.max() - x.min()) ** 2
        z, x = (torch.nn.functional.avg_pool2d(one, 2, ceil_mode=True, count_include_pad=False) for one in (z, x))
        mz, mx = cell_mean(z, 4), cell_mean(x, 4)
        variance, covariance = cell_mean(x * x, 4) - mx * mx, cell_mean(x * z, 4) - mx * mz
        whole = covariance.mean(dim=(1, 2), keepdim=True) / variance.mean(dim=(1, 2), keepdim=True)
        slope = (covariance + ridge * whole) / (variance + ridge)
        return torch.stack((slope, mz - slope * mx)), mx

    def without_wide_flicker(self, z: Tensor, x: Tensor, flow: Tensor, memory: Tensor) -> Tensor:
        self.frames += 1
        now, mx = self.relation(z, x)
        old = self.moved(self.average, flow)
        last, mx_before = self.moved(torch.stack((self.deviation, self.mean_x)), flow)
        self.mean_x = mx
        if float(((mx - mx_before) ** 2).mean()) > 0.4 * float(mx.var(dim=(1, 2), correction=0).mean()):
            old, last, self.frames, self.evidence = now, torch.zeros_like(mx), 1, None
        half_z, half_x, half_memory = (
            torch.nn.functional.avg_pool2d(one, 2, ceil_mode=True, count_include_pad=False) for one in (z, x, memory)
        )
        self.deviation = cell_mean(half_z, 4) - (old[0] * mx + old[1])
        self.average = old + max(1 / self.frames, 0.05) * (now - old)
        slope, offset = (enlarge(part, z) for part in self.average - now)
        correction = slope * x + offset
        if self.frames <= 2:
            return z
        half_slope, half_offset = (enlarge(part, half_z) for part in self.average - now)
        taken, apart = half_slope * half_x + half_offset, half_memory - half_z
        regions = box_mean(self.deviation)
        products = [self.deviation * last, self.deviation**2, last**2, regions**2]
        products += [taken * (2 * apart - taken), apart**2]
        found = torch.stack([product.mean() for product in products])
        self.evidence = found if self.evidence is None else self.evidence + 0.15 * (found - self.evidence)
        persists = float(self.evidence[0] / (0.5 * (self.evidence[1] + self.evidence[2])))
        wide = float(self.evidence[3] / self.evidence[1])
        gained = float(self.evidence[4] / self.evidence[5])
        engaged = min(1.0, max(0.0, (0.95 - persists) / 0.2)) * min(1.0, max(0.0, (gained - 0.1) / 0.1))
        engaged *= min(1.0, max(0.0, (wide - 0.6) / 0.2))
        low, high = z.amin(dim=(1, 2), keepdim=True), z.amax(dim=(1, 2), keepdim=True)
        return (z + engaged * correction).clamp(low, high)

    @staticmethod
    def moved(cells: Tensor, flow: Tensor) -> Tensor:
        """Cells (…, C, h, w) sampled along the flow (2, H, W) in pixels."""
        move = torch.nn.functional.avg_pool2d(flow[None], 8, ceil_mode=True, count_include_pad=False)[0] / 8
        return bilinear(cells, move)
