"""Pictures: arrays in, ``matplotlib.figure.Figure`` out."""
