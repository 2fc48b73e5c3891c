"""What is on the page, and where."""

from typing import NamedTuple

import gradio as gr

from holdsteady.ui import choices, words
from holdsteady.ui.choices import SAMPLES, Own, Sample
from holdsteady.ui.limits import Limits


class Parts(NamedTuple):
    """What is used, and what changes."""

    upload: gr.File
    samples: list[tuple[gr.Button, Sample]]
    card: gr.HTML
    model: gr.Dropdown
    adapter: gr.Dropdown
    strength: gr.Slider
    corruption: gr.Dropdown
    severity: gr.Slider
    run: gr.Button
    cancel: gr.Button
    progress: gr.HTML
    result: gr.HTML


def place(limits: Limits, own: Own) -> Parts:
    """Place all parts in the page that is being made."""
    gr.HTML(words.head())
    with gr.Row(elem_id="hs-columns"):
        with gr.Column(elem_id="hs-controls"):
            with gr.Column(elem_classes="hs-group"):
                gr.HTML(words.limits_in_words(limits))
                upload = gr.File(show_label=False, elem_id="hs-upload", height=108, container=False)
                gr.HTML(words.samples_in_words(), elem_id="hs-samples-title")
                with gr.Row(elem_id="hs-samples"):
                    samples = [(gr.Button(one.title, size="sm"), one) for one in SAMPLES]
                card = gr.HTML("", elem_id="hs-card")
            with gr.Column(elem_classes="hs-group"):
                model, adapter = _models(own)
                strength = gr.Slider(0, 1, value=1, step=0.05, label="Strength")
            with gr.Column(elem_classes="hs-group"):
                corruption = gr.Dropdown(
                    choices.corruptions(),
                    value=choices.NO_CORRUPTION,
                    label="Corruption",
                    info="Added to the video first, so that the truth is known.",
                )
                severity = gr.Slider(1, 5, value=3, step=1, label="Severity", visible=False)
            with gr.Row(elem_id="hs-go"):
                run = gr.Button("Run", elem_id="hs-run", interactive=False, scale=2)
                cancel = gr.Button("Cancel", elem_id="hs-cancel", visible=False, scale=1)
        with gr.Column(elem_id="hs-results"):
            progress = gr.HTML("", visible=False)
            result = gr.HTML(words.nothing_yet())
    return Parts(upload, samples, card, model, adapter, strength, corruption, severity, run, cancel, progress, result)


def _models(own: Own) -> tuple[gr.Dropdown, gr.Dropdown]:
    first = SAMPLES[0].model if own.model is None else own.model
    about, fitting = choices.about_model(first, own), choices.adapters(first, own)
    model = gr.Dropdown(choices.models(own), value=first, label="Model", info=about)
    return model, gr.Dropdown(fitting, value=fitting[0], label="Adapter")
