// An export of holdsteady in JavaScript: raw RGB frames on stdin, steady ones on stdout.
//
//   holdsteady export out/ --model denoise --flow inside
//   npm install --ignore-scripts
//   ffmpeg -i in.mp4 -f rawvideo -pix_fmt rgb24 - | node steady.mjs out/ 640 480 |
//     ffmpeg -f rawvideo -pix_fmt rgb24 -s 640x480 -r 25 -i - out.mp4

import fs from "node:fs";
import path from "node:path";
import * as ort from "onnxruntime-node";

const [folder, width, height] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const about = JSON.parse(fs.readFileSync(path.join(folder, "holdsteady.json"), "utf8"));
if (about.flows.length) throw new Error("export it with --flow inside");
if (height % about.multiple[0] || width % about.multiple[1]) throw new Error(`sides are multiples of ${about.multiple}`);
const session = await ort.InferenceSession.create(path.join(folder, about.parts[0].file));

// An axis of a tensor, as 3, "batch", "height" or "width/8".
const size = (axis) => {
  if (typeof axis === "number") return axis;
  const [, name, times = 1, over = 1] = axis.match(/^(\w+?)(?:\*(\d+))?(?:\/(\d+))?$/);
  return ({ batch: 1, height, width }[name] * times) / over;
};

// NaN: nothing is remembered.
let state = Object.fromEntries(
  about.state.map(({ name, shape }) => {
    const dims = shape.map(size);
    return [name, new ort.Tensor("float32", new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(NaN), dims)];
  }),
);

async function step(bytes) {
  const pixels = width * height;
  const values = new Float32Array(3 * pixels);
  for (let i = 0; i < pixels; i++) for (let c = 0; c < 3; c++) values[c * pixels + i] = bytes[3 * i + c] / 255;
  const given = await session.run({ frame: new ort.Tensor("float32", values, [1, 3, height, width]), ...state });
  state = Object.fromEntries(about.state.map(({ name, next }) => [name, given[next]]));
  const shown = Buffer.alloc(3 * pixels);
  for (let i = 0; i < pixels; i++)
    for (let c = 0; c < 3; c++) shown[3 * i + c] = Math.min(255, Math.max(0, Math.round(given.output.data[c * pixels + i] * 255)));
  return shown;
}

let waiting = Buffer.alloc(0);
for await (const chunk of process.stdin) {
  waiting = Buffer.concat([waiting, chunk]);
  for (; waiting.length >= 3 * width * height; waiting = waiting.subarray(3 * width * height))
    process.stdout.write(await step(waiting.subarray(0, 3 * width * height)));
}
