"""The `repro` command: `repro --help` lists what it does, `repro COMMAND --help` each option.

Commands print what the library returns. A `ReproError` becomes one line on standard error and exit
status 1.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from repro import __version__
from repro.errors import ReproError, told, warn
from repro.tools import interrupt

if TYPE_CHECKING:
    from repro.study.plan import Run

# Modules that load torch are imported by the commands that need them: --help must not wait.

app = typer.Typer(
    help="Replicate attention pooling for speech emotion recognition (Li et al. 2018).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
corpus_app = typer.Typer(help="List, make, fetch and check corpora.", no_args_is_help=True)
app.add_typer(corpus_app, name="corpus")
results_app = typer.Typer(help="Check and merge results files.", no_args_is_help=True)
app.add_typer(results_app, name="results")


def _path(text: str | Path) -> Path:
    """Parse a path; `~` is the home folder, also behind the = of an option, unlike in a shell."""
    if text == "":  # as an unset variable gives it
        raise typer.BadParameter("an empty path; name a file or a folder")
    return Path(os.path.expanduser(text))


def _path_option(description: str, *names: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=description, metavar=metavar, parser=_path)


# Those of `study.grids.STUDIES` and `config.PRESETS`, and of the trainer's devices and precisions.
StudyName = Literal["filter-shapes", "pooling", "readings", "protocol", "recovery", "baselines"]
Preset = Literal["smoke", "demo", "coarse", "quick", "paper"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16"]

CORPUS_HELP = "One of those that `repro corpus list` names, or a table such as my.csv."
LABELS_HELP = (
    "With a table: what its labels stand for, such as joy=happy,anger=angry; may be repeated."
)
DRY_RUN_HELP = "Only say what would be trained, how long it takes here, and how much memory."
PLOT_HELP = "Write a page to hear and see each, index.html, and attention maps as PNG."
SET_HELP = "Change a setting, such as training.epochs=3; may be repeated."
RAY_HELP = "Spread the folds over a Ray cluster: auto, local or HOST:PORT of its head."
GPUS_HELP = "With --ray: a fold's share of a GPU, by default 0.25."
SEEDS_HELP = "How many seeds; with 0 pages show what the results file holds."
PAGES_HELP = "Train for these pages only; the others show what the results file holds."
RESULTS = "JSON Lines file; by default "
BY_DEFAULT = "build/results"  # not `results`, where a checkout has the published ones
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help=SET_HELP)
]
Corpus = Annotated[str, typer.Option("--corpus", help=CORPUS_HELP)]
Labels = Annotated[list[str] | None, typer.Option(metavar="LABEL=EMOTION,...", help=LABELS_HELP)]
Root = Annotated[Path | None, _path_option("Folder of the corpus.")]
ModelFile = Annotated[
    Path, typer.Argument(help="Model file that `repro train` wrote.", parser=_path)
]
PathArgument = Annotated[Path, typer.Argument(parser=_path)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help=DRY_RUN_HELP)]

INTERRUPTED = 130  # typer's own exit status after Ctrl-C


def main() -> None:
    """Run the command; a foreseeable fault is one line on standard error and exit status 1.

    So is a signal: exit status 130 after Ctrl-C, 143 after SIGTERM.
    """
    try:
        os.getcwd()
    except FileNotFoundError:  # libraries then fail in ways of their own
        sys.exit("repro: the current folder is gone; change to another")
    for number in range(3):  # a stream that is closed leaves its number to the next file opened,
        with suppress(OSError):  # into which a child process would then print
            os.fstat(number)
            continue
        os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names need not be text
    with interrupt.stoppable() as stop:
        try:
            try:
                app(prog_name="repro")
            finally:
                if sys.stdout:
                    sys.stdout.flush()  # here, where it may fail
        except ReproError as error:
            if not stop.number:
                sys.exit(told(error))
        except (ImportError, AttributeError) as error:
            if not (stray := _stray(error)):
                raise
            sys.exit(f"repro: {stray}: imported in place of a library; take it out of PYTHONPATH")
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ENOSPC):
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where the rest of it must not fail again
            if error.errno == errno.EPIPE:  # whoever read it has seen enough
                sys.exit(1)
            sys.exit(f"repro: {error.filename or 'standard output'}: {error.strerror}; make room")
        except SystemExit as end:
            if end.code != INTERRUPTED and not stop.number:
                raise
        except BaseException:  # whatever library code made of being interrupted
            if not stop.number:
                raise
        stop.end()


def _stray(error: ImportError | AttributeError) -> str | None:
    """Return the file of PYTHONPATH that lacks what was asked of it, if one does."""
    path = error.path if isinstance(error, ImportError) else getattr(error.obj, "__file__", None)
    folders = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    inside = path and any(Path(path).is_relative_to(os.path.abspath(each)) for each in folders)
    return path if inside else None


def _print_version(wanted: bool) -> bool:
    if wanted:
        print(__version__)
        raise typer.Exit
    return wanted


VERSION = typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")


@app.callback()
def _options(version: Annotated[bool, VERSION] = False) -> None:
    pass


def _setting(preset: str, assignments: list[str] | None) -> str:
    """Return a preset with its changes behind it, as `Run` takes them."""
    from repro import config

    for each in assignments or ():  # alone, since behind another it would be a part of its value
        config.preset(f"{preset}, {each}")
    return ", ".join([preset, *(assignments or ())])


@app.command()
def run(
    study: StudyName,
    corpus: Corpus = "synthetic",
    root: Root = None,
    labels: Labels = None,
    preset: Preset = "smoke",
    results: Annotated[
        Path | None, _path_option(f"{RESULTS}{BY_DEFAULT}/CORPUS/STUDY.jsonl.")
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, numbered from 0.")] = 1,
    assignments: Assignments = None,
    ray: Annotated[str | None, typer.Option(metavar="ADDRESS", help=RAY_HELP)] = None,
    only: Annotated[
        str | None, typer.Option(metavar="VARIANT,...", help="Train these variants and no others.")
    ] = None,
    gpus_per_fold: Annotated[float | None, typer.Option(min=0.01, max=1, help=GPUS_HELP)] = None,
    dry_run: DryRun = False,
) -> None:
    """Train every fold of a study that its results file does not hold yet."""
    from repro.corpora import name_of, own, record_of
    from repro.study.grids import STUDIES
    from repro.study.plan import Run
    from repro.study.run import run

    planted = STUDIES[study].own_corpora
    corpus = own.with_labels(corpus, labels)
    if planted and (corpus != "synthetic" or root is not None):
        raise ReproError(f"{study} makes signals of its own: omit --corpus and --root")
    folder = "planted" if planted else name_of(corpus)
    path = results or Path(BY_DEFAULT) / folder / f"{study}.jsonl"
    setting = _setting(preset, assignments)
    how: dict[str, Any] = {"device": device, "precision": precision, "seeds": seeds, "only": only}
    how |= {"ray": ray, "gpus_per_fold": gpus_per_fold}
    asked = Run(study, corpus, root, setting, path, **how)
    asked.grid()  # what does not exist is refused before the results' folder is made
    record_of(corpus)
    if ray and dry_run:
        raise ReproError("--dry-run measures this machine, not a Ray cluster: omit --ray")
    if dry_run:
        _print_estimate([asked])
        return
    with _progress_bar() as progress:
        trained = run(asked, progress)
    print(f"{trained} {'fold' if trained == 1 else 'folds'} trained, results in {path}")


@app.command()
def table(
    study: StudyName,
    results: Annotated[Path, _path_option("JSON Lines file to read.")],
    as_json: AsJson = False,
) -> None:
    """Print WA, UA and the accuracy of each emotion beside the paper's, in per cent."""
    from repro.evidence import effects, metrics
    from repro.results import read_lines, tables
    from repro.results.audit import mixed
    from repro.study.ledger import Ledger
    from repro.study.read import study_lines

    ledger = Ledger(read_lines(results))
    settings = dict.fromkeys(r["preset"] for r in ledger.records if r["study"] == study)
    if not settings:
        held = ", ".join(dict.fromkeys(r["study"] for r in ledger.records)) or "no finished fold"
        raise ReproError(f"{results}: holds {held}, not {study}")
    lines = [line for setting in settings for line in study_lines(ledger, study, setting)]
    for what in mixed(lines):
        warn(f"{results}: {what}; they cannot be compared")
    found = tables(lines)
    predictions = found.predictions
    for (setting, variant), rows in found.diverged.groupby(["preset", "variant"], sort=False):
        warn(f"{variant} ({setting}): without {len(rows)} folds, whose training diverged")
    if predictions.empty:
        raise ReproError(f"{results}: every training of {study} in it diverged")
    states = predictions.groupby("corpus")["corpus_hash"].transform("nunique")
    named = predictions["corpus"] + " (" + predictions["corpus_hash"] + ")"
    predictions["corpus"] = predictions["corpus"].where(states == 1, named)
    compares = study in ("readings", "protocol")
    rows = (effects.beside_scores if compares else metrics.beside_paper)(predictions)
    if as_json:
        print(json.dumps(json.loads(rows.to_json(orient="records")), indent=2))
    else:
        # A terminal has no room for the emotions' intervals; --json has them.
        bounds = [f"{emotion} {end}" for emotion in metrics.EMOTIONS for end in ("low", "high")]
        shown = rows[effects.NARROW] if compares else rows.drop(columns=bounds)
        shown = shown.round(2).replace(-0.0, 0.0).dropna(axis=1, how="all")
        print(shown.to_string(index=False, na_rep="–"))
        runs = predictions.groupby(["corpus", "preset"], sort=False)
        for run, of_run in runs if study == "pooling" else ():
            if of_run.groupby("variant")["key"].nunique().max() > 1:
                warn(f"{results}: several settings of one pooling, which are not compared")
                continue
            pairs = metrics.in_pairs(metrics.compare_pairs(of_run))
            if not pairs.empty:
                print(f"\n{', '.join(run)}: points by which the first is ahead of the second")
                print(pairs.to_string(index=False))


