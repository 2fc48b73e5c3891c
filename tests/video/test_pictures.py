"""Image files of every kind, alone, in folders and by patterns."""

import struct
import warnings
import zlib

import av
import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, features

from holdsteady.errors import VideoError
from holdsteady.video import open_video
from holdsteady.video.color import is_clear, to_alpha
from holdsteady.video.image_writer import images_lose
from holdsteady.video.picture import read_picture
from holdsteady.video.plan import Fate, plan_streams

RGBA = np.random.default_rng(0).integers(0, 256, (8, 12, 4), np.uint8)
COLOURS = [(40 * k, 255 - 40 * k, 128) for k in range(6)]
TIMES = [0.0, 0.1, 0.15, 0.25, 0.45, 0.55]
DURATIONS = [100, 50, 100, 200, 100, 100]


def read(source, **options):
    with open_video(str(source), **options) as reader:
        return reader.info, list(reader)


MODES = {
    "png": ["1", "L", "LA", "P", "RGB", "RGBA"],
    "tif": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"],
    "webp": ["L", "RGB", "RGBA"],
    "bmp": ["1", "L", "P", "RGB"],
    "jpg": ["L", "RGB", "CMYK"],
}


@pytest.mark.parametrize(("suffix", "mode"), [(suffix, mode) for suffix, modes in MODES.items() for mode in modes])
def test_every_mode_is_what_pillow_shows(tmp_path, suffix, mode):
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    Image.fromarray(RGBA).convert(mode).save(path, **options)
    picture = read_picture(path)
    with Image.open(path) as stored:
        seen = np.asarray(stored.convert("RGBA"))
    np.testing.assert_array_equal(picture.pixels, seen[..., :3])
    if picture.alpha is None:
        assert (seen[..., 3] == 255).all()
    else:
        np.testing.assert_array_equal(picture.alpha, seen[..., 3])
    assert picture.alpha is not None or mode not in ("LA", "RGBA")


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits(tmp_path, channels, suffix):
    values = np.random.default_rng(1).integers(0, 65536, (8, 12, channels), np.uint16)
    path = tmp_path / f"a.{suffix}"
    cv2.imwrite(str(path), values)
    pixels, alpha = read_picture(path)
    np.testing.assert_array_equal(
        pixels, np.broadcast_to(values[..., :1] if channels == 1 else values[..., 2::-1], (8, 12, 3))
    )
    assert (alpha is None) == (channels < 4)
    if alpha is not None:
        np.testing.assert_array_equal(alpha, values[..., 3])


def exr(path, planes):
    """An OpenEXR file of 32-bit floats, uncompressed, by its specification; channels in alphabetical order."""
    height, width = next(iter(planes.values())).shape
    names = sorted(planes)
    channels = b"".join(name.encode() + b"\0" + struct.pack("<iiii", 2, 0, 1, 1) for name in names) + b"\0"
    box = struct.pack("<iiii", 0, 0, width - 1, height - 1)
    attributes = [
        (b"channels", b"chlist", channels),
        (b"compression", b"compression", b"\0"),
        (b"dataWindow", b"box2i", box),
        (b"displayWindow", b"box2i", box),
        (b"lineOrder", b"lineOrder", b"\0"),
        (b"pixelAspectRatio", b"float", struct.pack("<f", 1)),
        (b"screenWindowCenter", b"v2f", struct.pack("<ff", 0, 0)),
        (b"screenWindowWidth", b"float", struct.pack("<f", 1)),
    ]
    header = struct.pack("<ii", 20000630, 2)
    header += b"".join(n + b"\0" + k + b"\0" + struct.pack("<i", len(v)) + v for n, k, v in attributes) + b"\0"
    lines = [np.concatenate([planes[name][y] for name in names]).astype("<f4").tobytes() for y in range(height)]
    begin = len(header) + 8 * height
    offsets = [begin + y * (8 + len(lines[0])) for y in range(height)]
    data = b"".join(struct.pack("<ii", y, len(line)) + line for y, line in enumerate(lines))
    path.write_bytes(header + struct.pack(f"<{height}Q", *offsets) + data)


