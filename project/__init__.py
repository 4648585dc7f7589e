"""Two ``.npy`` files in, one per class; an honest binary classifier, its figures and its numbers out."""
