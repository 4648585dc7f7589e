"""Options and configs without end: each command line is obeyed, or refused in one line with nothing written.

    python -m tests.campaigns.options --cases 2000 --seconds 600 --seed 0

Case number n of a seed is always the same; ``--first n --cases 1`` looks at it alone.
"""

import argparse
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
import yaml

import project.cli  # noqa: F401 (imported once here, so that a fork starts at once)
from project.__main__ import main as project_main

CONFIGS = Path(__file__).parent.parent.parent / "configs"
MAX_SECONDS = 60.0  # a case that takes longer hangs
MAX_LINES, MAX_LINE = 3, 600
CANARY = "canary_of_the_options_campaign"  # a module that leaves a file if it is imported
HUGE = str(10**400)

# Values that our options take, and values that they must refuse; the data have 2 features and 60 training rows
VALID: dict[str, list[str]] = {
    "--data.root": ["data", "./data/", "../{folder}/data"],
    "--data.batch_size": ["null", "1", "7", "60"],
    "--data.piece_rows": ["1", "13", "16384", str(10**15)],
    "--data.seed": ["0", "1", "4294967296", str(10**18)],
    "--data.balance": ["error", "downsample"],
    "--data.track_test": ["true", "false", "True", "no"],
    "--data.feature_names": ["null", "[a, b]", '["x (Hz)", "ÿ $_{$"]', "['', '']"],
    "--data.class_names": ["null", "[a, b]", '["猫", "🐕"]', "['%s', '{}']"],
    "--model.hidden_features": ["1", "2", "100"],
    "--model.activation": ["tanh", "relu", "identity", "softplus"],
    "--model.lr": ["1", "0.5", "1e-3", "1e-300"],
    "--model.loss": ["bce", "mse"],
    "--model.standardize": ["true", "false", "yes"],
    "--name": ["null", "a", "-dash", "with space", "ünïcode-猫", "100%", "{x}", "a.b", "$HOME", "*"],
    "--seed_everything": ["0", "1", "4294967295"],
    "--threads": ["null", "1", "2"],
    "--trainer.max_steps": ["1", "2", "3"],
    "--trainer.val_check_interval": ["1", "2", "1000"],
    "--trainer.devices": ["1", "auto"],
    "--trainer.accelerator": ["auto", "cpu"],
}
NOT_A_NUMBER = ["", "x", "[1]", "{a: 1}", "1;2", "\u0661x", "0x", "1e", "--", "!!", "true", "2020-01-01"]
NOT_POSITIVE = ["0", "-1", f"-{HUGE}", "nan", ".nan", "-.inf", ".inf"]
NOT_A_COUNT = [*NOT_A_NUMBER, *NOT_POSITIVE, "1.5", "1e-3"]
NOT_A_SWITCH = ["2", "maybe", "null", "[]", "1.0", "ture"]
INVALID: dict[str, list[str]] = {
    "--data.root": ["nowhere", "data/class_0.npy", "", "/dev/null", "null/..", "a" * 5000, "http://localhost/", "[]"],
    "--data.batch_size": [*NOT_A_COUNT, "61", HUGE],
    "--data.piece_rows": [*NOT_A_COUNT, "null", HUGE],
    "--data.seed": [*NOT_A_NUMBER, "-1", f"-{HUGE}", HUGE, "1.5", "nan", "null"],
    "--data.balance": ["", "null", "Error", "upsample", "[error]", "0"],
    "--data.track_test": NOT_A_SWITCH,
    "--data.predict": ["data/class_0.npy", "nowhere.npy"],
    "--data.feature_names": ["[a]", "[a, b, c]", "[]", "a", "[[a], [b]]", "{a: b}"],
    "--data.class_names": ["[a]", "[a, b, c]", "[]", "3", "[[a], [b]]"],
    "--model.hidden_features": [*NOT_A_COUNT, "1000001", "1000000000", HUGE, "null"],
    "--model.activation": ["", "null", "Tanh", "torch.nn.Tanh", "os.system", "[tanh]"],
    "--model.lr": [*(text for text in NOT_A_NUMBER if text != "true"), *NOT_POSITIVE, HUGE, "null", "1e400"],
    "--model.loss": ["", "null", "BCE", "hinge", "[bce]"],
    "--model.standardize": NOT_A_SWITCH,
    "--model.num_features": ["3", "-1", "x"],
    "--name": ["taken", "", ".", "..", "../up", "a/b", "/", "a" * 300, "[a]/b"],
    "--seed_everything": [*NOT_A_NUMBER[:-2], "-1", "4294967296", "1.5", HUGE],
    "--threads": [*NOT_A_COUNT, HUGE, str(10**9)],
    "--ckpt_path": ["nowhere.ckpt", "", "data", "data/class_0.npy", "http://localhost/x.ckpt", "s3://a/b", "a" * 5000],
    "--trainer.max_steps": [*NOT_A_COUNT, "null", "2.5", HUGE],
    "--trainer.val_check_interval": ["0", "-1", "x", "[]", "nan", "-.5", f"-{HUGE}", HUGE],
    "--trainer.devices": ["0", "-1", "4096", "x", "[]", "[4096]", "null", HUGE, "1.5"],
    "--trainer.accelerator": ["gpuu", "", "tpu", "mps", "hpu", "[cpu]", "null"],
    "--config": ["nowhere.yaml", "data", "data/class_0.npy", "/dev/null/x", "a" * 5000, "[]", "{"],
}
# What anything may be given: options of Lightning's, whose valid values are Lightning's business
JUNK = [
    *("", "0", "1", "-1", "1.0", "0.5", "-0.5", "nan", ".inf", "true", "false", "null", "auto", "x", "猫", "\x1b[31m"),
    *("[]", "[1]", "[[[[[[]]]]]]", "{}", "{a: {b: {c: [null]}}}", "[1, x, null]", "{class_path: x}", "00:00:00:01"),
    *("{class_path: 1}", "{class_path: torch.nn.Linear}", "{init_args: {}}", "!!python/name:os.system", "&a [*a]"),
    *("*a", "!!binary x", "!!int x", "!!timestamp x", "!x y", "'", '"', "{", "]", "? :", "- -", "%YAML 9", "---", "\n"),
    *("1_000", "0o17", "0b2", "1e9", HUGE, "16-mixed", "bf16-true", "64-true", "32", "ddp", "fsdp", "deepspeed"),
    *("simple", "advanced", "pytorch", "norm", "value", "warn", "last", "best", "cpu", "None", "lambda: 0", "../x"),
]
TRAINER = [
    *("strategy", "precision", "logger", "callbacks", "fast_dev_run", "max_epochs", "min_epochs", "min_steps"),
    *("max_time", "limit_train_batches", "limit_val_batches", "limit_test_batches", "limit_predict_batches"),
    *("overfit_batches", "check_val_every_n_epoch", "num_sanity_val_steps", "log_every_n_steps", "num_nodes"),
    *("enable_checkpointing", "enable_progress_bar", "enable_model_summary", "accumulate_grad_batches"),
    *("gradient_clip_val", "gradient_clip_algorithm", "deterministic", "benchmark", "inference_mode"),
    *("use_distributed_sampler", "profiler", "detect_anomaly", "barebones", "plugins", "sync_batchnorm"),
    *("reload_dataloaders_every_n_epochs", "default_root_dir", "enable_autolog_hparams", "model_registry"),
]
# Ways to name code; none may be imported, let alone called
FOREIGN = [
    *(f"{CANARY}.Callback", f"{CANARY}.sub.Callback", f"{CANARY}.leave", f"torch.{CANARY}.X", "os.system", "sys.exit"),
    *("torch.os.system", "torch.hub.subprocess.Popen", "lightning.pytorch.cli.os.system", "builtins.exec"),
    *("project.cli.os.system", "torch..os", "torch.", ".torch", "project.__main__.signal.alarm", "subprocess.Popen"),
]
SPOTS = [
    "trainer.callbacks",
    "trainer.logger",
    "trainer.strategy",
    "trainer.profiler",
    "trainer.plugins",
    "model",
    "data",
]
LEAVE_TRACE = f"open('{CANARY}.txt', 'w')"

