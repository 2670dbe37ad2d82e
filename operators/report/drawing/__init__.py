"""Pictures of the report as SVG: what is drawn can be read back from them. No queries, and nothing about pages.

Matplotlib needs 55 ms and 48 kB for a panel; a report has hundreds. Attributes carry the colours of a white page, so
that a picture stands by itself in any renderer; the page turns them for the dark.
"""
