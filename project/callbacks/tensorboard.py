"""When TensorBoard learns more than scalars and pictures: the chart layout, the graph and the hyperparameters."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

LAYOUT = {
    "learning": {
        "loss": ["Multiline", ["train/loss", "val/loss"]],
        "accuracy": ["Multiline", ["val/accuracy", "test/accuracy"]],
    }
}


class TensorBoard(Callback):
    """Puts training and validation loss on one chart, draws the graph, and fills the HPARAMS tab at the end."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for logger in tensorboard_loggers(trainer):
            logger.experiment.add_custom_scalars(LAYOUT)
            logger.experiment.add_graph(pl_module.net, torch.zeros(1, pl_module.hparams.num_features))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        options = {**pl_module.hparams, **trainer.datamodule.hparams, "seed_everything": torch.initial_seed()}
        final = {f"hp/{name.replace('/', '_')}": value for name, value in trainer.callback_metrics.items()}
        for logger in tensorboard_loggers(trainer):
            logger.log_hyperparams(options, final, trainer.global_step)


def tensorboard_loggers(trainer: Trainer) -> list[TensorBoardLogger]:
    return [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
