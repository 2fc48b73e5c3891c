"""Clips without end that show what frame-wise models do to video: fixed operators under disturbances of each frame."""