Case = tuple[str, list[str], str | bytes | None]  # the kind, the arguments, and what config.yaml holds, if it is there


def case(number: int, seed: int) -> Case:
    """Return case ``number`` of a seed, the same every time."""
    rng = random.Random(f"{seed}-{number}")  # noqa: S311 (no secret)
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    arguments, config = kind(rng)
    return kind.__name__, arguments, config


def small(arguments: list[str]) -> list[str]:
    """A short training on small data, unless the arguments say otherwise."""
    defaults = {"--data.root": "data", "--trainer.max_steps": "2", "--trainer.logger": "false"}
    given = {argument.partition("=")[0] for argument in arguments}
    return ["fit", *arguments, *(word for pair in defaults.items() if pair[0] not in given for word in pair)]


def own_valid(rng: random.Random) -> tuple[list[str], None]:
    names = rng.sample(sorted(VALID), rng.randint(1, 5))
    return small([f"{name}={rng.choice(VALID[name])}" for name in names]), None


def own_invalid(rng: random.Random) -> tuple[list[str], None]:
    name = rng.choice(sorted(INVALID))
    return small([f"{name}={rng.choice(INVALID[name])}"]), None


def lightnings(rng: random.Random) -> tuple[list[str], None]:
    names = rng.sample(TRAINER, rng.randint(1, 2))
    return small([f"--trainer.{name}={rng.choice(JUNK)}" for name in names]), None


