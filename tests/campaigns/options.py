"""Options and configs without end: each command line is obeyed, or refused in one line with nothing written.

    python -m tests.campaigns.options --cases 2000 --seconds 600 --seed 0

Case number n of a seed is always the same; ``--first n --cases 1`` looks at it alone. The first ones are every
callback, logger and profiler of Lightning's with its default arguments.
"""

import inspect
import random
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
from lightning.pytorch import callbacks, loggers, profilers

from project.commands.trainer import make_trainer
from tests.campaigns.summary import Summary, main, start

CONFIGS = Path(__file__).parents[2] / "configs"
MAX_SECONDS = 60  # A case that takes longer hangs.
CANARY = "canary_of_the_options_campaign"  # a module that leaves a file if it is imported
LEAVE_TRACE = f"open('{CANARY}.txt', 'w')"
HUGE = str(10**400)
PARTS = {"callbacks": callbacks, "logger": loggers, "profiler": profilers}
OWN = [f"--trainer.{option}={name}" for option, module in PARTS.items() for name in sorted(module.__all__)]
OPTIONS: dict[str, list[str]] = {f"--trainer.{name}": [] for name in inspect.signature(make_trainer).parameters}
# Values that an option takes, or all but takes; the data have 2 features and 60 training rows
OPTIONS |= {
    "--data.root": ["data", "./data/", "nowhere", "data/class_0.npy", "/dev/null", "null/..", "http://localhost/"],
    "--data.batch_size": ["7", "60", "61"],
    "--data.seed": [str(10**18)],
    "--data.track_test": ["False", "no", "maybe"],
    "--data.class_names": ["[a, b]", "[a]", "[a, b, c]", "[[a], [b]]"],
    "--data.feature_names": ['["x (Hz)", "ÿ $_{$"]', "['', '']", '["猫", "🐕"]', "['%s', '{}']"],
    "--model.hidden_features": ["100", "1000000000"],
    "--model.activation": ["tanh", "identity", "Tanh", "torch.nn.Tanh", "os.system", "[tanh]"],
    "--model.lr": ["1e-3", "1e-300", "1e400", "1e39"],
    "--name": ["a", "-dash", "with space", "ünïcode-猫", "100%", "$HOME", "*", "taken", ".", "../up", "a/b"],
    "--optimizer": ["SGD", "torch.optim.AdamW", "{class_path: Adam, init_args: {lr: 0.1}}", "torch.nn.Linear", "[SGD]"],
    "--seed_everything": ["4294967295", "4294967296"],
    "--ckpt_path": ["nowhere.ckpt", "data", "data/class_0.npy", "http://localhost/x.ckpt", "s3://a/b"],
    "--trainer.max_steps": ["3"],
    "--trainer.val_check_interval": ["2", "1000"],
    "--trainer.devices": ["4096", "[4096]"],
    "--trainer.accelerator": ["gpuu", "tpu", "mps", "[cpu]"],
    "--config": ["nowhere.yaml", "data", "data/class_0.npy", "/dev/null/x"],
}
# What any of them may be given
JUNK = [
    *("", "0", "1", "-1", "1.0", "1.5", "nan", ".inf", "-.inf", "true", "false", "null", "auto", "x", "猫", "\x1b[31m"),
    *("[]", "[1]", "1;2", "\u0661x", "1e", "--", "!!", "2020-01-01", HUGE, f"-{HUGE}", "a" * 5000, "64-true", "ddp"),
    *("[[[[[[]]]]]]", "{}", "{a: {b: {c: [null]}}}", "[1, x, null]", "{class_path: x}", "00:00:00:01", "*a", "!x y"),
    *("{class_path: 1}", "{class_path: torch.nn.Linear}", "{init_args: {}}", "!!python/name:os.system", "&a [*a]"),
    *("!!binary x", "!!timestamp x", "'", "{", "]", "? :", "%YAML 9", "---", "\n", "simple"),
]
WORDS = [*OPTIONS, *JUNK, "fit", "test", "-c", "--", "-", "=", "--=", "--data", "--model", "-x"]
# Ways to name code; none may be imported, let alone called
FOREIGN = [
    *(f"{CANARY}.Callback", f"{CANARY}.leave", f"torch.{CANARY}.X", "os.system", "sys.exit", "torch.os.system"),
    *("torch.hub.subprocess.Popen", "lightning.pytorch.cli.os.system", "builtins.exec", "subprocess.Popen"),
    *("project.commands.trainer.os.system", "torch..os", "torch.", ".torch", "project.__main__.signal.alarm"),
]
SPOTS = [f"trainer.{name}" for name in ("callbacks", "logger", "strategy", "profiler", "plugins")] + ["model", "data"]
OTHERS = {  # by command: its arguments
    **{command: ["", "--name=taken", "--ckpt_path=best"] for command in ("test", "validate", "", "Fit")},
    "predict": ["--data.predict=data/class_1.npy", "--data.predict=data", "--data.predict=nowhere", ""],
    "compare": ["taken taken", "taken nowhere --output=up", "", "a\x1b a\x1b"],
    "plot": ["taken --format=svg", "taken --dpi=5", "nowhere", "taken --width=0", "taken --format=exe"],
    "export": ["--output=data", "--output=taken/x/y.onnx --name=gone", "--output= --x"],
}
CONFIG = "--config=config.yaml"
USUAL = {"--data.root": "data", "--trainer.max_steps": "2", "--trainer.logger": "false"}
USUAL |= {"--trainer.accelerator": "cpu", "--trainer.devices": "1"}