@pytest.mark.parametrize("kind", ["grey.tif", "colour.tif", "colour.hdr", "grey.exr", "colour.exr", "alpha.exr"])
def test_floats_are_clipped(tmp_path, kind):
    values = np.random.default_rng(1).uniform(-0.2, 1.4, (8, 12, 4)).astype(np.float32)
    if kind.endswith(".hdr"):
        values = np.abs(values)
    path = tmp_path / kind
    if kind.endswith(".exr"):
        names = {"grey.exr": "Y", "colour.exr": "RGB", "alpha.exr": "RGBA"}[kind]
        exr(path, {name: values[..., number] for number, name in enumerate(names)})
    else:
        cv2.imwrite(str(path), values[..., 0] if kind.startswith("grey") else values[..., 2::-1])
    with pytest.warns(UserWarning, match=r"floating values outside of \[0, 1\] are clipped"):
        pixels, alpha = read_picture(path)
    assert pixels.dtype == np.uint16
    expected = np.clip(values[..., [0, 0, 0] if kind.startswith("grey") else [0, 1, 2]], 0, 1)
    assert np.abs(pixels / 65535 - expected).max() < (0.01 if kind.endswith(".hdr") else 1e-5)  # 8 bits of mantissa
    if kind == "alpha.exr":
        assert np.abs(alpha / 65535 - np.clip(values[..., 3], 0, 1)).max() < 1e-5


def test_not_a_number_is_black(tmp_path):
    values = np.full((4, 4, 3), 0.5, np.float32)
    values[0, 0] = np.nan
    cv2.imwrite(str(tmp_path / "a.tif"), values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels, _ = read_picture(tmp_path / "a.tif")
    assert (pixels[0, 0].tolist(), pixels[1, 1].tolist()) == ([0] * 3, [32768] * 3)


TURNS = Image.Transpose
STORED = {
    1: None,
    2: TURNS.FLIP_LEFT_RIGHT,
    3: TURNS.ROTATE_180,
    4: TURNS.FLIP_TOP_BOTTOM,
    5: TURNS.TRANSPOSE,
    6: TURNS.ROTATE_90,
    7: TURNS.TRANSVERSE,
    8: TURNS.ROTATE_270,
}


@pytest.mark.parametrize("orientation", STORED)
def test_every_exif_orientation(tmp_path, orientation):
    blocks = np.kron(np.random.default_rng(1).integers(0, 256, (2, 3, 3), np.uint8), np.ones((16, 16, 1), np.uint8))
    upright = Image.fromarray(blocks)
    turn = STORED[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[274] = orientation
    for suffix in ("jpg", "png", "tif", "webp"):
        path = tmp_path / f"a.{suffix}"
        stored.save(path, exif=exif, quality=100)
        pixels = read_picture(path).pixels
        assert pixels.shape == blocks.shape
        assert np.abs(pixels.astype(int) - blocks).mean() < 8
    deep = tmp_path / "deep.png"
    cv2.imwrite(str(deep), np.asarray(stored)[..., ::-1].astype(np.uint16) * 257)
    chunk = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    data = deep.read_bytes()
    data = data[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
    deep.write_bytes(data)
    np.testing.assert_array_equal(read_picture(deep).pixels, blocks.astype(np.uint16) * 257)


@pytest.mark.parametrize("suffix", ["webp", "png", "gif"])
def test_animations_give_all_frames_at_their_times(tmp_path, suffix):
    images = [Image.new("RGB", (64, 48), colour) for colour in COLOURS]
    path = tmp_path / f"a.{suffix}"
    lossless = {"lossless": True} if suffix == "webp" else {}
    images[0].save(path, save_all=True, append_images=images[1:], duration=DURATIONS, **lossless)
    info, frames = read(path)
    assert [float(frame.time) for frame in frames] == pytest.approx(TIMES)
    assert [tuple(frame.pixels[20, 30]) for frame in frames] == COLOURS
    assert not info.has_alpha
    _, part = read(path, start=0.15, duration=0.3)
    assert [float(frame.time) for frame in part] == pytest.approx(TIMES[2:4])


def test_transparent_animations(tmp_path):
    pictures = []
    for number in range(4):
        values = np.zeros((48, 64, 4), np.uint8)
        values[10:30, 10 + 5 * number : 30 + 5 * number] = (200, 30, 40, 255)
        pictures.append(Image.fromarray(values))
    for name, options in (("a.webp", {"lossless": True}), ("a.png", {"blend": 0}), ("a.gif", {"disposal": 2})):
        path = tmp_path / name
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100, **options)
        info, frames = read(path)
        assert (info.has_alpha, len(frames)) == (True, 4)
        if name != "a.gif":  # whose first frame Pillow may store with another background
            for frame, picture in zip(frames, pictures, strict=True):
                np.testing.assert_array_equal(frame.alpha, np.asarray(picture)[..., 3])
        shown = frames[2].pixels[frames[2].alpha == 255]
        assert np.abs(shown.astype(int) - (200, 30, 40)).max() <= 6


@pytest.mark.parametrize(("suffix", "since"), [("gif", 2), ("png", 1)])  # a GIF's picture 1 lies on the first
def test_transparency_that_comes_later_is_said_to_be_lost(tmp_path, suffix, since):
    pictures = []
    for number in range(3):
        values = np.full((48, 64, 4), (40 * number, 80, 120, 255), np.uint8)
        values[10:20, 10:20, 3] = 0 if number else 255
        pictures.append(Image.fromarray(values))
    path = tmp_path / f"a.{suffix}"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100, disposal=2, blend=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        info, frames = read(path)
    assert (info.has_alpha, len(frames)) == (False, 3)
    said = [str(one.message) for one in caught]
    assert [one.partition(": ")[2] for one in said] == [
        f"its transparency from frame {since} on is left out, for the first has none"
    ]


def test_of_a_truncated_tiff_what_is_there_is_read(tmp_path):
    noise = np.random.default_rng(0)
    pictures = [Image.fromarray(noise.integers(0, 256, (48, 64, 3), np.uint8)) for _ in range(6)]
    path = tmp_path / "a.tif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.warns(UserWarning, match=r"a\.tif: ends at picture 3, which can't be found"):
        frames = read(path)[1]
    assert len(frames) == 3
    np.testing.assert_array_equal(frames[2].pixels, np.asarray(pictures[2]))


def test_a_second_page_that_can_not_be_found_is_told_once(tmp_path):
    path, deep = tmp_path / "a.tif", np.random.default_rng(0).integers(0, 65536, (3, 48, 64, 3), np.uint16)
    cv2.imwritemulti(str(path), list(deep), [cv2.IMWRITE_TIFF_COMPRESSION, 1])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 5])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (frame,) = read(path)[1]
    np.testing.assert_array_equal(frame.pixels, deep[0][..., ::-1])
    assert len([one for one in caught if "a.tif: ends at picture 1, which can't be found" in str(one.message)]) == 1


