"""Models that other libraries and programs wrote, each from a file made here."""

import zipfile
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

import holdsteady as hs
from holdsteady.errors import ConfigError, ModelError
from holdsteady.host.identity import base_of
from holdsteady.models.card import ModelCard
from holdsteady.models.loaders.transformers import _processing
from holdsteady.models.runner import FrameRunner

FRAME = torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Two outputs, the second of which is the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, frame: Tensor) -> dict[str, Tensor]:
        return {"features": torch.cat((frame, frame), dim=1), "out": torch.relu(self.conv(frame))}


class Outlaw:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_torchscript(tmp_path: Path) -> None:
    net = Net().eval()
    torch.jit.script(net).save(tmp_path / "net.pt")
    model = hs.load(str(tmp_path / "net.pt"), card=hs.ModelCard(output="out"))
    torch.testing.assert_close(model(FRAME), net(FRAME)["out"])
    assert [info.point.name for info in hs.points(model, FRAME)] == ["input", "output"]
    (tmp_path / "bad.pt").write_bytes((tmp_path / "net.pt").read_bytes()[:300])
    with pytest.raises(ModelError, match=r"bad\.pt"):
        hs.load(str(tmp_path / "bad.pt"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    """A network, and the program of torch.export that it became, of any size."""
    net, path = Net().eval(), tmp_path_factory.mktemp("export") / "net.pt2"
    free = torch.export.Dim.AUTO
    torch.export.save(torch.export.export(net, (FRAME,), dynamic_shapes={"frame": {2: free, 3: free}}), path)
    return net, path


def test_programs_of_torch_export(exported: tuple[nn.Module, Path], tmp_path: Path) -> None:
    net, path = exported
    model = hs.load(str(path))
    with torch.no_grad():
        torch.testing.assert_close(model(FRAME[..., :16])["out"], net(FRAME[..., :16])["out"])
        steady = hs.stabilize(model, "output-fixed:0.5")
        assert steady(FRAME)["out"].shape == FRAME.shape
    fixed = tmp_path / "fixed.pt2"
    torch.export.save(torch.export.export(net, (FRAME,)), fixed)
    loaded = hs.load(str(fixed))
    assert isinstance(loaded, hs.Model) and loaded.card.size == (20, 24)
    assert FrameRunner(hs.Model(loaded, output="out"), ()).step(torch.rand(1, 3, 40, 30)).shape == (1, 3, 40, 30)
    (tmp_path / "bad.pt2").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"bad\.pt2 is not a program of torch\.export"):
        hs.load(str(tmp_path / "bad.pt2"))


@pytest.mark.parametrize("entry", ["sample_inputs", "opaque_obj", "use_pickle"])
def test_a_program_with_pickles_in_it_is_refused(entry: str, exported: tuple[nn.Module, Path], tmp_path: Path) -> None:
    trace, outlaw = tmp_path / "trace", tmp_path / "outlaw.pt2"
    torch.save(Outlaw(trace), tmp_path / "pickle")
    with zipfile.ZipFile(exported[1]) as good, zipfile.ZipFile(outlaw, "w") as bad:
        for name in good.namelist():
            content = good.read(name)
            if entry == "sample_inputs" and "sample_inputs" in name:
                content = (tmp_path / "pickle").read_bytes()
            if entry == "use_pickle" and name.endswith("weights_config.json"):
                assert b'"use_pickle": false' in content
                content = content.replace(b'"use_pickle": false', b'"use_pickle":  true')
            bad.writestr(name, content)
        if entry == "opaque_obj":
            bad.writestr("outlaw/data/constants/opaque_obj_0", b"")
    with pytest.raises(ModelError, match=r"outlaw\.pt2 holds more than tensors .*--trust"):
        hs.load(str(outlaw))
    assert not trace.exists()


def test_a_module_that_was_pickled_whole(tmp_path: Path) -> None:
    net = Net().eval().half()
    torch.save(net, tmp_path / "net.pth")
    with pytest.raises(ModelError, match=r"holds more than tensors .*--trust"):
        hs.load(str(tmp_path / "net.pth"))
    model = hs.load(str(tmp_path / "net.pth"), trust=True)
    assert model(FRAME)["out"].dtype == torch.float32
    with pytest.raises(ConfigError, match="has its weights in it"):
        hs.load(str(tmp_path / "net.pth"), "w.pth", trust=True)


def onnx_file(path: Path, shape: list[Any], *, outputs: int = 1) -> Path:
    """A file in which a frame is doubled, and halved in a second output."""
    nodes = [helper.make_node("Add", ["frame", "frame"], ["double"])]
    half = helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])
    nodes.append(helper.make_node("Mul", ["frame", "half"], ["halved"]))
    names = ["double", "halved"][:outputs]
    given = [helper.make_tensor_value_info("frame", TensorProto.FLOAT, shape)]
    gives = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]
    graph = helper.make_graph(nodes[:outputs], "net", given, gives, [half] if outputs > 1 else [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, path)
    return path


def test_onnx_as_a_black_box(tmp_path: Path) -> None:
    model = hs.load(str(onnx_file(tmp_path / "net.onnx", [1, 3, "h", "w"], outputs=2)))
    assert {name: value.shape for name, value in model(FRAME).items()} == dict.fromkeys(
        ("double", "halved"), FRAME.shape
    )
    chosen = hs.Model(model, output="halved", range=(0, 255))
    torch.testing.assert_close(chosen(FRAME), FRAME / 2)
    steady = hs.stabilize(chosen, "output-fixed:0.5")
    steady(FRAME)
    torch.testing.assert_close(steady(0 * FRAME), FRAME / 4)


def test_onnx_is_run_with_an_adapter(tmp_path: Path) -> None:
    runner = FrameRunner(hs.load(str(onnx_file(tmp_path / "net.onnx", ["n", 3, "h", "w"]))), "output-fixed:0.5")
    runner.step(FRAME)
    torch.testing.assert_close(runner.step(0 * FRAME), FRAME)
    assert "OnnxModel" in base_of(hs.load(str(tmp_path / "net.onnx")))["class"]


def test_onnx_that_takes_bytes(tmp_path: Path) -> None:
    frame = helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, 3, "h", "w"])
    same = helper.make_tensor_value_info("same", TensorProto.UINT8, [1, 3, "h", "w"])
    graph = helper.make_graph([helper.make_node("Identity", ["frame"], ["same"])], "net", [frame], [same])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, tmp_path / "bytes.onnx")
    shown = FrameRunner(hs.load(str(tmp_path / "bytes.onnx")), ()).step(FRAME)
    assert (shown - FRAME).abs().max() < 0.5 / 255 + 1e-6
    with pytest.raises(ConfigError, match=r"bytes\.onnx takes bytes, 0…255: leave out --range"):
        hs.load(str(tmp_path / "bytes.onnx"), card=ModelCard(range=(0, 255)))


