"""Steady depth from a camera, as a callback: images in, depth maps out, the newest image each time.

As a node of ROS 2:      python3 steady_depth.py --ros-args -r image:=/camera/image_raw
From any other program:  SteadyDepth(publish), and hand its ``on_image`` every image.
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

import holdsteady as hs

Array = Any
_CHANNELS = {"rgb8": 3, "bgr8": 3, "mono8": 1}


class Depth(NamedTuple):
    """A result.

    Attributes:
        header: of the image that it belongs to, as it came.
        values: (H, W), float32, in what the model gives.
    """

    header: Any
    values: Array


class SteadyDepth:
    """Runs a depth model over a stream of images, held steady. A context manager: leaving it ends its thread.

    ``on_image`` only puts an image down and returns, so that a callback never waits for the model; a second image that
    comes before the first was begun takes its place. Steps are in order, and each image is seen once at the most.

    Args:
        publish: is called with each :class:`Depth`, in the thread of the model.
        model: images (1, 3, H, W) in [0, 1] → depth; or what ``holdsteady.load`` takes.
        adapter: what ``holdsteady.stabilize`` takes.
        longest_gap: seconds between two images after which the past is forgotten, as it is when time goes backwards or
            the size changes.

    Attributes:
        dropped: how many images were replaced before they were begun.
        failure: what ended the thread, if something did.
    """

    def __init__(
        self,
        publish: Callable[[Depth], None],
        model: str | Callable[..., Any] = "depth",
        adapter: Any = "depth-clean",
        longest_gap: float = 1.0,
    ) -> None:
        self._publish, self._longest_gap = publish, longest_gap
        self._steady = hs.stabilize(hs.load(model) if isinstance(model, str) else model, adapter, takes="tensors")
        self._change = threading.Condition()
        self._newest: Any = None
        self._ended = False
        self._last: tuple[float, tuple[int, ...]] | None = None
        self.dropped = 0
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="steady-depth", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._change:
            self._ended = True
            self._change.notify()
        self._thread.join()

    def on_image(self, message: Any) -> None:
        """The callback: a ``sensor_msgs/Image``, or anything with the same fields."""
        with self._change:
            self.dropped += self._newest is not None
            self._newest = message
            self._change.notify()

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._ended or self._newest is not None)
                if self._newest is None:
                    return
                message, self._newest = self._newest, None
            try:
                self._publish(self._depth(message))
            except Exception as error:
                self.failure = error
                raise

    def _depth(self, message: Any) -> Depth:
        image, time = pixels(message), message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        if self._last is not None and (
            image.shape != self._last[1] or not 0 < time - self._last[0] < self._longest_gap
        ):
            self._steady.reset()
        self._last = time, image.shape
        values = np.asarray(self._steady(image.astype(np.float32) / 255), np.float32)
        return Depth(message.header, values.reshape(image.shape[:2]))


def pixels(message: Any) -> Array:
    """A message's image as RGB, (H, W, 3) uint8.

    Raises:
        ValueError: the encoding is not one of rgb8, bgr8 and mono8, or the data don't fill the image.
    """
    channels = _CHANNELS.get(message.encoding)
    if channels is None:
        raise ValueError(f"encoding {message.encoding}: convert it to one of {', '.join(_CHANNELS)}")
    row, data = message.width * channels, np.frombuffer(bytes(message.data), np.uint8)
    if message.step < row or data.size < message.height * message.step:
        raise ValueError(f"an image of {message.width}x{message.height} {message.encoding} has {data.size} bytes")
    rows = data[: message.height * message.step].reshape(message.height, message.step)[:, :row]
    image = rows.reshape(message.height, message.width, channels)
    return image[..., ::-1] if message.encoding == "bgr8" else np.broadcast_to(image, (*image.shape[:2], 3))


def main() -> None:
    """A node of ROS 2: subscribes to ``image``, publishes ``depth`` as 32FC1 with the image's header."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node("steady_depth")
    publisher = node.create_publisher(Image, "depth", qos_profile_sensor_data)

    def publish(depth: Depth) -> None:
        height, width = depth.values.shape
        data = np.ascontiguousarray(depth.values, "<f4").tobytes()
        message = Image(height=height, width=width, encoding="32FC1", is_bigendian=0, step=4 * width, data=data)
        message.header = depth.header
        publisher.publish(message)

    try:
        with SteadyDepth(publish) as steady:
            node.create_subscription(Image, "image", steady.on_image, qos_profile_sensor_data)
            while rclpy.ok() and steady.failure is None:
                rclpy.spin_once(node, timeout_sec=0.2)
    except KeyboardInterrupt:
        pass
    finally:
        node.destroy_node()


if __name__ == "__main__":
    main()
