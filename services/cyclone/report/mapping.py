"""A report as a message."""

from __future__ import annotations

from google.protobuf.struct_pb2 import Struct
from sonic.cyclone.v1 import cyclone_pb2 as pb

from services.cyclone.report.domain.document import Report, Row, Section
from services.cyclone.report.domain.page import page
from shared.codec import fill


def wire_report(report: Report, *, with_page: bool) -> pb.Report:
    """The sections; with the same as a file of HTML when that is wanted."""
    html = page(report) if with_page else ""
    return fill(pb.Report, report, sections=map(_section, report.sections), html=html)


def _section(section: Section) -> pb.ReportSection:
    columns = [fill(pb.ReportColumn, column) for column in section.columns]
    return fill(pb.ReportSection, section, columns=columns, rows=map(_row, section.rows))


def _row(row: Row) -> Struct:
    made = Struct()
    # A lone surrogate cannot be sent; it came from no text of a person.
    made.update(
        {
            name: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
            for name, value in row.items()
        }
    )
    return made