def test_a_smaller_copy_in_a_tiff_is_no_second_picture(tmp_path):
    whole = Image.fromarray(RGBA[..., :3])
    small = whole.resize((6, 4))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    whole.save(tmp_path / "a.tif", save_all=True, append_images=[small])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for source in (tmp_path, tmp_path / "a.tif"):
            (frame,) = read(source)[1]
            np.testing.assert_array_equal(frame.pixels, RGBA[..., :3])
            assert frame.name == "a"


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
def test_animated_avif(tmp_path):
    """FFmpeg shows its first picture as a stream of its own."""
    pictures = [Image.new("RGB", (64, 48), colour) for colour in COLOURS]
    pictures[0].save(tmp_path / "a.avif", save_all=True, append_images=pictures[1:], duration=DURATIONS)
    info, frames = read(tmp_path / "a.avif")
    assert [float(frame.time) for frame in frames] == pytest.approx(TIMES)
    assert info.frames == 6
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert np.abs(frame.pixels[20, 20].astype(int) - colour).max() < 12
    (plan,) = plan_streams(str(tmp_path / "a.avif"), ".mp4")
    assert (plan.index, plan.fate, plan.why) == (0, Fate.LEFT_OUT, "it is a single picture")


def test_pages_of_a_tiff(tmp_path):
    images = [Image.new("RGB", (64, 48), colour) for colour in COLOURS]
    images[0].save(tmp_path / "a.tif", save_all=True, append_images=images[1:])
    info, frames = read(tmp_path / "a.tif")
    assert (info.frames, info.rate) == (6, 25)
    assert [tuple(frame.pixels[20, 30]) for frame in frames] == COLOURS
    assert [float(frame.time) for frame in frames] == pytest.approx([k / 25 for k in range(6)])
    deep = [np.full((48, 64, 3), (k * 10000, 500, 65535), np.uint16) for k in range(5)]
    cv2.imwritemulti(str(tmp_path / "deep.tif"), deep)
    _, frames = read(tmp_path / "deep.tif", start=0.08)
    assert [tuple(frame.pixels[0, 0]) for frame in frames] == [(65535, 500, k * 10000) for k in (2, 3, 4)]
    odd = [images[0], images[1].resize((32, 24))]
    odd[0].save(tmp_path / "odd.tif", save_all=True, append_images=odd[1:])
    with pytest.raises(VideoError, match=r"odd\.tif: picture 1 has another size"):
        read(tmp_path / "odd.tif")
    with pytest.raises(VideoError, match="has no picture after 1 s"):
        read(tmp_path / "a.tif", start=1.0)


