"""Commands: what each is asked and what it does."""

COMMANDS = {
    "fit": "train, and write a run folder under lightning_logs",
    "validate": "accuracy and losses of a checkpoint on its validation subset",
    "test": "accuracy and losses of a checkpoint on its test subset; writes test.json",
    "predict": "classify the rows of --data.predict FILE.npy; writes predictions.csv",
    "compare": "overlay runs; writes comparison.png, comparison.json and report.html",
    "study": "train many networks at once and say what differs: BCE or MSE, each at its best rate",
    "plot": "draw a run's figures again: png, svg or pdf, also of an interrupted run",
    "export": "write a checkpoint as a self-contained ONNX model",
}
