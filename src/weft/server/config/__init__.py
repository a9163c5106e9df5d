"""Settings: read, checked, frozen.

They are declared in `weft.settings`. `load` reads a `weft.toml`, lays the environment (`WEFT_DATABASE_URL=…`) and
`--set database.url=…` over it, refuses what it does not know with the nearest name it does know, and gives back a
frozen `Settings` whose paths are absolute. `from_values` does the same for a program that embeds Weft.
`weft.server.config.reference` writes the sample file and the reference page.
"""

from weft.server.config.errors import SettingsError
from weft.server.config.read import database_url, from_values, load, read_secret
from weft.server.config.registrations import read_registrations
from weft.settings import Settings

__all__ = ["Settings", "SettingsError", "database_url", "from_values", "load", "read_registrations", "read_secret"]
