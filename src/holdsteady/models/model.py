"""A model behind its card: frames in [0, 1] in, and values in our conventions out."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from holdsteady.host.mirror import apply, can_mirror
from holdsteady.host.outputs import as_tensor, get_leaf, set_leaf
from holdsteady.models.card import ModelCard, make_card
from holdsteady.models.place import switch
from holdsteady.models.sizes import fit, unfit
from holdsteady.models.values import affine, call_on_arrays, image_path, into_model, out_of_model

# What makes up a module's tree; a Model shares them with the module that it stands around.
_TREE = ("_modules", "_parameters", "_buffers", "_non_persistent_buffers_set")


class Model(nn.Module):
    """A model that takes frames (B, 3, H, W) in [0, 1], RGB, whatever the model behind it wants.

    Examples:
        >>> model = Model(network, range=(0, 255), channels="bgr", output="out", kind="classes", multiple=12)
        >>> steady = holdsteady.stabilize(model, "motion")

    It stands around the model and adds no level to it: names of points, parameters and state dict are the model's own,
    so that adapters and weights fit with and without a card.

    Args:
        fn: a module, or any function of a frame.
        card: what it wants and gives.
        fields: or the fields of a :class:`ModelCard`, which go before those of ``card``.

    Raises:
        ConfigError: a field is unknown or out of range.
    """

    fn: Any
    card: ModelCard

    def __init__(self, fn: Callable[..., Any], card: ModelCard | None = None, **fields: Any) -> None:
        super().__init__()
        card = make_card(**fields) if card is None else make_card(**fields).over(card)
        inner: Any = fn
        if isinstance(inner, Model):
            inner, card = inner.fn, card.over(inner.card)
        # Not as a submodule, which would put a level into every name.
        object.__setattr__(self, "fn", inner)
        self.card = card
        self._scaling = affine(card)
        if self.has_points:
            for name in _TREE:
                object.__setattr__(self, name, getattr(inner, name))
        self.training = getattr(inner, "training", False)

    @property
    def has_points(self) -> bool:
        """Whether points inside the model can be reached."""
        return can_mirror(self.fn)

    def forward(self, frame: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Frames (B, 3, H, W) in [0, 1] → what the model gives, the image in it as the card says.

        Frames of other sizes than the model takes are padded or resized, and the image brought back.

        Raises:
            ModelError: the model gives no image, or not what the card says.
        """
        fitted = fit(frame, self.card)
        given = into_model(fitted, self.card, self._scaling)
        if self.card.layout == "hwc-uint8":
            output = call_on_arrays(self.fn, given, fitted, args, kwargs)
        else:
            output = self.fn(given, *args, **kwargs)
        if self.card.changes_values:
            output = out_of_model(output, self.card)
        if fitted is frame:
            return output
        path = image_path(output)
        if path is None:
            return output
        leaf = as_tensor(get_leaf(output, path))
        return set_leaf(output, path, unfit(leaf, fitted, frame, self.card))

    def train(self, mode: bool = True) -> "Model":
        self.training = mode
        if isinstance(self.fn, nn.Module):
            switch(self.fn, mode)
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Model":
        if isinstance(self.fn, nn.Module):
            apply(self.fn, fn)
        return self

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return self.fn.state_dict(*args, **kwargs) if isinstance(self.fn, nn.Module) else {}

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return self.fn.load_state_dict(*args, **kwargs)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.card.stated.items())


def with_card(model: Callable[..., Any], card: ModelCard | None) -> Callable[..., Any]:
    """A model behind a card, unless the card says nothing."""
    return model if card is None or not card.stated else Model(model, card)


def card_of(model: Any) -> ModelCard:
    """The card of a model, or one that says nothing."""
    return model.card if isinstance(model, Model) else ModelCard()