def test_what_an_onnx_file_says_of_its_input(tmp_path: Path) -> None:
    fixed = hs.load(str(onnx_file(tmp_path / "fixed.onnx", [1, 3, 32, 40])))
    assert isinstance(fixed, hs.Model) and fixed.card.size == (32, 40)
    assert fixed(FRAME).shape == FRAME.shape
    last = hs.load(str(onnx_file(tmp_path / "last.onnx", [1, "h", "w", 3])))
    assert isinstance(last, hs.Model) and last.card.layout == "bhwc"
    torch.testing.assert_close(last(FRAME), 2 * FRAME)
    gray = hs.load(str(onnx_file(tmp_path / "gray.onnx", [1, 1, "h", "w"])))
    assert gray(FRAME).shape == (1, 1, 20, 24)


def test_an_onnx_file_for_more_channels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"six\.onnx takes \[1, 6, 'h', 'w'\], 6 channels; a frame has 3, or 1 of grey"
    ):
        hs.load(str(onnx_file(tmp_path / "six.onnx", [1, 6, "h", "w"])))


def test_onnx_outputs_that_are_words_or_sequences(tmp_path: Path) -> None:
    frame = helper.make_tensor_value_info("frame", TensorProto.FLOAT, [1, 3, "h", "w"])
    words = helper.make_tensor_value_info("words", TensorProto.STRING, [1])
    both = helper.make_tensor_sequence_value_info("both", TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("Constant", [], ["words"], value_strings=["depth"]),
        helper.make_node("Neg", ["frame"], ["less"]),
        helper.make_node("SequenceConstruct", ["frame", "less"], ["both"]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "net", [frame], [words, both]), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 9
    onnx.save(model, tmp_path / "words.onnx")
    loaded = hs.load(str(tmp_path / "words.onnx"))
    assert loaded(FRAME)["words"] == ["depth"] and torch.equal(loaded(FRAME)["both"][1], -FRAME)
    torch.testing.assert_close(FrameRunner(loaded, "output-fixed").step(FRAME), FRAME)


@pytest.mark.parametrize(("forward", "words"), [("x.reshape(2, 5)", "shape '.*' is invalid"), ("x * y", "more than")])
def test_what_torchscript_says_is_told(forward: str, words: str, tmp_path: Path) -> None:
    class Script(nn.Module):
        pass

    scripted = torch.jit.script(Script())
    more = ", y: Tensor" if "y" in forward else ""
    scripted.define(f"def forward(self, x: Tensor{more}) -> Tensor:\n    return {forward}\n")
    scripted.save(str(tmp_path / "net.pt"))
    with pytest.raises(ModelError, match=words):
        FrameRunner(hs.load(str(tmp_path / "net.pt")), "none").step(FRAME)


def test_points_inside_an_onnx_file(tmp_path: Path) -> None:
    path = str(onnx_file(tmp_path / "net.onnx", [1, 3, "h", "w"]))
    model = hs.load(path, inside=True)
    torch.testing.assert_close(model(FRAME), 2 * FRAME)
    assert len(hs.points(model, FRAME)) > 2
    with pytest.raises(ConfigError, match="--inside turns ONNX files into PyTorch"):
        hs.load("denoise", inside=True)


def test_onnx_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    for inside in (False, True):
        with pytest.raises(ModelError, match=r"bad\.onnx can't be"):
            hs.load(str(tmp_path / "bad.onnx"), inside=inside)
    with pytest.raises(ModelError, match="no file"):
        hs.load("gone.onnx")
    with pytest.raises(ModelError, match="a batch of frames has four axes"):
        hs.load(str(onnx_file(tmp_path / "flat.onnx", [3, "h", "w"])))
    with pytest.raises(ModelError, match="takes 4 frames at once"):
        hs.load(str(onnx_file(tmp_path / "four.onnx", [4, 3, "h", "w"])))


def test_restoration_networks_are_known_by_their_weights(tmp_path: Path) -> None:
    from spandrel.architectures.Compact import Compact

    net = Compact(num_feat=8, num_conv=2, upscale=2).eval()
    torch.save({"params_ema": net.state_dict()}, tmp_path / "x2.pth")
    model = hs.load(str(tmp_path / "x2.pth"))
    assert isinstance(model, hs.Model)
    assert model.card.stated == {"kind": "image", "scale": 2.0, "multiple": 1}
    with torch.no_grad():
        torch.testing.assert_close(model(FRAME), net(FRAME))
    assert "model.body.0" in [info.point.name for info in hs.points(model, FRAME)]
    torch.save({"some.weight": torch.zeros(3)}, tmp_path / "unknown.pth")
    with pytest.raises(ModelError, match=r"does not recognise .*--model file\.py:make --weights .*unknown\.pth"):
        hs.load(str(tmp_path / "unknown.pth"))


@pytest.mark.slow  # it takes transformers seconds to be imported
def test_transformers_depth(tmp_path: Path) -> None:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor

    backbone = Dinov2Config(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, patch_size=14, image_size=28, out_indices=[1, 2],
        reshape_hidden_states=False, mlp_ratio=2,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, reassemble_hidden_size=8, reassemble_factors=[1, 1],
        neck_hidden_sizes=[4, 4], fusion_hidden_size=4, head_in_index=-1, head_hidden_size=4,
    )  # fmt: skip
    net = DepthAnythingForDepthEstimation(config).eval()
    net.save_pretrained(tmp_path)
    DPTImageProcessor(
        size={"height": 42, "width": 42}, keep_aspect_ratio=True, ensure_multiple_of=14, do_normalize=True,
        image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.2, 0.3],
    ).save_pretrained(tmp_path)  # fmt: skip
    model = hs.load(str(tmp_path))
    assert isinstance(model, hs.Model)
    card = model.card
    assert (card.kind, card.output, card.size, card.multiple) == ("depth", "predicted_depth", 42, 14)
    assert card.mean == (0.4, 0.5, 0.6) and card.std == (0.2, 0.2, 0.3) and card.range == (0, 1)
    with torch.no_grad():
        assert model(torch.rand(1, 3, 90, 160)).shape == (1, 90, 160)
        exact = torch.rand(1, 3, 42, 56)
        mean, std = (torch.tensor(values)[:, None, None] for values in (card.mean, card.std))
        torch.testing.assert_close(model(exact), net((exact - mean) / std).predicted_depth)


