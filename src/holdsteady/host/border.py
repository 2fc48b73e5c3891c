"""The border of a model: what it is given of a frame, and how its output comes back in the frame's form."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from holdsteady.errors import LayoutError
from holdsteady.host.frame import Form, described, form_of, from_map, held, is_channels_last, to_map
from holdsteady.host.mirror import named_parameters
from holdsteady.host.outputs import as_tensor, find_leaf, get_leaf, set_leaf

#: What a model is given: ``frames`` as they are, ``tensors`` made of them, or whichever it takes.
Takes = Literal["auto", "tensors", "frames"]

#: What becomes of a value.
Visit = Callable[[Any], Any]


@dataclass(frozen=True)
class Arrival:
    """A frame that has come to a model.

    Attributes:
        frame: as it came.
        form: its form.
        given: whether the model is given it as it is, or a tensor; None if the call itself will show that.
        size, shape: (H, W), and the shape as a batch; (1, C, H, W) of what is not a batch.
        map: the frame as cells see it and, where ``given`` is False, the model: (B, C, H, W); None if nobody asks.
    """

    frame: Any
    form: Form
    given: bool | None
    size: tuple[int, int]
    shape: tuple[int, ...]
    map: Tensor | None


class Border:
    """Decides what a model is given, and brings frames to it and its outputs back.

    A torch module gets float tensors (B, C, H, W) in [0, 1], on its device and in its dtype, whatever frames come as;
    tensors of whole numbers it gets as they are if it takes them. Any other callable gets frames as they are, and
    where it refuses the first one, tensors. Float tensors are given as they are to all.

    Args:
        base: the model.
        takes: ``tensors`` or ``frames`` to decide it here.
    """

    def __init__(self, base: Any, takes: Takes = "auto") -> None:
        self.base, self.takes = base, takes
        self._known: dict[tuple[str, bool], bool] = {}

    def receive(self, frame: Any, wants_map: bool) -> Arrival:
        """A frame at the border; ``wants_map`` if anything beside the model looks at it.

        Raises:
            LayoutError: it is not a frame.
        """
        form, size, shape = described(frame)
        given = self.gives_frames(form)
        seen = self.tensor(frame, form) if given is False else to_map(frame, form) if wants_map else None
        return Arrival(frame, form, given, size, shape, seen)

    def tried(self, arrival: Arrival, run: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arrival:
        """A frame of which it is known, now that the model was tried, what the model is given."""
        given = self.call(run, arrival.frame, arrival.form, args, kwargs)[1]
        return replace(arrival, given=given, map=arrival.map if given else self.tensor(arrival.frame, arrival.form))

    def through(
        self, arrival: Arrival, run: Any, visits: Mapping[str, Visit], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """A frame's output, in the frame's form.

        Args:
            arrival: from :meth:`receive`.
            run: what runs for the model.
            visits: what is done with ``input`` and ``output``.
            args, kwargs: of the model.
        """
        frame, form, given = arrival.frame, arrival.form, arrival.given
        at_input, at_output = visits.get("input"), visits.get("output")
        if given is False:
            output = run(arrival.map if at_input is None else at_input(arrival.map), *args, **kwargs)
        else:
            if at_input is not None:
                frame = at_input(frame) if given and form.is_map else from_map(at_input(arrival.map), form)
            if given:
                output = run(frame, *args, **kwargs)
            else:
                output, given = self.call(run, frame, form, args, kwargs)
        if not given:
            return give_back(output if at_output is None else at_output(output), form)
        if at_output is None:
            return output
        seen, close = open_output(output, form)
        return close(at_output(seen))

    def gives_frames(self, form: Form) -> bool | None:
        """Whether frames of a form are given as they are; None if that has to be tried."""
        if form.kind == "tensor" and not form.dtype:  # of floats
            return True
        if self.takes != "auto":
            return self.takes == "frames"
        if isinstance(self.base, nn.Module) and form.kind != "tensor":
            return False
        return self._known.get((form.kind, form.is_integer))

    def call(self, run: Any, frame: Any, form: Form, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, bool]:
        """The output for a frame as it is, if the model takes that, or else for a tensor; and which it was."""
        key = (form.kind, form.is_integer)
        try:
            output, self._known[key] = run(frame, *args, **kwargs), True
        except Exception as refusal:
            try:
                output, self._known[key] = run(self.tensor(frame, form), *args, **kwargs), False
            except Exception as error:
                refusal.add_note(f"given the frame as a float tensor (B, C, H, W) in [0, 1], it fails too: {error}")
                raise refusal from None
        return output, self._known[key]

    def tensor(self, frame: Any, form: Form) -> Tensor:
        """A frame as a float tensor (B, C, H, W) in [0, 1], where the model is and in its dtype."""
        picture = to_map(frame, form)
        parameters = named_parameters(self.base) if isinstance(self.base, nn.Module) else ()
        like = next((p for _, p in parameters if p.is_floating_point()), None)
        return picture.to(torch.get_default_dtype()) if like is None else picture.to(like.device, like.dtype)


def on_maps(border: Border, run: Callable[..., Any], frame: Any) -> tuple[Any, Callable[..., Any]]:
    """A frame as adapters see it, and a function of it that gives the model's output as they see that."""
    form = form_of(frame)
    given = border.gives_frames(form)
    if given is False:
        return border.tensor(frame, form), run
    if given and form.is_map:
        return frame, run

    def run_on_frame(_seen: Any, *args: Any, **kwargs: Any) -> Any:
        output, as_it_is = (run(frame, *args, **kwargs), True) if given else border.call(run, frame, form, args, kwargs)
        return open_output(output, form)[0] if as_it_is else output

    return frame if form.is_map else to_map(frame, form), run_on_frame