def case(number: int, seed: int) -> tuple[list[str], bytes | None]:
    """Return the arguments and, if there is one, the config of case ``number`` of a seed."""
    rng, config = random.Random(f"{seed}-{number}"), None  # noqa: S311 (no secret)
    kind = "own" if number < len(OWN) else rng.choice(KINDS)
    if kind == "own":
        given = [OWN[number]]
    elif kind == "options":
        given = [set_option(rng) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
    elif kind == "misspelt":
        name = rng.choice([*OPTIONS])
        i = rng.randrange(2, len(name))
        given = [f"{rng.choice([name[:i] + name[i + 1 :], name[:i] + name[i] + name[i:], name.upper()])}=1"]
    elif kind == "soup":
        given = rng.choices(WORDS, k=rng.randint(1, 5))
    elif kind == "config":
        given, config = [CONFIG], mutate_config(rng)
    elif kind == "hostile":
        spot, value = rng.choice(SPOTS), name_code(rng)
        nested = "{".join(f"{part}: " for part in spot.split(".")) + value + "}" * spot.count(".")
        given, config = rng.choice([([f"--{spot}={value}"], None), ([CONFIG], nested.encode())])
    else:
        command = rng.choice([*OTHERS])
        return [command, *rng.choice(OTHERS[command]).split(), *rng.choice([[], [set_option(rng)]])], None
    return small(given), config


KINDS = ["options"] * 24 + ["misspelt", "soup"] * 5 + ["config"] * 10 + ["hostile"] * 8 + ["another command"] * 4


def set_option(rng: random.Random) -> str:
    name = rng.choice([*OPTIONS])
    return f"{name}={rng.choice(rng.choice([OPTIONS[name] or JUNK, JUNK]))}"


def small(arguments: list[str]) -> list[str]:
    """Return the arguments of a short training on small data, unless they say otherwise."""
    given = {argument.partition("=")[0] for argument in arguments}
    return ["fit", *arguments, *(f"{name}={value}" for name, value in USUAL.items() if name not in given)]


def mutate_config(rng: random.Random) -> bytes:
    """Return a shipped config, cut off, with another byte, order or value, or with a line twice."""
    text = rng.choice(sorted(CONFIGS.glob("*.yaml"))).read_bytes()
    for _ in range(rng.randint(1, 4)):
        i, lines = rng.randrange(len(text)), text.split(b"\n")
        n = rng.randrange(len(lines))
        replaced = [lines[n].partition(b":")[0] + b": " + rng.choice(JUNK).encode()]
        repeated = [lines[n], rng.choice([b"", b" ", b"\t"]) + lines[n]]
        new = [b"\n".join([*lines[:n], *middle, *lines[n + 1 :]]) for middle in (replaced, repeated)]
        new += [text[:i], text[:i] + rng.randbytes(1) + text[i + 1 :], b"\n".join(rng.sample(lines, len(lines)))]
        text = rng.choice(new) or b"\n"
    return text


def name_code(rng: random.Random) -> str:
    """Return a value that names code which is none of torch's, lightning's or the project's, in some way."""
    path, leave = rng.choice(FOREIGN), f'["{LEAVE_TRACE}"]'
    named = f"{{class_path: {path}}}", f"{{class_path: {path}, init_args: {{x: 1}}}}"
    hooks = f"setup: {{class_path: {path}, init_args: {{args: [x]}}}}", f"on_fit_start: {path}"
    ways = [path, *named, f"[{named[0]}]", *(f"[{{class_path: LambdaCallback, init_args: {{{h}}}}}]" for h in hooks)]
    ways += [f"!!python/object/apply:builtins.exec {leave}", f"!!python/object/new:{path} {leave}"]
    return rng.choice([*ways, f"!!python/name:{path} ''", f"!!python/module:{CANARY} ''", f"!{path} {leave}"])


def find_wrong(status: int | None, stderr: str, *, changed: bool, imported: bool) -> str:
    """Return what is wrong with how a case ended; nothing, if it is well."""
    lines = [line.rpartition("\r")[2] for line in stderr.split("\n") if line]  # A progress bar overwrites its line.
    wrong = {
        "foreign code was imported": imported,
        f"exit status {status}": status not in (0, 2) and not (status == 3 and "diverged" in stderr),
        "a traceback": "Traceback" in stderr,
        f"{len(lines)} lines": len(lines) > 3,
        f"a line of {max(map(len, lines), default=0)} characters": any(len(line) > 600 for line in lines),
        "no line that begins with error:": status == 2 and not any(line.startswith("error: ") for line in lines),
        "something was written": status == 2 and changed,
        "no option is named": bool(re.search(r"error: *(:|$)", stderr)),
    }
    return ", ".join(what for what, is_so in wrong.items() if is_so)


def prepare(folder: Path) -> None:
    """Make what every case finds: small data, and a module that must not be imported."""
    (folder / "data").mkdir(parents=True)
    for label in (0, 1):
        np.save(folder / "data" / f"class_{label}.npy", np.random.default_rng(label).normal(label, 1, (50, 2)))
    (folder / f"{CANARY}.py").write_text(f"{LEAVE_TRACE}\n\ndef leave(*_, **__):\n    {LEAVE_TRACE}\n")


def run(cases: int, seconds: float, seed: int, first: int = 0) -> Summary:
    """Try that many cases, or as many as there is time for, each where a run named "taken" was trained."""
    summary = Summary("options and configs")
    with tempfile.TemporaryDirectory() as name:
        template, folder = Path(name) / "template", Path(name) / "case"
        prepare(template)
        start(small(["--name=taken"]), template).join()
        for number in range(first, first + cases):
            if summary.seconds > seconds:
                break
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(template, folder)
            arguments, config = case(number, seed)
            if config is not None:
                (folder / "config.yaml").write_bytes(config)
            before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
            process = start(arguments, folder)
            process.join(MAX_SECONDS)
            process.kill()
            status, after = process.exitcode, {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
            stderr = folder.with_suffix(".err").read_bytes().decode(errors="backslashreplace")
            summary.counts["refused in one line" if status == 2 else "obeyed"] += 1
            if status == 0 and "profiler" in str(arguments):
                stderr = ""  # It is a report of as many lines as it takes.
            imported = any("canary" in path.name and path.suffix in (".txt", ".pyc") for path in after)
            # What a callback cannot do, it says only when the run folder is there.
            changed = before != after and number >= len(OWN)
            if wrong := find_wrong(status, stderr, changed=changed, imported=imported):
                shown = f"{arguments} with {config!r}"[:900]
                summary.failures.append(f"case {number}: {shown}: {wrong}\n{stderr[-1500:]}")
    return summary


if __name__ == "__main__":
    main(run, cases=2000, seconds=600.0, seed=0, first=0)
