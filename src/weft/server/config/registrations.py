"""The files in which application services are registered. They are YAML, as the services write them.

https://spec.matrix.org/v1.19/application-service-api/#registration
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from weft.protocol.application_services import Registration, Registrations, read_registration
from weft.server.config.errors import SettingsError
from weft.settings import Settings

Problem = tuple[tuple[str | int, ...], str]


def problems(settings: Settings) -> Iterator[Problem]:
    """What is wrong with each file, and with them all together."""
    place = ("application_services", "registration_files")
    good: list[Registration] = []
    for number, file in enumerate(settings.application_services.registration_files):
        try:
            good.append(_read(file, settings.server.names[0]))
        except ValueError as error:
            yield (*place, number), f"{file}: {error}"
    try:
        Registrations(good)
    except ValueError as error:
        yield place, str(error)


def read_registrations(settings: Settings) -> Registrations:
    """All application services. Raises `SettingsError`: files may have changed since the settings were checked."""
    found = list(problems(settings))
    if found:
        raise SettingsError([text for _, text in found])
    files = settings.application_services.registration_files
    return Registrations(_read(file, settings.server.names[0]) for file in files)


def _read(file: Path, server_name: str) -> Registration:
    """Raises `ValueError`."""
    try:
        return read_registration(yaml.safe_load(file.read_text(encoding="utf-8")), server_name)
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    except yaml.YAMLError as error:
        raise ValueError(f"is not YAML: {' '.join(str(error).split())}") from None
