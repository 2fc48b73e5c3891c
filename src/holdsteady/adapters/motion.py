"""Our own kinds: the memory is brought to the present along the motion, then fused."""

from torch import Tensor
from torch.nn import functional as F

from holdsteady.adapters import fusion
from holdsteady.adapters.config import AdapterConfig
from holdsteady.adapters.controller import MotionHead
from holdsteady.adapters.heads import initial_logits
from holdsteady.adapters.stabilizers import Context, Memory, Moment, Stabilizer
from holdsteady.flow.dis import FLOWS
from holdsteady.flow.warp import resize_flow, warp


class MotionStabilizer(Stabilizer):
    """Base of the kinds that bring the memory to the present along the motion before they fuse.

    The flow comes from the raw and the last stabilized output where the output is a picture: both are clean
    where the frame may not be. Otherwise (depth, logits) it comes from the frames.
    """

    def __init__(self, channels: int, frame_channels: int, config: AdapterConfig) -> None:
        super().__init__()
        self.flow = FLOWS[config.flow]()
        self.flow_from = config.flow_from
        if config.flow_from == "auto" and channels:
            self.flow_from = "output" if channels == frame_channels else "input"
        self.needs_frames = self.flow_from != "output"

    def begin(self, z: Tensor) -> tuple[Tensor, Memory]:
        return super().begin(z.contiguous())

    def forward(self, z: Tensor, memory: Memory, context: Context) -> tuple[Tensor, Memory]:
        # Warping and means over few channels take almost twice as long on channels-last memory.
        return super().forward(z.contiguous(), memory, context)

    def follows_output(self, z: Tensor, frame: Tensor | None) -> bool:
        """Whether the flow is taken from the output; a frame of as many channels makes it a picture."""
        if self.flow_from != "auto" or frame is None:
            return self.flow_from != "input"
        return z.shape[1] == frame.shape[1]

    def align(self, moment: Moment, context: Context) -> Tensor:
        """w_t (B, C, H, W), the memory brought to the present."""
        size = (moment.present.shape[-2], moment.present.shape[-1])
        if self.follows_output(moment.present, context.frame):
            flow = self.flow(moment.present, moment.stabilized)
        else:
            assert context.frame is not None and context.previous_frame is not None
            flow = resize_flow(self.flow(context.frame, context.previous_frame), size)
        return warp(moment.stabilized, flow)


class MotionFixed(MotionStabilizer):
    """*motion fixed*: the weight of the memory falls where it differs from the present. Nothing is learned."""

    def __init__(self, channels: int, frame_channels: int, config: AdapterConfig) -> None:
        super().__init__(channels, frame_channels, config)
        self.memory_weight = config.memory_weight
        self.tolerance = config.tolerance

    def fuse(self, moment: Moment, context: Context) -> tuple[Tensor, Tensor]:
        warped = self.align(moment, context)
        weight = fusion.motion_fixed_weight(moment.present, warped, self.memory_weight, self.tolerance)
        return fusion.ema(moment.present, warped, 1 - weight), warped


class Motion(MotionStabilizer):
    """*motion*: a small head gives a window of weights, shared by all channels, over the aligned memory."""

    def __init__(self, channels: int, frame_channels: int, config: AdapterConfig) -> None:
        super().__init__(channels, frame_channels, config)
        self.needs_frames = True
        self.kernel, self.dilations = config.kernel, config.dilations
        self.head = MotionHead(
            frame_channels + 4 * channels,
            config.motion_width,
            initial_logits(config, 1, has_window=True),
        )

    def fuse(self, moment: Moment, context: Context) -> tuple[Tensor, Tensor]:
        assert context.frame is not None
        frame, present, warped = context.frame, moment.present, self.align(moment, context)
        if frame.shape[-2:] != present.shape[-2:]:
            frame = F.interpolate(frame, size=present.shape[-2:], mode="bilinear", antialias=True)
        difference = (present - warped).abs()
        values = [frame, present, warped, difference, fusion.box_mean(difference)]
        fused = fusion.spatial_in_bands(self.head, values, present, warped, self.kernel, self.dilations)
        return fused, warped