def misspelt(rng: random.Random) -> tuple[list[str], None]:
    name = rng.choice(sorted({**VALID, **INVALID}) + [f"--trainer.{name}" for name in TRAINER])
    i = rng.randrange(2, len(name))
    name = rng.choice(
        [
            *(name[:i] + name[i + 1 :], name[:i] + name[i] + name[i:], name.replace("_", "-"), name.upper(), name[1:]),
            *(f"{name}.x", f"{name}+", name.replace(".", ""), name[:i] + "é" + name[i:], f"--fit.{name[2:]}", name[:i]),
        ]
    )
    return small([f"{name}={rng.choice(['1', 'x', '', 'null', '[1]'])}"]), None


def soup(rng: random.Random) -> tuple[list[str], None]:
    words = [
        *VALID,
        *INVALID,
        *JUNK,
        "fit",
        "test",
        "-c",
        "--",
        "-",
        "=",
        "--=",
        "--data",
        "--trainer",
        "--model",
        "-x",
    ]
    return small(rng.choices(words, k=rng.randint(1, 5))), None


def mutated_config(rng: random.Random) -> tuple[list[str], bytes]:
    text = bytearray(rng.choice(sorted(CONFIGS.glob("*.yaml"))).read_bytes())
    for _ in range(rng.randint(1, 4)):
        mutate = rng.choice([_truncate, _flip, _swap_lines, _replace_value, _repeat_line])
        text = bytearray(mutate(rng, bytes(text)) or b"\n")
    return small(["--config=config.yaml", "--trainer.accelerator=cpu", "--trainer.devices=1"]), bytes(text)


def _truncate(rng: random.Random, text: bytes) -> bytes:
    return text[: rng.randrange(len(text))]


def _flip(rng: random.Random, text: bytes) -> bytes:
    i = rng.randrange(len(text))
    return text[:i] + bytes([rng.randrange(256)]) + text[i + 1 :]


def _swap_lines(rng: random.Random, text: bytes) -> bytes:
    lines = text.split(b"\n")
    rng.shuffle(lines)
    return b"\n".join(lines)


def _repeat_line(rng: random.Random, text: bytes) -> bytes:
    lines = text.split(b"\n")
    i = rng.randrange(len(lines))
    return b"\n".join([*lines[:i], rng.choice([b"", b" ", b"\t"]) + lines[i], *lines[i:]])


def _replace_value(rng: random.Random, text: bytes) -> bytes:
    lines = text.split(b"\n")
    i = rng.randrange(len(lines))
    if lines[i].strip()[-1:] != b":":
        lines[i] = lines[i].partition(b":")[0] + b": " + rng.choice(JUNK).encode()
    return b"\n".join(lines)


