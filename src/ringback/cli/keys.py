"""`ringback keys`: the instance key."""

from __future__ import annotations

import click
import msgspec

from ringback.cli.installation import run_command


@click.group(name="keys", help="Rotate the instance key.")
def command() -> None:
    """Groups the commands."""


@command.command("rotate", help="Make a new instance key and seal the data keys with it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def rotate(*, as_json: bool) -> None:
    """Works while the server runs and while it does not."""
    rotated = run_command("rotate_keys")
    if as_json:
        click.echo(msgspec.json.encode(rotated))
        return
    click.echo(f"The instance key is now {rotated['instance_key']}, in {rotated['key_file']}.")
    click.echo(f"The key from before is kept in {', '.join(rotated['kept'])}.")
    click.echo("Copy the key file to where you keep it (not beside the backups), and to every other server.")
    click.echo("Backups made before this open only with the key from before: keep it for as long as you keep them.")