@app.command()
def report(
    corpus: Corpus = "synthetic",
    root: Root = None,
    labels: Labels = None,
    preset: Preset = "demo",
    assignments: Assignments = None,
    results: Annotated[Path | None, _path_option(f"{RESULTS}results.jsonl in --out.")] = None,
    out: Annotated[Path, _path_option("Folder for the report.")] = Path("build/report"),
    device: Device = "auto",
    precision: Precision = "auto",
    seeds: Annotated[int, typer.Option(min=0, help=SEEDS_HELP)] = 1,
    pages: Annotated[str | None, typer.Option(metavar="02,03,...", help=PAGES_HELP)] = None,
    dry_run: DryRun = False,
) -> None:
    """Run the notebooks and build the report as HTML."""
    from repro.corpora import CORPORA, KNOWN, list_utterances, own, record_of
    from repro.report import build

    corpus = own.with_labels(corpus, labels)
    path = results or out / "results.jsonl"
    record_of(corpus)
    if corpus in CORPORA.keys() - KNOWN:
        raise ReproError(
            f"{corpus}: this program knows it, but not the processes that run the notebooks; make "
            "it a module of the package, or use `run` and `table`"
        )
    if results and not seeds and not os.path.exists(results):
        raise ReproError(f"{results}: no such results file; name one, or train with --seeds 1")
    if root is not None or (own.file_of(corpus) and not os.path.exists(path)):
        list_utterances(corpus, root)  # of a corpus that is not there no page could say anything
    setting = _setting(preset, assignments)
    parameters: dict[str, Any] = {"corpus": corpus, "root": root, "preset": setting}
    parameters |= {"results": path, "device": device, "precision": precision, "seeds": seeds}
    numbers = [] if pages is None else map(str.strip, pages.split(","))
    wanted = [page and page.zfill(2) for page in numbers]
    if dry_run:
        found = build.notebooks(build.find_project())
        _print_estimate(build.planned(build.chosen(found, wanted), **parameters))
        return
    page = build.build_report(**parameters, pages=wanted, out=out, progress_bar=_progress_bar)
    print(f"The report is at {page}")


