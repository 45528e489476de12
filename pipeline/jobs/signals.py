"""`StopRequests`: Ctrl-C and the system's request to end are heard, and answered after the step."""

from __future__ import annotations

import signal
import sys
from types import FrameType, TracebackType
from typing import Any, Self

HEARD = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class StopRequests:
    """In a ``with`` block of the main thread: `asked` is true from the first signal on; Ctrl-C again stops at once."""

    def __init__(self) -> None:
        self.received: int | None = None
        """Number of the first signal."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in HEARD:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def asked(self) -> bool:
        """Whether somebody wants it to stop."""
        return self.received is not None

    @property
    def exit_code(self) -> int:
        """As shells have it: 128 + the signal; 0 where there was none."""
        return 0 if self.received is None else 128 + self.received

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.received = number
        again = "; Ctrl-C again stops at once" if number == signal.SIGINT else ""
        print(f"\nfinishing the step, then stopping{again}", file=sys.stderr, flush=True)
