"""``kite config``: the settings in force, passwords masked."""

from __future__ import annotations

import argparse

import msgspec

from configs.load import to_yaml
from configs.schema import Settings
from configs.secrets import masked
from tasks.commands.told import Told


def run(settings: Settings, options: argparse.Namespace) -> Told:
    """Print the settings in force, their passwords masked."""
    del options
    return Told(masked(msgspec.to_builtins(settings)), lambda _: to_yaml(settings))
