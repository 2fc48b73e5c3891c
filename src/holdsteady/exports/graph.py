"""The ONNX graph of a traced step, with plain names, in one part or in several."""

import re
import warnings
from typing import Any

import torch

from holdsteady.errors import ExportError, in_one_line
from holdsteady.exports.manifest import FlowEntry, extent
from holdsteady.exports.split import cut
from holdsteady.exports.trace import Traced

#: What exports are written with.
OPSET = 21


def to_parts(traced: Traced) -> tuple[list[Any], tuple[FlowEntry, ...]]:
    """The parts of a traced step as ``onnx.ModelProto``, and the flows that the host computes between them."""
    state = traced.state
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                traced.program,
                traced.example,
                dynamo=True,
                opset_version=OPSET,
                verbose=False,
                input_names=["frame", *(entry.name for entry in state)],
                output_names=["output", *(entry.next for entry in state)],
            )
        except Exception as error:  # torch.onnx's own, and whatever its translations raise
            raise ExportError(f"{_stumbled(error, traced)}; take --format pt2, or another operation there") from error
    assert program is not None
    model = program.model_proto
    _rename(model)
    _forget_sources(model)
    _name_axes(model, traced)
    done = cut(model)
    flows = []
    for number, node in enumerate(done.flows):
        settings = {attribute.name: attribute for attribute in node.attribute}
        batch, _, height, width = traced.frame.shape
        flows.append(
            FlowEntry(
                name=_flow_name(number),
                dtype="float32",
                shape=(batch, 2, height, width),
                present=node.input[0],
                previous=node.input[1],
                max_height=settings["max_height"].i,
                mend=bool(settings["mend"].i),
                smooth=settings["smooth"].f,
            )
        )
    return done.parts, tuple(flows)


def _stumbled(error: BaseException, traced: Traced) -> str:
    """What an exporter could not translate, and the module that it is in."""
    texts: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        texts.append(str(cause))
        cause = cause.__cause__
    found = re.search(r"op='([\w.:]+)'", " ".join(texts))
    if found is None:
        return f"the exporter of PyTorch failed: {in_one_line(error)}"
    name = found[1].rpartition(".")[2]  # it may have been taken apart since it was traced
    nodes = [node for node in traced.program.graph.nodes if name in str(node.target)]
    inside = list(nodes[0].meta.get("nn_module_stack", {}).values()) if nodes else []
    where = f" (in {inside[-1][0] or 'the model'})" if inside else ""
    return f"ONNX has nothing for {found[1]}{where}"


def _flow_name(number: int) -> str:
    return "flow" if number == 0 else f"flow{number + 1}"


def _rename(model: Any) -> None:
    """Names that any language takes; flows are ``flow``, ``flow2``, …"""
    kept = {value.name for value in (*model.graph.input, *model.graph.output)}
    names: dict[str, str] = {name: name for name in kept}
    flows = [node for node in model.graph.node if node.domain == "holdsteady"]
    for number, node in enumerate(flows):
        names[node.output[0]] = _flow_name(number)
    taken = set(names.values())

    def plain(name: str) -> str:
        if name and name not in names:
            new = re.sub(r"\W", "_", name)
            while new in taken or not re.match("[A-Za-z_]", new):
                new = f"_{new}"
            taken.add(new)
            names[name] = new
        return names.get(name, name)

    for node in model.graph.node:
        node.input[:] = [plain(name) for name in node.input]
        node.output[:] = [plain(name) for name in node.output]
    for value in (*model.graph.value_info, *model.graph.initializer):
        value.name = plain(value.name)


def _forget_sources(model: Any) -> None:
    """Take out what the exporter notes of the code that it came from, as paths on this machine."""
    graph = model.graph
    for place in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del place.metadata_props[:]
        place.doc_string = ""


def _name_axes(model: Any, traced: Traced) -> None:
    """Call the axes that vary batch, height and width; what has no such name has none."""
    stated = {entry.name: entry.shape for entry in (traced.frame, *traced.state)}
    stated |= {"output": traced.output.shape} | {entry.next: entry.shape for entry in traced.state}
    known: dict[str, tuple[str, int]] = {}  # the exporter's symbol → which axis of the frame, in units of what
    for axis, name in zip(model.graph.input[0].type.tensor_type.shape.dim, traced.frame.shape, strict=True):
        if isinstance(name, str):
            factor, _, symbol = axis.dim_param.rpartition("*")
            known[symbol] = (name, int(factor or 1))
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        axes = value.type.tensor_type.shape.dim
        found: list[Any] = [axis.dim_value or _named(axis.dim_param, known) for axis in axes]
        for axis, name in zip(axes, stated.get(value.name, found), strict=True):
            axis.Clear()
            if isinstance(name, int):
                axis.dim_value = name
            elif name is not None:
                axis.dim_param = name


def _named(expression: str, known: dict[str, tuple[str, int]]) -> str | None:
    found = re.fullmatch(r"(?:(\d+)\*)?(\w+)", expression)
    if found is None or found[2] not in known:
        return None
    name, unit = known[found[2]]
    return extent(int(found[1] or 1), unit, name)