@pytest.mark.slow
def test_transformers_segmentation_and_what_it_is_not_for(tmp_path: Path) -> None:
    from transformers import (
        SegformerConfig,
        SegformerForImageClassification,
        SegformerForSemanticSegmentation,
        SegformerImageProcessor,
    )

    config = SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 12], patch_sizes=[7, 3], strides=[4, 2],
        num_attention_heads=[1, 2], mlp_ratios=[2, 2], decoder_hidden_size=8, num_labels=4,
    )  # fmt: skip
    net = SegformerForSemanticSegmentation(config).eval()
    net.save_pretrained(tmp_path / "seg")
    SegformerImageProcessor(size={"height": 32, "width": 64}, do_normalize=False).save_pretrained(tmp_path / "seg")
    model = hs.load(f"hf:{tmp_path / 'seg'}")
    assert isinstance(model, hs.Model)
    assert model.card.stated == {"output": "logits", "kind": "classes", "size": (32, 64)}
    with torch.no_grad():
        assert model(torch.rand(1, 3, 90, 160))[0].argmax(dim=0).max() < 4
    SegformerForImageClassification(config).save_pretrained(tmp_path / "class")
    with pytest.raises(ModelError, match="is a SegformerForImageClassification; expected depth estimation"):
        hs.load(str(tmp_path / "class"))
    with pytest.raises(ModelError, match="hf:no such name can't be loaded"):
        hs.load("hf:no such name")


