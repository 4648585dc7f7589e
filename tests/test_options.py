"""Every option is obeyed, or refused in one line that names it, with nothing written and nothing imported."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from project.__main__ import main
from tests.campaigns import options

CONTEXT = get_context("forkserver")  # forks from a process that has imported everything and started no thread
CONTEXT.set_forkserver_preload(["project.cli"])
Captured = pytest.CaptureFixture[str]


def test_options_and_configs_are_obeyed_or_refused() -> None:
    with ProcessPoolExecutor(1, CONTEXT) as pool:
        summary = pool.submit(options.run, cases=60, seconds=120, seed=1).result()
    assert summary.failures == []
    assert summary.statuses[2] > 30


def test_the_campaign_sees_what_is_wrong() -> None:
    assert options.verdict(0, "", changed=True, imported=False) == ""
    assert options.verdict(2, "error: --model.lr: x\n", changed=False, imported=False) == ""
    assert "written" in options.verdict(2, "error: x: y\n", changed=True, imported=False)
    assert "imported" in options.verdict(2, "error: x: y\n", changed=False, imported=True)
    assert "exit status 1" in options.verdict(1, "error: x: y\n", changed=False, imported=False)
    assert "traceback" in options.verdict(2, "error:\nTraceback\n", changed=False, imported=False)
    assert "4 lines" in options.verdict(0, "a\nb\nc\nd\n", changed=False, imported=False)
    assert "700 characters" in options.verdict(0, "x" * 700, changed=False, imported=False)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--model.lr", "inf", ["--model.lr", "inf"]),
        ("--model.lr", "0", ["--model.lr: 0", "above 0"]),
        ("--model.lr", "-1", ["--model.lr: -1", "above 0"]),
        ("--model.lr", options.HUGE, ["float"]),
        ("--model.hidden_features", "0", ["--model.hidden_features: 0", "at least 1"]),
        ("--model.hidden_features", "-3", ["--model.hidden_features: -3", "at least 1"]),
        ("--model.hidden_features", "1000000000", ["--model.hidden_features: 1000000000", "1 to 65536"]),
        ("--model.hidden_features", "1.5", ["--model.hidden_features", "1.5", "int"]),
        ("--model.activation", "os.system", ["--model.activation: os.system", "tanh"]),
        ("--model.loss", "hinge", ["--model.loss", "hinge", "bce", "mse"]),
        ("--model.standardize", "perhaps", ["--model.standardize", "perhaps", "bool"]),
        ("--data.batch_size", "0", ["--data.batch_size: 0", "at least 1"]),
        ("--data.batch_size", "-1", ["--data.batch_size: -1", "at least 1"]),
        ("--data.batch_size", "61", ["--data.batch_size: 61", "1 to 60"]),
        ("--data.piece_rows", "0", ["--data.piece_rows: 0", "at least 1"]),
        ("--data.seed", "-1", ["--data.seed: -1", "at least 0"]),
        ("--data.balance", "upsample", ["--data.balance", "upsample", "downsample"]),
        ("--data.predict", "x.npy", ["x.npy"]),
        ("--data.class_names", "[a, b, c]", ["--data.class_names: 3", "need 2"]),
        ("--seed_everything", "-1", ["--seed_everything: -1", "0 to 4294967295"]),
        ("--data.seed", options.HUGE, ["--data.seed: 1000", "to 9223372036854775807"]),
        ("--data.piece_rows", str(2**63), ["--data.piece_rows: 9223372036854775808", "to 9223372036854775807"]),
        (
            "--trainer.val_check_interval",
            options.HUGE,
            ["--trainer.val_check_interval: 1000", "to 9223372036854775807"],
        ),
        ("--threads", "0", ["--threads: 0", "1 to 1024"]),
        ("--threads", "1025", ["--threads: 1025", "1 to 1024"]),
        ("--name", "../up", ["--name: ../up", "without a path"]),
        ("--name", "a" * 300, ["too long"]),
        ("--trainer.max_steps", "0", ["--trainer.max_steps: 0", "need 1 to"]),
        ("--trainer.max_steps", "-1", ["--trainer.max_steps: -1", "need 1 to"]),
        ("--trainer.val_check_interval", "0", ["--trainer.val_check_interval: 0", "at least 1"]),
        ("--trainer.val_check_interval", "-20", ["--trainer.val_check_interval: -20", "at least 1"]),
        ("--trainer.devices", "4096", ["--trainer.devices: 4096", "1 to"]),
        ("--trainer.accelerator", "tpu", ["--trainer", "torch_xla"]),
        ("--trainer.precision", "7", ["--trainer.precision: 7", "64-true"]),
        ("--trainer.callbacks", f"{options.CANARY}.X", ["--trainer.callbacks", options.CANARY, "not allowed"]),
        ("--trainer.callbacks", "torch.os.system", ["--trainer.callbacks: torch.os.system", "not allowed"]),
        ("--trainer.max_epochs", "!!timestamp x", []),
        ("--trainer.fast_dev_run", "true", ["--trainer.fast_dev_run", "not supported here"]),
        ("--model.learning_rate", "1", ["--model.learning_rate"]),
        ("--ckpt_path", "http://localhost/last.ckpt", ["localhost/last.ckpt", "no such checkpoint", "--ckpt_path"]),
        ("--config", "nowhere.yaml", ["--config", "nowhere.yaml"]),
    ],
)
def test_a_refusal_names_the_option_the_value_and_the_range(
    option: str, value: str, words: list[str], blobs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(blobs.parent)
    before = sorted(Path().rglob("*"))
    assert main(["fit", "--data.root", str(blobs), f"{option}={value}"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    assert len(line) < options.MAX_LINE
    assert all(word in line for word in words), line
    assert sorted(Path().rglob("*")) == before, "nothing may be written"


@pytest.mark.parametrize(
    "text",
    [b"\xff\xfe", b"model: [1]", b"data:\n  seed: !!python/object/apply:os.getpid []", b"a: &a [*a]", b"[", b"\x00"],
)
def test_a_config_that_is_none_is_refused(
    text: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_bytes(text)
    assert main(["fit", "--config", "config.yaml"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["config.yaml"]
