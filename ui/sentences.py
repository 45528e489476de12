"""Every error that a visitor sees is a sentence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from pipeline.errors import UserError

OUR_FAULT = "Something went wrong on our side; the details are in the server's log. Please try again."
log = logging.getLogger(__name__)


@contextmanager
def sentences() -> Iterator[None]:
    """Show a `UserError` as it is; log anything else and show `OUR_FAULT`."""
    try:
        yield
    except UserError as error:
        raise gr.Error(capitalised(str(error)), title="", print_exception=False) from error
    except gr.Error:
        raise
    except Exception as error:  # the last line of defence before a visitor: nothing may reach them as a traceback
        log.exception("a handler failed")
        raise gr.Error(OUR_FAULT, title="", print_exception=False) from error


def capitalised(sentence: str) -> str:
    """First letter large, full stop at the end."""
    return sentence[:1].upper() + sentence[1:] + ("" if sentence.endswith((".", "!", "?")) else ".")


def plain(text: str) -> str:
    """Text of a visitor, safe inside Markdown: nothing in it is markup."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]()#+-.!|~:" else _ENTITIES.get(letter, letter) for letter in text)


_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&quot;", "'": "&#39;"}
