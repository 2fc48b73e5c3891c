"""How unsteady a video is, and where, without knowing how it should be."""
