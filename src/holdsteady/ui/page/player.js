// <hs-player data='{…}'>: pictures beside each other or wiped, with one play button and one scrubber.
//
// All of them are tiles of one video, drawn on canvases: they can't drift apart. `data` holds video, labels, tile
// [width, height], rate, frames, figure, series {label: [number or null]} and slices {label: address}.

const COLOURS = { "Input": "var(--hs-input)", "Frame by frame": "var(--hs-alone)", "Steady": "var(--hs-steady)" };
const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, ...children) {
  const drawn = ["svg", "path", "line", "text", "g"].includes(tag);
  const element = drawn ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

class Player extends HTMLElement {
  connectedCallback() {
    if (this.video) return;
    this.facts = JSON.parse(this.getAttribute("data"));
    const [width, height] = this.facts.tile;
    this.held = make("canvas", { width: width * this.facts.labels.length, height });
    this.canvases = [];
    this.cursors = [];
    this.frame = 0;
    this.left = this.facts.labels.length - 2;
    this.share = 0.5;
    this.append(this.makeVideo(), this.makeViews(), this.makeStage(), this.makeTransport());
    this.append(this.makePlot(), this.makeSlices());
    this.show("beside");
  }

  disconnectedCallback() {
    this.video?.pause();
  }

  // The video -------------------------------------------------------------------------------------------------------

  makeVideo() {
    const video = make("video", { src: this.facts.video, preload: "auto", playsinline: "", "aria-hidden": "true" });
    video.className = "hs-source";
    video.muted = video.loop = true;
    this.video = video;
    video.addEventListener("loadeddata", () => this.draw(0));
    video.addEventListener("seeked", () => {
      this.draw(Math.floor(video.currentTime * this.facts.rate + 1e-3));
      if (this.wanted !== undefined) this.seek(this.wanted);
    });
    for (const name of ["play", "pause"]) video.addEventListener(name, () => this.showPlaying());
    video.addEventListener("error", () => this.stage.classList.add("hs-broken"));
    const follow = (now, about) => {
      if (!video.seeking) this.draw(Math.round(about.mediaTime * this.facts.rate));
      video.requestVideoFrameCallback(follow);
    };
    video.requestVideoFrameCallback(follow);
    return video;
  }

  // To the middle of a frame: rounding can't miss it. Seeks that come while one is under way wait, the last one wins.
  seek(frame) {
    frame = Math.max(0, Math.min(this.facts.frames - 1, Math.round(frame)));
    if (this.video.seeking) {
      this.wanted = frame;
      return;
    }
    this.wanted = undefined;
    this.video.currentTime = (frame + 0.5) / this.facts.rate;
  }

  toggle() {
    if (this.video.paused) this.video.play();
    else this.video.pause();
  }

  draw(frame) {
    if (this.video.readyState < 2) return;
    frame = Math.max(0, Math.min(this.facts.frames - 1, frame));
    const [width, height] = this.facts.tile;
    // Taken once: the video may go on between two copies.
    this.held.getContext("2d").drawImage(this.video, 0, 0);
    for (const { canvas, tile } of this.canvases) {
      const context = canvas.getContext("2d");
      const copy = (number, from, to) => {
        if (to <= from) return;
        context.drawImage(this.held, number * width + from, 0, to - from, height, from, 0, to - from, height);
      };
      if (tile !== undefined) {
        copy(tile, 0, width);
        continue;
      }
      const middle = Math.round(this.share * width);
      copy(this.left, 0, middle);
      copy(this.facts.labels.length - 1, middle, width);
    }
    this.frame = frame;
    this.dataset.frame = frame;
    this.scrubber.value = frame;
    this.scrubber.style.setProperty("--share", frame / Math.max(1, this.facts.frames - 1));
    const seconds = (frame / this.facts.rate).toFixed(2);
    this.scrubber.setAttribute("aria-valuetext", `frame ${frame + 1} of ${this.facts.frames}, ${seconds} seconds`);
    this.clock.textContent = `${frame + 1} / ${this.facts.frames}`;
    for (const cursor of this.cursors) cursor(frame);
  }

  // Views -----------------------------------------------------------------------------------------------------------

  makeViews() {
    const views = make("div", { class: "hs-segments", role: "group", "aria-label": "View" });
    for (const [view, words] of [["beside", "Side by side"], ["wipe", "Wipe"]]) {
      const button = make("button", { type: "button", "data-view": view }, words);
      button.addEventListener("click", () => this.show(view));
      views.append(button);
    }
    this.views = views;
    this.against = make("div", { class: "hs-segments", role: "group", "aria-label": "Left of the wipe" });
    this.facts.labels.slice(0, -1).forEach((label, number) => {
      const button = make("button", { type: "button" }, label);
      button.addEventListener("click", () => {
        this.left = number;
        this.show("wipe");
      });
      this.against.append(button);
    });
    return make("div", { class: "hs-bar" }, views, this.against);
  }

  makeStage() {
    this.stage = make("div", { class: "hs-stage" });
    return this.stage;
  }

  canvas(tile) {
    const [width, height] = this.facts.tile;
    const canvas = make("canvas", { width, height });
    this.canvases.push({ canvas, tile });
    return canvas;
  }

  show(view) {
    this.view = view;
    this.canvases = [];
    this.stage.replaceChildren(...(view === "wipe" ? [this.makeWipe()] : this.makeTiles()));
    this.stage.dataset.view = view;
    this.stage.style.setProperty("--tiles", this.facts.labels.length);
    this.stage.style.setProperty("--aspect", this.facts.tile[0] / this.facts.tile[1]);
    for (const button of this.views.children) button.setAttribute("aria-pressed", button.dataset.view === view);
    this.against.hidden = view !== "wipe" || this.facts.labels.length < 3;
    [...this.against.children].forEach((button, at) => button.setAttribute("aria-pressed", at === this.left));
    this.draw(this.frame);
  }

  makeTiles() {
    return this.facts.labels.map((label, tile) => {
      const caption = make("figcaption", {}, make("i", { style: `background:${COLOURS[label]}` }), label);
      const canvas = this.canvas(tile);
      canvas.addEventListener("click", () => this.toggle());
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", label);
      return make("figure", {}, canvas, caption);
    });
  }

  makeWipe() {
    const { labels } = this.facts;
    const handle = make("input", { type: "range", min: 0, max: 1000, value: 1000 * this.share, class: "hs-handle" });
    handle.setAttribute("aria-label", `Wipe between ${labels[this.left]} and ${labels.at(-1)}`);
    const names = [labels[this.left], labels.at(-1)].map((label, at) =>
      make("span", { class: at ? "hs-right" : "hs-left" }, label));
    const box = make("div", { class: "hs-wipe" }, this.canvas(), make("b"), ...names, handle);
    const move = (share) => {
      this.share = Math.max(0, Math.min(1, share));
      handle.value = 1000 * this.share;
      box.style.setProperty("--share", this.share);
      this.draw(this.frame);
    };
    handle.addEventListener("input", () => move(handle.value / 1000));
    const drag = (event) => {
      const { left, width } = box.getBoundingClientRect();
      move((event.clientX - left) / width);
    };
    box.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      handle.focus();
      box.setPointerCapture(event.pointerId);
      drag(event);
    });
    box.addEventListener("pointermove", (event) => box.hasPointerCapture(event.pointerId) && drag(event));
    box.style.setProperty("--share", this.share);
    return box;
  }

  // Transport -------------------------------------------------------------------------------------------------------

  makeTransport() {
    this.button = make("button", { type: "button", class: "hs-play" });
    this.button.addEventListener("click", () => this.toggle());
    this.scrubber = make("input", { type: "range", min: 0, max: this.facts.frames - 1, step: 1, value: 0 });
    this.scrubber.className = "hs-scrubber";
    this.scrubber.setAttribute("aria-label", "Frame");
    this.scrubber.addEventListener("input", () => {
      this.video.pause();
      this.seek(Number(this.scrubber.value));
    });
    this.scrubber.addEventListener("keydown", (event) => {
      if (event.key !== " ") return;
      event.preventDefault();
      this.toggle();
    });
    this.clock = make("output", { class: "hs-clock" });
    this.showPlaying();
    return make("div", { class: "hs-transport" }, this.button, this.scrubber, this.clock);
  }

  showPlaying() {
    const playing = !this.video.paused;
    this.button.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.button.classList.toggle("hs-playing", playing);
  }

  // Over time -------------------------------------------------------------------------------------------------------

  // A click or drag on what shows time goes to that time.
  takesTime(element) {
    const go = (event) => {
      const { left, width } = element.getBoundingClientRect();
      this.video.pause();
      this.seek(((event.clientX - left) / width) * (this.facts.frames - 1));
    };
    element.addEventListener("pointerdown", (event) => {
      element.setPointerCapture(event.pointerId);
      go(event);
    });
    element.addEventListener("pointermove", (event) => element.hasPointerCapture(event.pointerId) && go(event));
    const cursor = make("b", { class: "hs-cursor" });
    element.append(cursor);
    this.cursors.push((frame) => {
      cursor.style.left = `${(100 * frame) / Math.max(1, this.facts.frames - 1)}%`;
    });
  }

  makePlot() {
    const { series, frames, figure } = this.facts;
    const values = Object.values(series).flat().filter((value) => value !== null);
    const highest = Math.max(1e-6, ...values) * 1.08;
    const [width, height] = [1000, 200];
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    const tick = niceStep(highest);
    const plot = make("div", { class: "hs-plot" });
    for (let value = tick; value < highest; value += tick) {
      const y = height * (1 - value / highest);
      svg.append(make("line", { x1: 0, x2: width, y1: y, y2: y }));
      plot.append(make("span", { style: `top:${(100 * y) / height}%` }, Number(value.toPrecision(3))));
    }
    for (const [label, numbers] of Object.entries(series)) {
      let path = "";
      numbers.forEach((value, at) => {
        const gap = value === null;
        const before = at > 0 && numbers[at - 1] !== null;
        if (!gap) path += `${before ? "L" : "M"}${(width * at) / Math.max(1, frames - 1)} ${height * (1 - value / highest)}`;
      });
      svg.append(make("path", { d: path, style: `stroke:${COLOURS[label]}` }));
    }
    plot.prepend(svg);
    this.takesTime(plot);
    const keys = make("ul", { class: "hs-keys" });
    for (const label of Object.keys(series)) {
      const now = make("output");
      this.cursors.push((frame) => {
        now.textContent = series[label][frame]?.toFixed(2) ?? "–";
      });
      keys.append(make("li", {}, make("i", { style: `background:${COLOURS[label]}` }), label, now));
    }
    return make("section", {}, make("h3", {}, "Flicker over time"), make("p", {}, figure), plot, keys);
  }

  makeSlices() {
    const section = make("section", {}, make("h3", {}, "Time slice"));
    section.append(make("p", {}, "The middle column of every frame, from left to right. Flicker shows as vertical stripes."));
    for (const [label, address] of Object.entries(this.facts.slices)) {
      const strip = make("div", { class: "hs-slice" }, make("img", { src: address, alt: `Time slice: ${label}` }));
      this.takesTime(strip);
      section.append(make("div", { class: "hs-strip" }, make("span", {}, label), strip));
    }
    return section;
  }
}

// 1, 2 or 5 times a power of ten, about three to the highest.
function niceStep(highest) {
  const rough = highest / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((step) => step * power >= rough) ?? 10);
}

class Copy extends HTMLElement {
  connectedCallback() {
    const button = make("button", { type: "button" }, "Copy");
    button.addEventListener("click", async () => {
      const text = this.querySelector("code").textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(this.querySelector("code")); // no clipboard without HTTPS
        button.textContent = "Selected";
      }
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    this.append(button);
  }
}

customElements.define("hs-player", Player);
customElements.define("hs-copy", Copy);
