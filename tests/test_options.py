"""Every option is obeyed, or refused in one line that names it, with nothing written and nothing imported."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from project.__main__ import main
from tests.campaigns import options
from tests.campaigns.options import HUGE

pytestmark = pytest.mark.process

CONTEXT = get_context("forkserver")  # forks from a process that has imported everything and started no thread
CONTEXT.set_forkserver_preload(["project.commands.cli"])
Captured = pytest.CaptureFixture[str]


@pytest.mark.process
@pytest.mark.parametrize(("first", "cases"), [(0, 8), (len(options.OWN), 40)], ids=["Lightning's own", "all kinds"])
def test_options_and_configs_are_obeyed_or_refused(first: int, cases: int) -> None:
    with ProcessPoolExecutor(1, CONTEXT) as pool:
        summary = pool.submit(options.run, cases=cases, seconds=120, seed=1, first=first).result()
    assert summary.failures == []
    assert summary.counts.total() == cases
    assert summary.counts.keys() == {"obeyed", "refused in one line"}


def test_the_campaign_sees_what_is_wrong() -> None:
    well = [(0, ""), (0, "1 %\r2 %\r3 %\r4 %\r"), (2, "error: --model.lr: x\n"), (3, "error: training diverged: x")]
    assert [options.verdict(*case, changed=False, imported=False) for case in well] == [""] * len(well)
    assert options.verdict(0, "", changed=True, imported=False) == ""
    assert "written" in options.verdict(2, "error: x: y\n", changed=True, imported=False)
    assert "imported" in options.verdict(2, "error: x: y\n", changed=False, imported=True)
    wrong = {
        "exit status 1": (1, "error: x: y\n"),
        "a traceback": (2, "error:\nTraceback\n"),
        "4 lines": (0, "a\n" * 4),
    }
    for word, case in {**wrong, "700 characters": (0, "x" * 700)}.items():
        assert word in options.verdict(*case, changed=False, imported=False)


def refused(capsys: Captured, *arguments: str) -> str:
    """Run a fit that must be refused with nothing written, and return its line."""
    before = sorted(Path().rglob("*"))
    assert main(["fit", *arguments]) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    assert len(line) < options.MAX_LINE
    assert sorted(Path().rglob("*")) == before
    return line


AT_LEAST_1 = {value: f"@: {value}; need at least 1" for value in ("0", "-1", "-20")}
REFUSALS = {  # by option and value: the words of the line, in which @ is the option
    "--model.lr": {value: f"@: {value}; need a number above 0 and below 3.4e38" for value in ("0.0", "-1.0", "1e+39")}
    | {"inf": "@ float inf", "nan": "@ float nan", HUGE: "float"},
    "--model.hidden_features": {n: f"@: {n}; need 1 to 65536" for n in ("0", "-3", "1000000000")}
    | {"1.5": "@ 1.5 int"},
    "--model.activation": {"os.system": "@: os.system; need one of tanh"},
    "--model.loss": {"hinge": "@ hinge bce mse"},
    "--model.standardize": {"perhaps": "@ perhaps bool"},
    "--model.learning_rate": {"1": "@"},
    "--data.batch_size": AT_LEAST_1 | {"61": "@: 61; need 1 to 60"},
    "--data.piece_rows": AT_LEAST_1 | {str(2**63): "@: 9223372036854775808; need 9223372036854775807"},
    "--data.seed": {"-1": "@: -1; need at least 0", HUGE: "@: 1000 need 9223372036854775807"},
    "--data.split": {"columns": "@ columns groups", "groups": "@: groups; no group_0.npy"},
    "--data.balance": {"upsample": "@ upsample downsample"},
    "--data.predict": {"x.npy": "x.npy"},
    "--data.class_names": {"[a, b, c]": "@: 3 need 2"},
    "--seed_everything": {"-1": "@: -1; need 0 to 4294967295"},
    "--threads": {value: f"@: {value}; need 1 to 1024" for value in ("0", "1025")},
    "--name": {"../up": "@: ../up; without a path", "a" * 300: "@ too long"},
    "--optimizer": {"os.system": "@: os.system not allowed", f"{options.CANARY}.X": f"@ {options.CANARY} not allowed"},
    "--lr_scheduler": {"os.system": "@: os.system not allowed"},
    "--trainer.max_steps": AT_LEAST_1,
    "--trainer.val_check_interval": AT_LEAST_1 | {HUGE: "@: 1000 need 9223372036854775807"},
    "--trainer.accumulate_grad_batches": {"2": "@: 2; not supported here, leave it at 1"},
    "--trainer.devices": {"4096": "@: 4096; need 1 to"},
    "--trainer.accelerator": {"tpu": "--trainer torch_xla"},
    "--trainer.precision": {"7": "@: 7; need one of 32-true", "16-mixed": "@: 16-mixed; need one of bf16-mixed"},
    "--trainer.callbacks": {name: f"@: {name} not allowed" for name in (f"{options.CANARY}.X", "torch.os.system")},
    "--trainer.max_epochs": {"!!timestamp x": "options"},
    "--trainer.fast_dev_run": {"true": "@ not supported here"},
    "--ckpt_path": {"http://localhost/last.ckpt": "localhost/last.ckpt: no such checkpoint @"},
    "--config": {"nowhere.yaml": "@ nowhere.yaml"},
}


@pytest.mark.parametrize(("option", "value"), [(option, value) for option in REFUSALS for value in REFUSALS[option]])
def test_a_refusal_names_the_option_the_value_and_the_range(
    option: str, value: str, blobs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(blobs.parent)
    line = refused(capsys, "--data.root", str(blobs), f"{option}={value}")
    assert [word for word in REFUSALS[option][value].replace("@", option).split() if word not in line] == [], line


TEXTS = [b"\xff\xfe", b"model: [1]", b"data:\n  seed: !!python/object/apply:os.getpid []", b"a: &a [*a]", b"[", b"\x00"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_config_that_is_none_is_refused(
    text: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_bytes(text)
    refused(capsys, "--config", "config.yaml")
