"""All corruptions by name. A new one is a class of its own and a line here."""

from holdsteady.corruptions.base import Corruption
from holdsteady.corruptions.blur import Defocus, MotionBlur
from holdsteady.corruptions.compression import Jpeg, Pixelate
from holdsteady.corruptions.drops import FrameDrop, PatchDrop
from holdsteady.corruptions.elastic import Elastic
from holdsteady.corruptions.fog import Fog
from holdsteady.corruptions.frost import Frost
from holdsteady.corruptions.light import ColorJitter, Flicker
from holdsteady.corruptions.noise import Gaussian, Grain, Impulse, Poisson, PoissonGaussian
from holdsteady.corruptions.rain import Rain
from holdsteady.corruptions.snow import Snow
from holdsteady.corruptions.spatter import Spatter

_CLASSES: tuple[type[Corruption], ...] = (
    Gaussian,
    Poisson,
    PoissonGaussian,
    Grain,
    Impulse,
    PatchDrop,
    FrameDrop,
    Elastic,
    Jpeg,
    MotionBlur,
    Defocus,
    Pixelate,
    Flicker,
    ColorJitter,
    Rain,
    Snow,
    Fog,
    Spatter,
    Frost,
)

CORRUPTIONS: dict[str, type[Corruption]] = {cls.name: cls for cls in _CLASSES}
