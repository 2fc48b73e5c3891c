"""The figures of one table row: everything we report about a video, frame by frame."""

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from holdsteady.errors import MetricError
from holdsteady.metrics.masked import check_shapes
from holdsteady.metrics.pairs import flicker_error, instability, instability_rms
from holdsteady.metrics.series import Series

_HIGHEST_PSNR = 100.0  # dB
_SSIM_WINDOW = 11  # pixels on a side, torchmetrics' default


class VideoScores:
    """Scores a stream of images in [0, 1] as it comes; keeps one number per frame and figure.

    =======================  ==================================================================
    psnr                     dB, torchmetrics' own, of each frame, 100 at most; higher is better
    ssim                     torchmetrics' own, of each frame; higher is better
    instability              whole-frame L2 norm of the change; lower is steadier
    instability_rms          the same per element
    flicker_error            lower is better
    target_instability_rms   of the truth: output steadier than this is over-smoothed
    =======================  ==================================================================

    Without truth only the two instabilities are measured. Several streams in a batch are averaged.
    Pictures are complete: unlike depth they have no mask, and a NaN in one shows up in the scores.
    """

    def __init__(self) -> None:
        self._series = Series()
        self._pred: Tensor | None = None
        self._truth: Tensor | None = None

    def update(self, pred: Tensor, truth: Tensor | None = None) -> None:
        """Add the next frame.

        Args:
            pred: (B, 3, H, W) in [0, 1], at least 11×11 pixels (the window of SSIM).
            truth: (B, 3, H, W) in [0, 1], or None where it is not known.

        Raises:
            MetricError: pred and truth, or this frame and the last, differ in shape, or SSIM finds the
                frame too small.
        """
        values: dict[str, Tensor] = {}
        if truth is not None:
            check_shapes(pred, truth)
            if pred.dim() != 4 or min(pred.shape[2:]) < _SSIM_WINDOW:
                raise MetricError(f"expected (B, 3, H, W) of at least 11×11 pixels, got {tuple(pred.shape)}")
            psnr = peak_signal_noise_ratio(pred, truth, data_range=1.0, reduction="none", dim=(1, 2, 3))
            # One frame without any error must not make the mean of a video infinite.
            values["psnr"] = psnr.clamp(max=_HIGHEST_PSNR)
            ssim = structural_similarity_index_measure(pred, truth, data_range=1.0, reduction="none")
            assert isinstance(ssim, Tensor)  # a tuple only if its intermediate images are asked for
            values["ssim"] = ssim
        if self._pred is not None:
            values["instability"] = instability(pred, self._pred)
            values["instability_rms"] = instability_rms(pred, self._pred)
            if truth is not None and self._truth is not None:
                values["flicker_error"] = flicker_error(pred, self._pred, truth, self._truth)
                values["target_instability_rms"] = instability_rms(truth, self._truth)
        self._series.add({name: value.mean().item() for name, value in values.items()})
        # Copies: the caller may decode the next frame into the same memory.
        self._pred = pred.detach().clone()
        self._truth = None if truth is None else truth.detach().clone()

    def cut(self) -> None:
        """Forget the previous frame: the next one begins another scene."""
        self._pred = self._truth = None

    def compute(self) -> dict[str, float]:
        """Mean of each figure over the frames where it was measured; figures never measured are absent."""
        return self._series.compute()

    def per_frame(self) -> dict[str, list[float]]:
        """Each figure for every frame so far, for plots; NaN where it was not measured (first frames)."""
        return self._series.per_frame()
