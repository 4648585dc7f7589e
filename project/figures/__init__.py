"""What a picture shows: arrays in, ``matplotlib.figure.Figure`` out."""
