"""Geometry that adapters, metrics and the objective share: optical flow, warping and resizing."""