def test_patterns_and_brackets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "[x]"
    folder.mkdir()
    for number, colour in enumerate(COLOURS[:3]):
        Image.new("RGB", (16, 8), colour).save(folder / f"f_{number:04d}.png")
        Image.new("RGB", (16, 8), colour).save(folder / f"g[1]_{number}.png")
    names = ["f_0000", "f_0001", "f_0002"]
    others = ["g[1]_0", "g[1]_1", "g[1]_2"]
    cases = {
        "[x]/*.png": names + others,
        "[x]": names + others,
        "[x]/f_*.png": names,
        "[x]/f_%04d.png": names,
        "[x]/f_%d.png": names,
        "[x]/f_000[12].png": names[1:],
        "[x]/g[1]_*.png": others,
        "[x]/g[1]_%d.png": others,
        "[[]x]/g*": others,
        "[x]/g[1]_2.png": others[2:],
    }
    for source, expected in cases.items():
        assert [frame.name for frame in read(source)[1]] == expected, source
        if source != "[[]x]/g*":
            assert [frame.name for frame in read(tmp_path / source)[1]] == expected
    for source in ("[x]/h_%04d.png", "[y]/*.png", "[x]/h*.png", "none/f_%d.png"):
        with pytest.raises(VideoError, match=r"'folder/\*\.png' or 'folder/frame_%04d\.png'"):
            open_video(source)


def test_alpha_within_a_folder(tmp_path):
    clear, opaque = RGBA.copy(), RGBA[..., :3]
    Image.fromarray(clear).save(tmp_path / "0.png")
    Image.fromarray(opaque).save(tmp_path / "1.png")
    info, frames = read(tmp_path)
    assert (info.has_alpha, info.pix_fmt) == (True, "rgba")
    np.testing.assert_array_equal(frames[0].alpha, clear[..., 3])
    assert (frames[1].alpha == 255).all()
    Image.fromarray(clear).save(tmp_path / "2.png")
    (tmp_path / "0.png").unlink()
    with pytest.warns(UserWarning, match=r"2\.png: its alpha is left out, for 1\.png has none"):
        info, frames = read(tmp_path)
    assert (info.has_alpha, frames[1].alpha) == (False, None)


def test_a_tiff_that_would_be_cut_to_eight_bits_is_refused(tmp_path):
    """Two samples of 16 bits, grey and alpha, by the specification of TIFF."""
    values = np.arange(8 * 12 * 2, dtype="<u2").tobytes()
    size, bits = ((256, 12), (257, 8)), struct.pack("<HHIHH", 258, 3, 2, 16, 16)
    others = ((259, 1), (262, 1), (273, 8), (277, 2), (278, 8), (279, len(values)), (338, 2))
    one, two = (b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags) for tags in (size, others))
    head = b"II*\0" + struct.pack("<I", 8 + len(values))
    (tmp_path / "a.tif").write_bytes(head + values + struct.pack("<H", 10) + one + bits + two + bytes(4))
    with pytest.raises(VideoError, match=r"a\.tif: a TIFF of a kind of which only 8 bits can be read"):
        read_picture(tmp_path / "a.tif")


def test_a_colour_profile_is_said_to_be_lost(tmp_path):
    profiles = {name: ImageCms.ImageCmsProfile(ImageCms.createProfile(name)) for name in ("sRGB", "XYZ")}
    for name, made in profiles.items():
        Image.new("RGB", (12, 8)).save(tmp_path / f"{name}.png", icc_profile=made.tobytes())
    assert read(tmp_path / "sRGB.png")[0].unkept == ()
    info, _ = read(tmp_path / "XYZ.png")
    assert info.unkept == ("the colour profile XYZ identity built-in, by which its colours look different",)
    assert images_lose(info) == list(info.unkept)
    (tmp_path / "a.png").write_bytes((tmp_path / "XYZ.png").read_bytes().replace(b"iCCP", b"iCCQ"))
    assert read(tmp_path / "a.png")[0].unkept == ()


