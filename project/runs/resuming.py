"""Whether a training state can go on in a trainer, said before it is restored."""

import copy
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.core.optimizer import _init_optimizers_and_lr_schedulers
from torch import Tensor

from project.errors import InputError
from project.runs.checkpoint import check_form

LOOPS = ("fit_loop", "validate_loop", "test_loop", "predict_loop")


def check_resumes(contents: Mapping[str, Any], trainer: Trainer, model: LightningModule) -> None:
    """Refuse a training state that the trainer, the optimizer and our callbacks do not know, before it is restored.

    Raises:
        InputError: if it is not of the form of theirs.
    """
    model.trainer = trainer
    (optimizer,), schedulers = _init_optimizers_and_lr_schedulers(model)
    optimizer = copy.deepcopy(optimizer)
    own = [c for c in trainer.callbacks if type(c).__module__.startswith("project.") and c.state_dict()]  # type: ignore[attr-defined]
    try:
        (state,) = contents["optimizer_states"]
        loops = {name: getattr(trainer, name).state_dict() for name in LOOPS}
        loops["fit_loop"]["state_dict"] = {"combined_loader": [{"seed": 0}]}
        check_form(contents["loops"], loops, "loops")
        for callback in own:
            check_form(contents["callbacks"][callback.state_key], callback.state_dict(), callback.state_key)
        for config, kept in zip(schedulers, contents["lr_schedulers"], strict=True):
            check_form(kept.keys(), config.scheduler.state_dict().keys(), "lr_schedulers")
        wanted = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict(state)
        trainer.fit_loop.load_state_dict(copy.deepcopy(contents["loops"]["fit_loop"]))
        batches = trainer.fit_loop.epoch_loop.batch_progress.total
        refused = {
            "its steps": trainer.global_step != contents["global_step"],
            "its batches": any(count != contents["global_step"] for count in vars(batches).values()),
            # With a scheduler, the options say what these began with, and not what has become of them.
            "its optimizer's options": not schedulers and state["param_groups"] != wanted,
            "its optimizer's state": any(
                value.ndim and value.shape != weights.shape
                for weights, values in optimizer.state.items()
                for value in values.values()
                if isinstance(value, Tensor)
            ),
        }
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"--ckpt_path: its training state cannot be resumed: {error}") from error
    if wrong := [what for what, is_wrong in refused.items() if is_wrong]:
        raise InputError(f"--ckpt_path: {' and '.join(wrong)} contradict the rest of it; it cannot be resumed")
