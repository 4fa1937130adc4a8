"""The command line: `graphc run | show | opt | profile | bench | cache | doctor`, also as `python -m graphc`.

Exit status: 0 on success, 1 on a user's error (one readable message, no traceback), 2 on wrong usage.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

Command = Callable[[argparse.Namespace], int]

VIEWS = {
    "source": "the kernels as Numba-compatible Python",
    "llvm": "the kernels' LLVM IR after optimisation",
    "asm": "the kernels' machine code",
    "cost": "FLOPs, bytes and intensity, per kernel",
    "memory": "weights, arena, peak; each buffer's lifetime",
    "stages": "the stages, with node counts and times",
}
"""What `show` prints by a method of the compiled model, and its help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit status."""
    args = _parser().parse_args(argv)
    command: Command = args.command
    try:
        return command(args)
    except KeyboardInterrupt:
        return 130
    except Exception as e:
        if not (isinstance(e, OSError) or _is_ours(e)):
            raise
        print(f"graphc: {_message(e)}", file=sys.stderr)
        return 1


def _is_ours(error: Exception) -> bool:
    """Whether graphc raised it on purpose. NumPy is loaded no sooner: a script may set how it is to start."""
    from graphc.ir.errors import GraphcError

    return isinstance(error, GraphcError)


def _refuse(message: str) -> NoReturn:
    from graphc.ir.errors import ArgumentError

    raise ArgumentError(message) from None


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "graphc", description="Compile graphs of layers to native code, and look inside."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text, arguments, command in COMMANDS:
        sub = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        arguments(sub)
        sub.set_defaults(command=command)
    return parser


# -- run ------------------------------------------------------------------------------------------
def _run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log", metavar="TOPICS", help="log lines on stderr: compile,cache,fusion,trace,all")
    parser.add_argument("--dump", metavar="DIR", help="write the graph at each stage of each compile to DIR")
    parser.add_argument("script", metavar="SCRIPT")
    parser.add_argument("args", nargs=argparse.REMAINDER, help="arguments of the script")


def _run(args: argparse.Namespace) -> int:
    """Run a script as Python would, with its folder first in the module path."""
    settings = {"GRAPHC_LOG": args.log, "GRAPHC_DUMP": args.dump}
    os.environ.update({name: value for name, value in settings.items() if value})
    path = Path(args.script)
    if not path.is_file():
        _refuse(f"there is no script {args.script}")
    sys.argv = [args.script, *args.args]
    sys.path.insert(0, str(path.resolve().parent))
    try:
        runpy.run_path(str(path), run_name="__main__")
    except Exception as e:
        if _is_ours(e):
            raise
        own = {__file__, runpy.__file__, "<frozen runpy>"}
        frames = [f for f in traceback.extract_tb(e.__traceback__) if f.filename not in own]
        print(
            "Traceback (most recent call last):",
            *traceback.format_list(frames),
            sep="\n",
            end="",
            file=sys.stderr,
        )
        print(*traceback.format_exception_only(e), sep="", end="", file=sys.stderr)
        return 1
    return 0


# -- opt ------------------------------------------------------------------------------------------
def _opt_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.gir", help="a graph's text; - reads standard input")
    parser.add_argument("--passes", metavar="NAMES", help='such as "simplify,cse,fuse" or "default,-fuse"')
    parser.add_argument(
        "--verify-each", action="store_true", help="check the rules of the IR after each pass"
    )
    parser.add_argument("--dump-each", metavar="DIR", help="write each stage that differs to a file in DIR")


def _opt(args: argparse.Namespace) -> int:
    from graphc import ir, passes
    from graphc.passes.observers import Dump, from_environment, verify_each

    text = sys.stdin.read() if args.file == "-" else _text_of(args.file)
    observers: list[passes.Observer] = from_environment()
    if args.verify_each:
        observers.append(verify_each)
    if args.dump_each:
        observers.append(Dump(args.dump_each))
    print(passes.PassManager(args.passes, observers).run(ir.parse(text))[-1].graph)
    return 0


def _text_of(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        _refuse(f"{file} is no text")


# -- show -----------------------------------------------------------------------------------------
def _show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", metavar="MODEL", help="a .keras or .json file, module:attribute, or an application"
    )
    parser.add_argument(
        "--step", choices=("train", "evaluate", "predict"), help="a step instead of the forward pass"
    )
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="the batch size for --memory")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--stage", metavar="S", default="final", help="the graph at a stage; the default is final"
    )
    what.add_argument("--diff", nargs=2, metavar=("A", "B"), help="what differs between two stages")
    what.add_argument("--summary", action="store_true", help="the table of layers")
    for name, text in VIEWS.items():
        what.add_argument(f"--{name}", action="store_const", const=name, dest="view", help=text)


def _show(args: argparse.Namespace) -> int:
    import graphc

    model = load(args.model)
    if args.summary:
        model.summary()
        return 0
    compiled = graphc.compile(model, step=args.step) if args.step else graphc.compile(model)
    if args.view == "memory":
        print(compiled.memory(**dict.fromkeys(compiled.graph.symbols, args.batch)))
    elif args.view:
        print(getattr(compiled, args.view)())
    else:
        print(compiled.diff(*args.diff) if args.diff else compiled.ir(args.stage))
    return 0


def load(name: str) -> Any:
    """The model of a .keras or .json file, of `module:attribute`, which is a model or a function that makes
    one, or an application by its name, with random weights.
    """
    from graphc.models import Model

    if name.endswith(".json"):
        from graphc.saving.models import model_from_json

        return model_from_json(_text_of(name))
    if name.endswith(".keras"):
        from graphc.models import load_model

        return load_model(name)
    if ":" not in name:
        return _application(name)
    found = _attribute(*name.split(":", 1))
    model = found() if callable(found) and not isinstance(found, Model) else found
    if not isinstance(model, Model):
        _refuse(f"{name} is no model, but {type(model).__name__}")
    return model


def _application(name: str) -> Any:
    from difflib import get_close_matches

    from graphc import applications

    if name not in applications.MODELS:
        near = get_close_matches(name, applications.MODELS, n=1)
        hint = f"did you mean {near[0]}?" if near else "give a .keras or .json file, or module:attribute"
        _refuse(f"there is no model {name!r}: {hint}")
    return getattr(applications, name)(weights=None)


def _attribute(module: str, path: str) -> Any:
    import importlib

    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as e:
        _refuse(f"can't import {module}: {e}")
    for part in path.split("."):
        if not hasattr(found, part):
            _refuse(f"{module} has no attribute {path}")
        found = getattr(found, part)
    return found


# -- profile --------------------------------------------------------------------------------------
def _profile_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="as for show")
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="the batch size (32)")
    parser.add_argument("--train", action="store_true", help="a training step instead of the forward pass")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the call (GRAPHC_THREADS, or 1)")


UNKNOWN = 32
"""What `profile` takes for sizes that a model leaves open."""


def _profile(args: argparse.Namespace) -> int:
    """Each kernel's time, on random numbers. A model without a loss trains by SGD on squared errors."""
    import graphc

    if args.batch < 1:
        _refuse(f"--batch {args.batch} is not possible; choose a number from 1 on")
    model = load(args.model)
    if args.train and not model.compiled:
        model.compile("sgd", "mse")
    step = graphc.compile(model, step="train" if args.train else "predict", threads=args.threads)
    batch = step.example(args.batch, UNKNOWN)
    found = step.profile(batch.x, batch.y or None)
    if not sys.stdout.isatty():
        print(found)
        return 0
    from rich.console import Console

    Console().print(found)
    return 0