@app.command()
def bench(device: Device = "auto", precision: Precision = "auto", as_json: AsJson = False) -> None:
    """Measure speed: the trainer beside a textbook loop, the front end beside librosa."""
    from repro.tools import bench

    found = bench.run(device, precision)
    _print(found, bench.text(found), as_json)


@app.command()
def train(
    out: Annotated[Path, _path_option("Model file to write.", metavar="MODEL.safetensors")],
    corpus: Corpus = "synthetic",
    root: Root = None,
    labels: Labels = None,
    preset: Preset = "demo",
    assignments: Assignments = None,
    results: Annotated[Path | None, _path_option(f"{RESULTS}beside the model.")] = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Train a network on all speakers of a corpus, with attention by default, and save it.

    The folds of the same settings are trained first, for an estimate of how it does on new
    speakers, unless the results file holds them already.
    """
    from repro import config
    from repro.corpora import name_of, own
    from repro.study.plan import Run
    from repro.tools import recogniser

    corpus = own.with_labels(corpus, labels)
    setting = _setting(preset, assignments)
    pooling = config.preset(setting).network.pooling
    asked = Run("pooling", corpus, root, setting, results, device, precision, only=pooling)
    with _progress_bar() as progress:
        trained = recogniser.train_and_save(out, asked, progress)
    estimate = trained.card["held-out speakers"]
    print(
        f"{out}: trained on {trained.card['utterances']} utterances of {name_of(corpus)}; on "
        f"held-out speakers the same settings reach WA {estimate['WA']}%, UA {estimate['UA']}%"
    )


@app.command()
def card(model: ModelFile, as_json: AsJson = False) -> None:
    """Print what a model was made from, how well it does, and what it must not be used for."""
    from repro.tools import recogniser

    loaded = recogniser.load(model)
    _print(recogniser.describe(loaded), recogniser.model_card(loaded), as_json)


@app.command()
def predict(
    model: ModelFile,
    files: Annotated[
        list[Path], typer.Argument(metavar="WAV...", help="Sound files.", parser=_path)
    ],
    device: Device = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object per line.")] = False,
    plot: Annotated[Path | None, _path_option(PLOT_HELP, metavar="FOLDER")] = None,
) -> None:
    """Print the emotion of each sound file with a score per emotion, a line as each is done."""
    from repro import audio
    from repro.device import choose_device, enough_memory
    from repro.tools import recogniser

    loaded = recogniser.load(model)
    where = choose_device(device)
    failed = False
    shown: dict[Path, str] = {}  # a part of the page, by the picture that goes with it
    if plot:
        from repro.report.pages import prediction

        prediction.prepare(plot)
    for path in files:
        try:
            with enough_memory(where, path.name):
                sound = audio.read(path)
                for fault in sound.faults:
                    warn(f"{path}: {fault}")
                waveform = audio.resample(sound)
                scores = recogniser.scores(loaded, waveform, device=where)
                if plot:
                    picture = prediction.picture_of(path, plot, shown)
                    shown[picture] = prediction.recording(
                        loaded, path, waveform, scores, picture, device=where
                    )
        except ReproError as error:
            warn(error)
            failed = True
            continue
        emotion = max(scores, key=scores.__getitem__)
        if as_json:
            said = {"file": str(path), "emotion": emotion, "scores": scores}
            line = json.dumps(said | {"faults": sound.faults})
        else:
            numbers = "  ".join(f"{name} {score:.3f}" for name, score in scores.items())
            line = f"{path}  {emotion}  {numbers}"
        print(line, flush=True)
    if plot and shown:
        page = prediction.write(plot, model, loaded, shown.values())
        if not as_json:
            print(f"The page is at {page}")
    if failed:
        raise typer.Exit(1)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Describe this machine and this installation: what to paste into a bug report."""
    from repro.tools import doctor

    found = doctor.facts()
    _print(found, doctor.text(found), as_json)


@corpus_app.command("list")
def corpus_list() -> None:
    """List the corpora that can be read."""
    from repro.corpora import CORPORA

    for name, corpus in CORPORA.items():
        hint = f"; `repro corpus fetch {name} DIR`" if corpus.archive else ""
        print(f"{name:14} {corpus.description}; {corpus.licence}{hint}")


@corpus_app.command()
def synth(
    directory: PathArgument,
    speakers: Annotated[int, typer.Option(min=2, max=10)] = 10,
    per_emotion: Annotated[int, typer.Option(min=1, help="Utterances per speaker.")] = 5,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Speak the built-in corpus into a new folder, shaped like IEMOCAP."""
    from repro.corpora.synthetic import make

    make(directory, speakers=speakers, per_emotion=per_emotion, seed=seed)
    print(f"{speakers * 4 * per_emotion} utterances in {directory}; read with --root {directory}")


@corpus_app.command()
def fetch(name: str, directory: PathArgument) -> None:
    """Download a corpus that anyone may have, and verify it; `repro corpus list` says which."""
    from repro.corpora import CORPORA
    from repro.corpora.fetch import fetch as fetch_corpus

    fetch_corpus(name, directory)
    what = f"{CORPORA[name].title} ({CORPORA[name].licence})"
    print(f"{what} is in {directory}; look at it with: repro corpus check {name} {directory}")


@corpus_app.command()
def check(
    name: Annotated[
        str, typer.Argument(help="One that `repro corpus list` names, or a table such as my.csv.")
    ],
    directory: Annotated[
        Path | None, typer.Argument(help="Its folder; that of a table by default.", parser=_path)
    ] = None,
    labels: Labels = None,
    as_json: AsJson = False,
) -> None:
    """Count a corpus, compare it with its published release and list what is wrong."""
    from repro.corpora import own, record_of
    from repro.corpora.check import check as check_corpus

    if record_of(name).ensure is None and directory is None:
        raise typer.BadParameter(f"name the folder of {name}", param_hint="DIRECTORY")
    outcome = check_corpus(own.with_labels(name, labels), directory)
    for remark in outcome.remarks:
        warn(remark)
    _print(outcome.as_dict(), outcome.text(), as_json)
    if not outcome.ok:
        raise typer.Exit(1)


@results_app.command("check")
def results_check(file: PathArgument, as_json: AsJson = False) -> None:
    """Count the folds of a results file; exit status 1 if something is wrong or missing."""
    from repro.results.audit import check as check_results

    outcome = check_results(file)
    _print(outcome.as_dict(), outcome.text(), as_json)
    if not outcome.ok:
        raise typer.Exit(1)


@results_app.command("merge")
def results_merge(
    files: Annotated[list[Path], typer.Argument(parser=_path)],
    out: Annotated[Path, _path_option("New file; it must not exist.", "--out", "-o")],
) -> None:
    """Write the folds of several results files into a new one, each fold once."""
    from repro.results.audit import merge

    print(f"{merge(files, out)} folds in {out}")


def _print(found: object, text: str, as_json: bool) -> None:
    print(json.dumps(found, indent=2) if as_json else text)


def _print_estimate(runs: Sequence[Run]) -> None:
    from repro.tools import estimate

    say = partial(print, file=sys.stderr, flush=True)
    print(estimate.survey(runs, say).text() if runs else "these pages train nothing")


@contextmanager
def _progress_bar() -> Iterator:
    """Show a bar with the time left on a terminal, else a line per fold."""
    console = Console(stderr=True)
    if not console.file.isatty():  # FORCE_COLOR makes rich take anything for a terminal
        yield None
        return
    left = TimeRemainingColumn(elapsed_when_finished=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), left)
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("reading the corpus", total=None)

        def progress(label: str, done: int, total: int) -> None:
            bar.update(task, description=label, completed=done, total=total)

        yield progress
