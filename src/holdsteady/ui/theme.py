"""Colours and fonts of the page; ``page/page.css`` says what the variables are, by day and by night."""

import gradio as gr

# Of the system: none is fetched.
_FONTS = ["Inter", "ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
_COLOURS = {
    "body_background_fill": "bg",
    "body_text_color": "text",
    "body_text_color_subdued": "muted",
    "block_background_fill": "surface",
    "block_border_color": "line",
    "block_label_text_color": "text",
    "block_title_text_color": "text",
    "block_info_text_color": "muted",
    "border_color_primary": "line",
    "background_fill_primary": "surface",
    "background_fill_secondary": "bg",
    "input_background_fill": "bg",
    "input_border_color": "line",
    "input_border_color_focus": "accent",
    "slider_color": "accent",
    "color_accent_soft": "soft",
}


def theme() -> gr.themes.Base:
    """Gradio's plainest, in the variables of the page."""
    made = gr.themes.Base(primary_hue="teal", neutral_hue="slate", radius_size="lg", font=_FONTS, font_mono=_MONO)
    colours = {name + night: f"var(--hs-{value})" for name, value in _COLOURS.items() for night in ("", "_dark")}
    return made.set(
        **colours,
        color_accent="var(--hs-accent)",
        block_title_text_weight="600",
        block_title_text_size="13px",
        block_info_text_size="12.5px",
        input_radius="9px",
    )
