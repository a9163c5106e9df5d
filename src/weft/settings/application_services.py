"""Bridges and bots that act for many users."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from weft.settings.values import Doc, Section


class ApplicationServices(Section, frozen=True, kw_only=True):
    """Bridges and bots that act for many users, and hear what passes in their rooms."""

    registration_files: Annotated[
        tuple[Path, ...],
        Doc(
            text="The registration of each: a YAML file that the bridge makes when it is set up. They are read when "
            "the server starts.",
            example='["irc-registration.yaml"]',
            risk="A registration names the rooms and users whose every message the service gets: look at its regular "
            "expressions. Whoever can read the file can act for these users.",
        ),
    ] = ()