def built_config(rng: random.Random) -> tuple[list[str], str]:
    """A tree of options and anything else: known and unknown keys over values of any type."""
    known = [name.removeprefix("--") for name in (*VALID, *INVALID)] + [f"trainer.{name}" for name in TRAINER]
    tree: dict[object, object] = {}
    for _ in range(rng.randint(1, 4)):
        group, _, name = rng.choice(known).rpartition(".")
        branch = tree.setdefault(group, {}) if group else tree
        if isinstance(branch, dict):
            branch[rng.choice([name, name, name, "x", 1, None])] = _anything(rng, 3)
    if rng.random() < 0.1:
        return small(["-c", "config.yaml"]), yaml.safe_dump(_anything(rng, 4))
    return small(["-c", "config.yaml"]), yaml.safe_dump(tree)


def _anything(rng: random.Random, depth: int) -> object:
    scalars = (None, True, 0, -1, 2**70, 1.5, float("nan"), "", "x", "ÿ\u2028\x00", b"\xff", time.gmtime(0)[:3], "last")
    roll = rng.random() if depth else 0
    if roll < 0.6:
        value = rng.choice(scalars)
        return list(value) if isinstance(value, tuple) else value
    if roll < 0.8:
        return [_anything(rng, depth - 1) for _ in range(rng.randrange(3))]
    return {str(rng.choice(["class_path", "init_args", "x", 1])): _anything(rng, depth - 1) for _ in range(2)}


def hostile(rng: random.Random) -> tuple[list[str], str | None]:
    """Code that is none of torch's, lightning's or the project's, by any way to name it."""
    spot, path = rng.choice(SPOTS), rng.choice(FOREIGN)
    leave = f'["{LEAVE_TRACE}"]'
    value = rng.choice(
        [
            *(
                path,
                f"{{class_path: {path}}}",
                f"[{{class_path: {path}}}]",
                f"{{class_path: {path}, init_args: {{x: 1}}}}",
            ),
            f"{{class_path: lightning.pytorch.callbacks.LambdaCallback, init_args: {{on_fit_start: {path}}}}}",
            f"[{{class_path: LambdaCallback, init_args: {{setup: {{class_path: {path}, init_args: {{args: [x]}}}}}}}}]",
            f"!!python/object/apply:builtins.exec {leave}",
            f"!!python/object/new:{path} {leave}",
            f"!!python/name:{path} ''",
            f"!!python/module:{CANARY} ''",
            f"!{path} {leave}",
        ]
    )
    if rng.random() < 0.5:
        return small([f"--{spot}={value}"]), None
    for part in reversed(spot.split(".")):
        value = f"{{{part}: {value}}}"
    return small(["--config", "config.yaml"]), value


def other_command(rng: random.Random) -> tuple[list[str], None]:
    command = rng.choice(["test", "validate", "predict", "compare", "export", "", "Fit", "fit "])
    names = rng.sample(sorted(INVALID), rng.randint(0, 2))
    arguments = [f"{name}={rng.choice(INVALID[name] + VALID.get(name, []))}" for name in names]
    more = {
        "predict": [["--data.predict=data/class_1.npy"], ["--data.predict=data"], ["--data.predict=nowhere"], []],
        "compare": [
            ["taken", "taken"],
            ["taken"],
            ["taken", "nowhere", "--output=up"],
            [],
            ["taken", ""],
            ["a\x1b"] * 2,
        ],
        "export": [["--output=data"], ["--output=taken/x/y.onnx", "--name=gone"], ["--output=", "--x"]],
    }
    given = rng.choice(more.get(command, [[], ["--name=taken"], ["--ckpt_path=best"], ["--trainer.logger=true"]]))
    return [command, *given, *([] if command in ("compare", "export") and rng.random() < 0.5 else arguments)], None


KINDS: dict[Callable[[random.Random], tuple[list[str], str | bytes | None]], float] = {
    own_valid: 6,
    own_invalid: 24,
    lightnings: 18,
    misspelt: 12,
    soup: 10,
    mutated_config: 10,
    built_config: 10,
    hostile: 16,
    other_command: 8,
}


@dataclass
class Summary:
    """What the cases came to."""

    statuses: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"options and configs: {self.statuses.total()} command lines, {self.statuses[0]} obeyed, "
            f"{self.statuses[2]} refused in one line, {len(self.failures)} failures ({self.seconds:.0f} s)"
        )