def give_back(output: Any, form: Form) -> Any:
    """What a network returned for a frame, its image in the frame's form.

    A picture of as many channels is of the frame's dtype; anything else (depth, logits) keeps its floats, which would
    be lost in 8 bits: an array, or for depth a PIL image of floats.
    """
    path = find_leaf(output)
    if path is None or (form.kind == "tensor" and not form.is_integer):
        return output
    leaf = as_tensor(get_leaf(output, path)).detach()
    if leaf.ndim == 4:
        leaf = leaf.permute(0, 3, 1, 2) if is_channels_last(tuple(leaf.shape)) else leaf
        if leaf.shape[1] == form.channels:
            return set_leaf(output, path, from_map(leaf, form))
    if form.kind == "tensor":
        return output
    floats = leaf.movedim(1, -1) if leaf.ndim == 4 and form.axes != "BCHW" else leaf
    if not form.is_batch:
        floats = floats[0]
        floats = floats[..., 0] if floats.ndim == 3 and floats.shape[-1] == 1 else floats
    return set_leaf(output, path, held(floats, form.kind, "float32" if form.is_integer else form.dtype))


def open_output(output: Any, form: Form) -> tuple[Any, Callable[[Any], Any]]:
    """What a model made of a frame as it is, as cells take it, and the function that brings it back.

    Args:
        output: of the model.
        form: of the frame.
    """
    if isinstance(output, Tensor) and output.is_floating_point():
        return output, lambda changed: changed
    own = _picture_form(output, form.channels)
    if own is not None:
        return to_map(output, own), lambda changed: from_map(changed, own)
    if not form.is_batch:
        path = find_leaf(output)
        leaf = None if path is None else get_leaf(output, path)
        if path is not None and isinstance(leaf, np.ndarray):
            opened = set_leaf(output, path, leaf[None])
            return opened, lambda changed: set_leaf(changed, path, get_leaf(changed, path)[0])
    return output, lambda changed: changed


def _picture_form(output: Any, channels: int) -> Form | None:
    """The form of an output in whole numbers, or of a PIL image, that is a picture; None if it is none.

    A picture has as many channels as the frame: one channel of whole numbers may be classes, which can't be mixed.
    """
    if isinstance(output, Mapping | tuple | list):
        return None
    try:
        form = form_of(output)
    except LayoutError:
        return None
    return form if (form.is_integer or form.kind == "image") and form.channels == channels else None
