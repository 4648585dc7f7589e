"""Trainer, model and data of a command, by LightningCLI."""

from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, ReduceLROnPlateau
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from project.commands.failures import refusing
from project.commands.origin import parse_with_origin
from project.commands.parsing import Parser, add_run_options, make_parser
from project.commands.trainer import Threads, make_trainer
from project.data import NpyDataModule
from project.model import BinaryClassifier


class ProjectCLI(LightningCLI):
    """Trainer, with ``own`` callbacks beside those that are given, model and data of a command.

    Commands that go on from a checkpoint, as all do that do not train, take their options from its run.
    """

    parser: Parser

    def __init__(
        self, arguments: Sequence[str], kind: type[BinaryClassifier], own: Sequence[Callback], is_training: bool
    ) -> None:
        self.arguments, self.kind, self.own, self.is_training = arguments, kind, own, is_training
        super().__init__(
            kind,
            NpyDataModule,
            trainer_class=make_trainer,
            save_config_callback=None,  # It dies on the config.yaml of a resumed run.
            seed_everything_default=0,
            load_from_checkpoint_support=False,
            run=False,
        )

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        return make_parser(self.arguments[0])

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        add_run_options(parser)
        parser.link_arguments("data.num_features", "model.num_features", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Do it without a look at ``sys.argv``, of which LightningCLI would warn where it is given arguments."""
        self.config, self.origin = parse_with_origin(self.parser, self.arguments, self.is_training, self.kind)

    def before_instantiate_classes(self) -> None:
        self.trainer_defaults["callbacks"] = [Threads(self.config.threads), *self.own]

    def instantiate_classes(self) -> None:
        with refusing(self.config.keys()):
            super().instantiate_classes()

    @staticmethod
    def configure_optimizers(
        lightning_module: LightningModule, optimizer: Optimizer, lr_scheduler: LRScheduler | None = None
    ) -> Any:
        """Step a scheduler in every iteration: LightningCLI would do so at the end of an epoch, and the run is one."""
        if lr_scheduler is None:
            return optimizer
        config = {"scheduler": lr_scheduler, "interval": "step"}
        if isinstance(lr_scheduler, ReduceLROnPlateau):
            config |= {"monitor": lr_scheduler.monitor, "frequency": lightning_module.trainer.val_check_interval}
        return {"optimizer": optimizer, "lr_scheduler": config}
