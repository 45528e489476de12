"""Every error that a visitor sees is a sentence."""

from __future__ import annotations

import html
import logging
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from pipeline.errors import UserError

OUR_FAULT = "Something went wrong on our side; the details are in the server's log. Please try again."
MARKUP = re.compile(r"[\\`*_{}\[\]()#+!|~:$=@-]|(?<=www)\.", re.IGNORECASE)
"""Characters that mean something in Markdown, where bare addresses become links."""
log = logging.getLogger(__name__)


@contextmanager
def sentences() -> Iterator[None]:
    """Show a `UserError` word for word (the page reads messages as HTML); log anything else and show `OUR_FAULT`.

    What is logged is where it happened, not what the error says: that may name a visitor's file or repeat their words.
    """
    try:
        yield
    except UserError as error:
        raise gr.Error(message(error), title="", print_exception=False) from error
    except gr.Error:
        raise
    except Exception as error:  # the last line of defence before a visitor: nothing may reach them as a traceback
        log.error("a handler failed\n%s", whereabouts(error))
        raise gr.Error(OUR_FAULT, title="", print_exception=False) from error


def message(error: UserError) -> str:
    """An error as the page's messages show it, which are HTML."""
    return html.escape(capitalised(str(error)), quote=False)


def whereabouts(error: BaseException) -> str:
    """The traceback of an error and of what caused it, with the kinds of the errors but none of their words."""
    before = error.__cause__ or error.__context__
    told = "" if before is None else f"{whereabouts(before)}and then\n"
    return f"{told}{''.join(traceback.format_tb(error.__traceback__))}{type(error).__qualname__}\n"


def capitalised(sentence: str) -> str:
    """First letter large unless the sentence begins with a name of something, full stop at the end."""
    first = sentence.split(" ", 1)[0]
    start = sentence[:1].upper() if first.isalpha() else sentence[:1]
    return start + sentence[1:] + ("" if sentence.endswith((".", "!", "?")) else ".")


def plain(text: str) -> str:
    """Text of a visitor, safe inside Markdown: nothing in it is markup."""
    return html.escape(MARKUP.sub(r"\\\g<0>", text), quote=False)
