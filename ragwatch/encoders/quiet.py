"""Keeping third-party libraries off the terminal and off the network.

Their progress bars and advice would end up between our results and progress; both are switched off only while
we call them, and set back as they were.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager


def prepare_environment() -> None:
    """Set what the libraries read from the environment when they are first imported. Choices made there stay."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # Unset, the tokenizers library writes a warning to stderr in every child process forked later on.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Silence the hub library's progress bars."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    silent = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not silent:
            enable_progress_bars()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence warnings and progress bars of transformers and sentence-transformers; errors are still logged."""
    from transformers.utils import logging as transformers_logging

    own = logging.getLogger("sentence_transformers")
    verbosity, level = transformers_logging.get_verbosity(), own.level
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    own.setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        own.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()
