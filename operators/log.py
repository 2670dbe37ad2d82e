"""Log lines: one event per line on stderr, key=value pairs. Standard output is for results only."""

import io
import logging
import sys

import structlog
from tqdm import tqdm


class _AboveBars(io.StringIO):
    """Standard error, with every progress bar moved out of the way while a line is written."""

    def write(self, text: str) -> int:
        with tqdm.external_write_mode(file=sys.stderr):
            return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.processors.format_exc_info,
        structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], drop_missing=True),
    ],
    wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    logger_factory=structlog.PrintLoggerFactory(file=_AboveBars()),
    cache_logger_on_first_use=False,
)

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