def test_folders_named_like_images_are_none(tmp_path):
    Image.new("RGB", (12, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").mkdir()
    for source in (tmp_path, tmp_path / "*.png"):
        assert len(read(source)[1]) == 1


@pytest.mark.parametrize("suffix", ["webp", "tif", "png"])
def test_of_animations_in_a_folder_the_first_picture_is_taken_and_told(tmp_path, suffix):
    pictures = [Image.new("RGB", (12, 8), colour) for colour in COLOURS]
    for name in ("a", "b"):
        pictures[0].save(tmp_path / f"{name}.{suffix}", save_all=True, append_images=pictures[1:])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")  # as users see them: each once a line of code
        _, frames = read(tmp_path)
    assert len(caught) == 1
    assert "only the first picture is taken of files that hold several" in str(caught[0].message)
    assert np.abs(frames[1].pixels.astype(int) - COLOURS[0]).max() < 8
    (tmp_path / f"b.{suffix}").unlink()
    with pytest.warns(UserWarning, match="only the first picture"):
        assert len(read(tmp_path)[1]) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read(tmp_path / f"a.{suffix}")[1]) == 6


ALPHA = {
    "a.mov": ("prores_ks", "yuva444p10le", {"profile": "4"}),
    "b.mov": ("qtrle", "argb", {}),
    "c.mov": ("png", "rgba", {}),
    "d.mkv": ("ffv1", "yuva420p", {}),
    "e.mkv": ("ffv1", "bgra", {}),
    "f.mkv": ("ffv1", "yuva444p10le", {}),
    "g.webm": ("libvpx", "yuva420p", {"auto-alt-ref": "0", "crf": "4", "b": "10M"}),
    "h.webm": ("libvpx-vp9", "yuva420p", {"auto-alt-ref": "0", "crf": "4"}),
    "i.mov": ("png", "rgba64be", {}),
}


@pytest.mark.parametrize("name", ALPHA)
def test_alpha_of_videos(tmp_path, name):
    codec, pix_fmt, options = ALPHA[name]
    values = np.full((48, 64, 4), 255, np.uint8)
    values[..., :3] = (200, 30, 40)
    values[24:, :, 3] = np.arange(64) * 4
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=25, width=64, height=48, options=options)
        stream.pix_fmt = pix_fmt
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(values, format="rgba").reformat(
                format=pix_fmt, dst_colorspace=5, dst_color_range=1
            )
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    info, frames = read(tmp_path / name)
    assert (info.has_alpha, len(frames)) == (True, 3)
    top = np.iinfo(frames[1].pixels.dtype).max
    assert frames[1].alpha.dtype == frames[1].pixels.dtype
    assert np.abs(frames[1].alpha / top * 255 - values[..., 3]).max() < (4 if name.endswith(".webm") else 1.1)
    assert np.abs(frames[1].pixels[5, 5] / top * 255 - (200, 30, 40)).max() < 3


@pytest.mark.parametrize(("name", "pix_fmt"), [("a.gif", "bgra"), ("a.png", "rgba"), ("b.png", "pal8")])
def test_alpha_without_a_conversion_is_that_of_one(tmp_path, name, pix_fmt):
    noise = np.random.default_rng(0)
    picture = Image.fromarray(noise.integers(0, 256, (31, 37, 4), np.uint8))
    if name == "a.png":
        picture.save(tmp_path / name)
    else:
        clear = 3 if name == "a.gif" else noise.integers(0, 256, 40, np.uint8).tobytes()
        picture.convert("RGB").quantize(40).save(tmp_path / name, transparency=clear)
    with av.open(str(tmp_path / name)) as container:
        frame = next(container.decode(video=0))
    assert frame.format.name == pix_fmt
    np.testing.assert_array_equal(to_alpha(frame), frame.to_ndarray(format="rgba")[..., 3])
    assert is_clear(frame)


def test_a_video_without_alpha_has_none(carphone):
    info, frames = read(carphone)
    assert (info.has_alpha, frames[0].alpha, frames[0].name) == (False, None, None)
