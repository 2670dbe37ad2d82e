"""`make study`: potentials of melts whose truth is known, judged by what the lake says of them. All is synthetic.

Killed? Type it again: it goes on where it was.
"""

import argparse
import sys
from pathlib import Path

from lake.warehouse import session
from schemas.settings import HOME
from tests.study.claims import claims
from tests.study.commands import end_on_sigterm
from tests.study.melts import REHEARSAL, WHOLE
from tests.study.page import write_page
from tests.study.plan import run, settings_in


def main() -> None:
    parser = argparse.ArgumentParser(prog="make study", description=__doc__)
    parser.add_argument("--folder", type=Path, default=HOME / "study", help="where its lake is, or is to be")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="commands at a time, one core each")
    parser.add_argument("--page", type=Path, help="where to write what was found, for example docs/study.md")
    parser.add_argument(
        "--rehearsal", action="store_true", help="every command once, in minutes, with too little data for any verdict"
    )
    chosen = parser.parse_args()
    end_on_sigterm()
    settings = settings_in(chosen.folder)
    run(settings, REHEARSAL if chosen.rehearsal else WHOLE, n_workers=chosen.workers)
    with session(settings) as query:
        found = claims(query)
    if chosen.page:
        write_page(chosen.page, settings, found)
    sys.stdout.write("Synthetic melts of a toy potential. Claims, whether they hold, what was found, and the bar:\n")
    for claim in found:
        sys.stdout.write(f"{claim.row['holds']:>3}  {claim.claim}\n     {claim.found}  (bar: {claim.bar})\n")
    sys.stdout.write(f"Report: {settings.home / 'report' / 'index.html'}\n")
    sys.exit(0 if all(claim.holds for claim in found) else 1)


if __name__ == "__main__":
    main()
