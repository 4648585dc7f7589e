"""When TensorBoard learns more than scalars and pictures: the chart layout, the graph and the options."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from project.callbacks.access import data_of, model_of, run_loggers_of


class TensorBoard(Callback):
    """Hands over the model when training starts, the options and what they led to when it ends."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for logger in run_loggers_of(trainer):
            logger.log_model(model_of(trainer))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        options = {**model_of(trainer).hparams, **data_of(trainer).hparams, "seed_everything": torch.initial_seed()}
        final = {f"hp/{name.replace('/', '_')}": value.item() for name, value in trainer.callback_metrics.items()}
        for logger in run_loggers_of(trainer):
            logger.log_result(options, final, trainer.global_step)
