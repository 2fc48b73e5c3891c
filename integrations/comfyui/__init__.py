"""A node for ComfyUI: a batch of images that a model has been through frame by frame, held steady."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

import holdsteady as hs
from holdsteady.host.resolve import resolve_ready, without_input

ADAPTERS = ["motion-fixed", "universal", "output-fixed:0.8"]


class HoldSteady:
    """What `holdsteady fix` does, for images in memory."""

    RETURN_TYPES: ClassVar[tuple[str, ...]] = ("IMAGE",)
    FUNCTION: ClassVar[str] = "run"
    CATEGORY: ClassVar[str] = "video/holdsteady"
    DESCRIPTION: ClassVar[str] = "Takes flicker out of a video that was processed image by image."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 – ComfyUI's name
        """What ComfyUI shows of the node."""
        strength = {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.05, "tooltip": "0: the images as they come"}
        cuts = {"default": True, "tooltip": "forget at scene cuts"}
        deflicker = {"default": False, "tooltip": "hold exposure, colour and tone to those of the guide"}
        return {
            "required": {
                "images": ("IMAGE",),
                "adapter": (ADAPTERS,),
                "strength": ("FLOAT", strength),
                "cuts": ("BOOLEAN", cuts),
                "deflicker": ("BOOLEAN", deflicker),
            },
            "optional": {"guide": ("IMAGE", {"tooltip": "the images before processing; their motion is followed"})},
        }

    def run(
        self,
        images: Tensor,
        adapter: str = "motion-fixed",
        strength: float = 1.0,
        cuts: bool = True,
        deflicker: bool = False,
        guide: Tensor | None = None,
    ) -> tuple[Tensor]:
        """The images (N, H, W, C) in [0, 1], steady, in the same form.

        Args:
            images: in the order of the video.
            adapter: one of ``ADAPTERS``, or anything else that works at the output.
            strength: from 0 to 1.
            cuts: whether the memory is cleared at cuts.
            deflicker: whether wide flicker is taken out always; needs a guide.
            guide: the images before they were processed, (N, h, w, C).

        Raises:
            ValueError: settings or batches that don't go together.
        """
        if deflicker and guide is None:
            raise ValueError("deflicker holds the images to the guide: connect the images before processing")
        if guide is not None and len(guide) != len(images):
            raise ValueError(f"guide has {len(guide)} images and images has {len(images)}: one for each")
        settings: dict[str, Any] = {}
        if adapter == "motion-fixed" and guide is not None:
            settings["flow_from"] = "input"
        if deflicker:
            settings["deflicker"] = True
        shown = iter(images.movedim(-1, 1))
        chosen = without_input(resolve_ready(adapter)) if guide is None else adapter
        steady = hs.stabilize(lambda _frame: next(shown)[None], chosen, strength=strength, **settings)
        frames = images if guide is None else guide
        result, done = torch.empty_like(images), _progress(len(images))
        outputs = steady.stream((_frame(one, images) for one in frames), "auto" if cuts else "off")
        for number, output in enumerate(outputs):
            result[number] = output[0].movedim(0, -1)
            done(number + 1)
        return (result,)


def _frame(picture: Tensor, images: Tensor) -> Tensor:
    """A picture (h, w, C) as (1, C, H, W), of the images' size."""
    frame = picture.movedim(-1, 0)[None]
    size = (images.shape[1], images.shape[2])
    return frame if frame.shape[2:] == size else F.interpolate(frame, size, mode="bilinear", antialias=True)


def _progress(total: int) -> Callable[[int], None]:
    """ComfyUI's bar, which also ends the work when its user cancels it; nothing where there is no ComfyUI."""
    try:
        from comfy.utils import ProgressBar
    except ImportError:
        return lambda _number: None
    bar = ProgressBar(total)
    return lambda number: bar.update_absolute(number, total)


NODE_CLASS_MAPPINGS = {"HoldSteady": HoldSteady}
NODE_DISPLAY_NAME_MAPPINGS = {"HoldSteady": "Hold steady"}
