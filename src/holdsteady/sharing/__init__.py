"""Adapters and exports on the Hugging Face hub, with a page that says what they are."""