def execute(arguments: list[str], folder: Path) -> tuple[int, str]:
    """Run a command in a process of its own, and return its exit status and what it wrote to stderr."""
    stderr = folder.with_suffix(".err")
    child = os.fork()
    if child == 0:
        status = 70
        try:
            os.setsid()
            os.chdir(folder)
            sys.path.insert(0, str(folder))
            with stderr.open("wb") as errors, Path(os.devnull).open("wb") as nothing:
                os.dup2(errors.fileno(), 2)
                os.dup2(nothing.fileno(), 1)
            status = project_main(arguments)
        except SystemExit as end:  # --help and its like
            status = end.code if isinstance(end.code, int) else 70
        except BaseException:  # (a traceback is what is looked for)
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    end = time.monotonic() + MAX_SECONDS
    while not (waited := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            waited = os.waitpid(child, 0)
            break
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(waited[1]), stderr.read_text(errors="backslashreplace")


def contents(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()} | {
        path: (0, 0) for path in folder.rglob("*") if path.is_dir()
    }


def verdict(status: int, stderr: str, *, changed: bool, imported: bool) -> str:
    """Return what is wrong with how a case ended; nothing, if it is well."""
    lines = stderr.splitlines()
    wrong = {
        "foreign code was imported": imported,
        f"exit status {status}": status not in (0, 2) and not (status == 3 and "diverged" in stderr),
        "a traceback": "Traceback" in stderr,
        f"{len(lines)} lines": len(lines) > MAX_LINES,
        f"a line of {max(map(len, lines), default=0)} characters": any(len(line) > MAX_LINE for line in lines),
        "no line that begins with error:": status == 2 and not any(line.startswith("error: ") for line in lines),
        "something was written": status == 2 and changed,
        "no option is named": bool(re.search(r"error: *(:|$)", stderr)),
    }
    return ", ".join(what for what, is_so in wrong.items() if is_so)


def prepare(template: Path) -> None:
    """Make what every case finds: small data, a trained run named "taken", and a module that must not be imported."""
    (template / "data").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for label in (0, 1):
        np.save(template / "data" / f"class_{label}.npy", rng.normal(label, 1, (50, 2)))
    (template / f"{CANARY}.py").write_text(f"{LEAVE_TRACE}\n\ndef leave(*_, **__):\n    {LEAVE_TRACE}\n")
    status, stderr = execute(["fit", "--data.root=data", "--trainer.max_steps=2", "--name=taken"], template)
    if status:
        sys.exit(stderr)
    shutil.rmtree(template / "__pycache__", ignore_errors=True)


def run(cases: int, seconds: float, seed: int, first: int = 0) -> Summary:
    """Try that many cases, or as many as there is time for."""
    summary = Summary()
    begin = time.monotonic()
    numbers: Iterator[int] = count(first)
    with tempfile.TemporaryDirectory() as name:
        template = Path(name) / "template"
        prepare(template)
        folder = Path(name) / "case"
        shutil.copytree(template, folder)
        before = contents(folder)
        while summary.statuses.total() < cases and time.monotonic() - begin < seconds:
            number = next(numbers)
            kind, arguments, config = case(number, seed)
            if config is not None:
                (folder / "config.yaml").write_bytes(config if isinstance(config, bytes) else config.encode())
            arguments = [argument.replace("{folder}", folder.name) for argument in arguments]
            status, stderr = execute(arguments, folder)
            (folder / "config.yaml").unlink(missing_ok=True)
            after = contents(folder)
            imported = any("canary" in path.name and path.suffix in (".txt", ".pyc") for path in after)
            summary.statuses[status] += 1
            summary.kinds[kind] += 1
            if wrong := verdict(status, stderr, changed=before != after, imported=imported):
                shown = f"{arguments}" + (f" with {config!r}" if config is not None else "")
                summary.failures.append(f"case {number} ({kind}): {shown[:900]}: {wrong}\n{stderr[-1500:]}")
            if before != after:
                shutil.rmtree(folder)
                shutil.copytree(template, folder)
                before = contents(folder)
    summary.seconds = time.monotonic() - begin
    return summary


def main() -> int:
    parser = argparse.ArgumentParser(description="Try options and configs, valid and not.")
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    summary = run(**vars(parser.parse_args()))
    print(summary)
    print("\n".join(summary.failures), file=sys.stderr)
    return bool(summary.failures)


if __name__ == "__main__":
    sys.exit(main())
