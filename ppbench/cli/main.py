"""The command line: collects the commands, and turns errors into one clear line and an exit code."""

from __future__ import annotations

import signal
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ppbench.cli import output
from ppbench.cli.calibrate import calibrate_command
from ppbench.cli.check import check_command
from ppbench.cli.compare import compare_command
from ppbench.cli.convert import convert
from ppbench.cli.corrupt import corrupt_command
from ppbench.cli.doctor import doctor
from ppbench.cli.eval import eval_command
from ppbench.cli.export import export_command
from ppbench.cli.inspect import inspect
from ppbench.cli.list import list_names
from ppbench.cli.plot import plot_command
from ppbench.cli.report import report_command
from ppbench.cli.reproduce import reproduce
from ppbench.cli.show import show_command
from ppbench.cli.streams import close_streams, open_streams
from ppbench.cli.threads import wait_without_spinning
from ppbench.cli.train import train_command
from ppbench.cli.values import Checked, Launchable, for_a_file
from ppbench.errors import PpbenchError

INTERRUPTED = 130
"""Exit code after Ctrl-C (128 + SIGINT)."""
CRASHED = 70
"""Exit code of an error in ppbench itself (EX_SOFTWARE of sysexits.h): not 1, which says that a model got worse."""


class Commands(TyperGroup):
    """Turns errors of commands into a message on stderr and the documented exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PpbenchError as error:
            output.fail(error)
            raise typer.Exit(error.exit_code) from None
        except OSError as error:
            told = for_a_file(error)
            if told is None:
                raise
            output.fail(told)
            raise typer.Exit(told.exit_code) from None
        except MemoryError as error:
            too_large = PpbenchError(
                "this machine has too little memory for it" + (f": {error}" if str(error) else ""),
                "Give smaller images or fewer at once: `--input-size`, `--batch-size`, `--workers`.",
            )
            output.fail(too_large)
            raise typer.Exit(CRASHED) from None
        except KeyboardInterrupt:
            output.say("interrupted")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 100},  # of a wide terminal; longer lines of prose are hard to read
    rich_markup_mode=None,  # Rich help would take three times as long to appear
    help="How robust is an image classifier to corrupted images?",
    epilog="Exit codes: 0 done, 1 check found a regression or a training diverged, 2 usage, 3 missing or damaged "
    "files, 4 not comparable, 70 internal error in ppbench, 130 interrupted.",
)
app.command("eval", cls=Launchable.of(eval_command))(eval_command)
app.command("corrupt", cls=Checked.of(corrupt_command))(corrupt_command)
app.command("show", cls=Checked.of(show_command))(show_command)
app.command("compare", cls=Checked.of(compare_command))(compare_command)
app.command("report", cls=Checked.of(report_command))(report_command)
app.command("check", cls=Checked.of(check_command))(check_command)
app.command("plot", cls=Checked.of(plot_command))(plot_command)
app.command("convert", cls=Launchable.of(convert))(convert)
app.command("train", cls=Launchable.of(train_command))(train_command)
app.command("reproduce", cls=Launchable.of(reproduce))(reproduce)
app.command("calibrate", cls=Launchable.of(calibrate_command))(calibrate_command)
app.command("export", cls=Launchable.of(export_command))(export_command)
app.command("inspect", cls=Launchable.of(inspect))(inspect)
app.command("list", cls=Checked.of(list_names))(list_names)
app.command("doctor", cls=Checked.of(doctor))(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        from ppbench.versions import __version__

        output.data(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """How robust is an image classifier to corrupted images?"""


def main() -> None:
    """Entry point of the ``ppbench`` command."""
    # First of all, because torch reads these settings when it is imported.
    wait_without_spinning()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM has the effect of Ctrl-C
    open_streams()
    try:
        try:
            app()
        finally:
            close_streams()
    except PpbenchError as error:  # the result cannot be written
        output.fail(error)
        sys.exit(error.exit_code)
    except Exception:  # `Commands` has caught all errors that the user can repair
        traceback.print_exc()
        output.say("error: internal error in ppbench; please report it with the traceback above")
        sys.exit(CRASHED)


if __name__ == "__main__":
    main()