# -- cache, doctor --------------------------------------------------------------------------------
def _cache_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("info", "clear", "verify"))


def _cache(args: argparse.Namespace) -> int:
    from graphc.codegen import cache

    store = cache.default()
    if args.action == "clear":
        print(f"removed {_counted(store.clear())} from {store.folder}")
        return 0
    if args.action == "verify":
        damaged = store.verify()
        kept = _counted(store.info().entries)
        print(f"{kept} in {store.folder} fine; removed {len(damaged)} damaged", *damaged, sep="\n")
        return 0
    info = store.info()
    print(f"{info.folder}: {_counted(info.entries)}, {info.bytes / 1e6:.1f} MB")
    if info.problem:
        print(f"not used: {info.problem}")
    tuned = _tuned_graphs()
    if tuned:
        print(f"what was measured by tune=True, for {tuned} {'graph' if tuned == 1 else 'graphs'}")
    return 0


def _tuned_graphs() -> int:
    from graphc.codegen.target import host
    from graphc.codegen.tuner import remembered

    return len(remembered(host()))


def _counted(entries: int) -> str:
    return f"{entries} {'entry' if entries == 1 else 'entries'}"


# -- bench ----------------------------------------------------------------------------------------
def _bench_arguments(parser: argparse.ArgumentParser) -> None:
    parser.prefix_chars = ""  # all words are the script's, which explains them with --help
    parser.add_argument("words", nargs="*", metavar="...", help="names of workloads, and options; see --help")


def _bench(args: argparse.Namespace) -> int:
    """The script does it, in a process that has not loaded anything of ours."""
    import subprocess

    script = Path(__file__).resolve().parent.parent / "benchmarks" / "race.py"
    if not script.is_file():
        _refuse(f"the benchmarks are not installed: there is no {script}. They are part of the source tree.")
    return subprocess.run([sys.executable, str(script), *args.words]).returncode


# -- doctor ---------------------------------------------------------------------------------------
def _doctor(args: argparse.Namespace) -> int:
    from graphc.doctor import report

    lines, healthy = report()
    print("\n".join(lines))
    return 0 if healthy else 1


COMMANDS: tuple[tuple[str, str, Callable[[argparse.ArgumentParser], None], Command], ...] = (
    ("run", "run a script, with switches for log lines and dumps", _run_arguments, _run),
    ("show", "print a model's graph, code or cost", _show_arguments, _show),
    ("opt", "run passes over a graph's text and print the result", _opt_arguments, _opt),
    ("profile", "measure the time of each kernel of a model", _profile_arguments, _profile),
    ("bench", "run the benchmarks beside installed peers", _bench_arguments, _bench),
    ("cache", "look at the cache of compiled objects", _cache_arguments, _cache),
    ("doctor", "check this installation", lambda parser: None, _doctor),
)