@pytest.mark.slow
def test_what_transformers_processors_say(tmp_path: Path) -> None:
    import transformers

    transformers.MobileViTImageProcessor(size={"shortest_edge": 64}).save_pretrained(tmp_path)
    stated = _processing(transformers, str(tmp_path), {"local_files_only": True})
    assert stated == {"channels": "bgr", "size": 64}


@pytest.mark.slow
def test_transformers_folders_that_are_damaged_or_want_trust(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "oneformer", "output_auxiliary_logits": 3.5}')
    with pytest.raises(ModelError, match=r"can't be loaded: \w+Error"):
        hs.load(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}')
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w')")
    with pytest.raises(ModelError, match=r"custom code.*add --trust to run it"):
        hs.load(str(tmp_path))
    assert not (tmp_path / "trace").exists()


@pytest.mark.slow
def test_transformers_image_to_image(tmp_path: Path) -> None:
    from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution, Swin2SRImageProcessor

    config = Swin2SRConfig(
        image_size=16, patch_size=1, embed_dim=8, depths=[1], num_heads=[2], window_size=4, mlp_ratio=1.0, upscale=2
    )
    net = Swin2SRForImageSuperResolution(config).eval()
    net.save_pretrained(tmp_path)
    Swin2SRImageProcessor().save_pretrained(tmp_path)
    model = hs.load(str(tmp_path))
    assert isinstance(model, hs.Model)
    assert (model.card.kind, model.card.output) == ("image", "reconstruction")
    with torch.no_grad():
        assert model(FRAME).shape == (1, 3, 40, 48)
        exact = torch.rand(1, 3, 16, 24)
        torch.testing.assert_close(model(exact), net(exact).reconstruction)


def test_segmentation_models(tmp_path: Path) -> None:
    import segmentation_models_pytorch as smp

    net = smp.create_model(
        "unet", "mobilenet_v2", encoder_weights=None, classes=3, decoder_channels=(8, 8, 8, 8, 8)
    ).eval()
    net.save_pretrained(tmp_path / "saved")
    model = hs.load(f"smp:{tmp_path / 'saved'}")
    assert isinstance(model, hs.Model)
    assert (model.card.kind, model.card.multiple) == ("classes", 32)
    mean, std = (torch.tensor(values)[:, None, None] for values in (model.card.mean, model.card.std))
    frame = torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(frame), net((frame - mean) / std))
    plain = smp.create_model("unet", "mobilenet_v2", encoder_weights=None).eval()
    torch.save({"state_dict": plain.state_dict()}, tmp_path / "w.pth")
    mask = hs.load("smp:unet:mobilenet_v2", tmp_path / "w.pth")
    assert isinstance(mask, hs.Model) and mask.card.kind == "mask"
    with pytest.raises(ModelError, match="has no weights of its own; give --weights"):
        hs.load("smp:unet:mobilenet_v2")
    with pytest.raises(ModelError, match=r"can't be made: .*did you mean mobilenet_v2"):
        hs.load("smp:unet:mobilenet_v22", tmp_path / "w.pth")


def test_timm(tmp_path: Path) -> None:
    import timm

    net = timm.create_model("test_convnext", pretrained=False).eval()
    torch.save(net.state_dict(), tmp_path / "w.pth")
    model = hs.load("timm:test_convnext", tmp_path / "w.pth")
    assert isinstance(model, hs.Model) and model.card.mean == net.pretrained_cfg["mean"]
    assert len(hs.points(model, torch.rand(1, 3, 64, 64))) > 5
    with pytest.raises(ModelError, match=r"timm has no model 'test_convnextt' \(did you mean test_convnext"):
        hs.load("timm:test_convnextt")
