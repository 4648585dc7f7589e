"""Many networks at once: splits x seeds x values of options, and what really differs between them."""
