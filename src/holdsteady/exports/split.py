"""An ONNX graph cut where it asks for a flow: each part is a plain graph of its own, and the host searches between."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from holdsteady.errors import ExportError

#: The operator that stands for a search, and its domain.
DOMAIN, FLOW = "holdsteady", "Flow"


@dataclass(frozen=True)
class Cut:
    """Parts of a graph.

    Attributes:
        parts: the models, in order.
        flows: the operators that stood between them.
    """

    parts: list[Any]
    flows: list[Any]


def cut(model: Any) -> Cut:
    """The parts of a model (``onnx.ModelProto``).

    A node belongs to the last part that its results allow: what is computed before a search is what the search needs.
    """
    graph = model.graph
    flows = [node for node in graph.node if node.domain == DOMAIN and node.op_type == FLOW]
    nodes = [node for node in graph.node if node not in flows]
    if any(attribute.HasField("g") or attribute.graphs for node in nodes for attribute in node.attribute):
        raise ExportError("the graph has branches or loops of its own, which can't be cut; give --flow inside")
    depth = _depths(graph)
    last = max((depth[flow.output[0]] for flow in flows), default=0)
    place = _places(graph, nodes, flows, depth, last)
    outputs = [value.name for value in graph.output]
    types = {value.name: value for value in (*graph.input, *graph.output, *graph.value_info)}
    always = {value.name for value in graph.input} | {flow.output[0] for flow in flows}
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    made_at = {name: place[id(node)] for node in nodes for name in node.output}
    cheap = _cheap(graph, nodes, initializers)
    parts = []
    for number in range(last + 1):
        searched = [name for flow in flows if depth[flow.output[0]] == number + 1 for name in flow.input]
        later = [node for node in nodes if place[id(node)] > number] if number < last else []
        carried = [name for node in later for name in node.input if made_at.get(name) == number and name not in cheap]
        wanted = list(dict.fromkeys([*searched, *carried, *(name for name in outputs if made_at.get(name) == number)]))
        before = always | {name for name, part in made_at.items() if part < number and name not in cheap}
        parts.append(_part(model, wanted, before, initializers, types))
    return Cut(parts, flows)


def _depths(graph: Any) -> dict[str, int]:
    """After how many searches in a row each value is known."""
    depth: dict[str, int] = {}
    for node in graph.node:
        before = max((depth.get(name, 0) for name in node.input), default=0)
        is_flow = node.domain == DOMAIN and node.op_type == FLOW
        depth.update(dict.fromkeys(node.output, before + is_flow))
    return depth


def _places(graph: Any, nodes: list[Any], flows: list[Any], depth: dict[str, int], last: int) -> dict[int, int]:
    """The part of each node, by its id: the first that needs it."""
    needed = {value.name: last for value in graph.output}
    for flow in flows:
        for name in flow.input:
            needed[name] = min(needed.get(name, last), depth[flow.output[0]] - 1)
    place = {}
    for node in reversed(nodes):
        place[id(node)] = min((needed.get(name, last) for name in node.output), default=last)
        for name in node.input:
            needed[name] = min(needed.get(name, last), place[id(node)])
    return place


def _cheap(graph: Any, nodes: list[Any], initializers: Iterable[str]) -> set[str]:
    """Values that depend on nothing but sizes and constants, which are computed anew wherever they are needed."""
    inputs, known = {value.name for value in graph.input}, set(initializers)
    for node in nodes:
        of_sizes = node.op_type in ("Shape", "Size") and set(node.input) <= inputs
        if of_sizes or all(name in known or not name for name in node.input):
            known.update(node.output)
    return known


def _part(model: Any, wanted: list[str], before: set[str], initializers: dict[str, Any], types: dict[str, Any]) -> Any:
    """The model that gives some values from those known before."""
    import onnx

    maker = {name: node for node in model.graph.node for name in node.output}
    used: set[int] = set()
    inputs: dict[str, None] = {}
    held: dict[str, None] = {}
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name in before:
            inputs[name] = None
        elif name in initializers:
            held[name] = None
        elif name in maker and id(maker[name]) not in used:
            used.add(id(maker[name]))
            waiting += [given for given in maker[name].input if given]
    order = [name for name in types if name in inputs] + [name for name in inputs if name not in types]
    graph = onnx.helper.make_graph(
        [node for node in model.graph.node if id(node) in used],
        "holdsteady",
        [_typed(name, types) for name in order],
        [_typed(name, types) for name in wanted],
        [initializers[name] for name in held],
    )
    domains = {node.domain for node in graph.node}
    opsets = [opset for opset in model.opset_import if opset.domain in domains | {""}]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=model.ir_version)


def _typed(name: str, types: dict[str, Any]) -> Any:
    if name not in types:
        raise ExportError(f"the exporter of PyTorch left out the type of {name}; give --flow inside")
    return types[name]
