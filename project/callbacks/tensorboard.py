"""When TensorBoard learns more than scalars and pictures: the chart layout, the graph and the hyperparameters."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from project.callbacks.access import data_of, model_of, tensorboards_of

LAYOUT = {
    "learning": {
        "loss": ["Multiline", ["train/loss", "val/loss"]],
        "accuracy": ["Multiline", ["val/accuracy", "test/accuracy"]],
    }
}


class TensorBoard(Callback):
    """Puts training and validation loss on one chart, draws the graph, and fills the HPARAMS tab at the end."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        model = model_of(trainer)
        for logger in tensorboards_of(trainer):
            logger.experiment.add_custom_scalars(LAYOUT)
            logger.experiment.add_graph(model.net, torch.zeros(1, model.hparams["num_features"], device=model.device))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        options = {**model_of(trainer).hparams, **data_of(trainer).hparams, "seed_everything": torch.initial_seed()}
        final = {f"hp/{name.replace('/', '_')}": value for name, value in trainer.callback_metrics.items()}
        for logger in tensorboards_of(trainer):
            logger.log_hyperparams(options, final, trainer.global_step)
