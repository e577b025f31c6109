"""All panes, and the lines above and below them."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from rnncli.commands.explore import option_rows, status_lines
from rnncli.commands.explore.editable_case import EditableCase
from rnncli.commands.explore.panes.grid_pane import GridPane
from rnncli.commands.explore.panes.option_pane import OptionPane
from rnncli.commands.explore.panes.step_pane import StepPane
from rnncli.commands.explore.scene import Scene
from rnncli.commands.explore.texts import get_text


class Workbench(Vertical):
    """A scene in every pane.  command: returns the same tensors; None if it has to be saved first."""

    def __init__(self, scene: Scene, command: str | None, **options: Any) -> None:
        super().__init__(**options)
        self.scene, self.command = scene, command

    def compose(self) -> ComposeResult:
        """Build the panes."""
        yield Static(id="title", classes="line", markup=False)
        with Horizontal(id="upper"):
            yield OptionPane(option_rows.rows(self.scene.experiment), id="options")
            yield GridPane(id="grid")
        yield StepPane(id="step")
        yield Static(id="expression", classes="line", markup=False)
        yield Static(id="command", markup=False)
        yield Static(id="message", markup=False)

    def on_resize(self) -> None:
        """Fit the lines to the new width."""
        self._show_lines()

    def show(self, scene: Scene, command: str | None) -> None:
        """Show a scene in every pane but that of the options."""
        self.scene, self.command = scene, command
        self.query_one(GridPane).show(scene.grids, scene.cell)
        steps = scene.computation.case.inputs.shape[1]
        self.query_one(StepPane).show(scene.timestep, steps, *scene.step)
        self._show_lines()
        self.say("")

    def _show_lines(self) -> None:
        scene, width = self.scene, self.app.size.width
        lines = {
            "#title": status_lines.title(scene, width),
            "#expression": status_lines.one_line(scene.experiment.expression, width),
            "#command": status_lines.command(self.command or get_text("too long", scene.lang), width),
        }
        for name, line in lines.items():
            self.query_one(name, Static).update(line)

    def show_options(self, experiment: EditableCase) -> None:
        """Show the options of an experiment, before its numbers are there."""
        self.query_one(OptionPane).show(option_rows.rows(experiment, self.scene.cursor.batch))

    def say(self, message: str) -> None:
        """Show a message in the last line; the keys if it is empty."""
        self.query_one("#message", Static).update(status_lines.message(message, self.scene.lang))
